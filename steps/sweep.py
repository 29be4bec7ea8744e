"""Steps of the sweep: find what fell by the wayside, free what nobody holds any more, look for rides nobody wants."""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import following
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later
from steps.bookings.repository import Repository, repository
from steps.bookings.settings import number
from steps.bookings.shapes import BOOKING_ID, STORE_ERRORS
from steps.bookings.sql import statements
from steps.taxi_api import rides
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import Taxi

FILE = "sweeping.sql"
BATCH = 50
STUCK_S = 1800
"""A booking's own flow resolves a pending ride within ten minutes, and touches a booking that it gives up on."""
NEGLECTED_S = 120
MESSAGE_S, MESSAGE_PAUSE_S = 3600, 120
"""How long a message is tried, and the pause after the first try, which each further one doubles."""
KEY_S = 60
LOOK_BACK_S = 7 * 86_400
"""How far back slots that should be free, and points that are missing, are looked for."""
WATCH_AT_S = (60, 300, 900, 3600, 6 * 3600, 24 * 3600)
"""When to look for a ride that may turn up after its booking was given up, from then on."""
LISTS = ("giving_up", "cancelling", "watches", "messages", "rides", "points")
CANCELLED, NONE, ALIVE = "CANCELLED", "NONE", "ALIVE"
WAITED_FOR = ("CONFIRMED", "DRIVER_ASSIGNED", "DRIVER_EN_ROUTE", "DRIVER_ARRIVED")
LIST = {"type": "array", "items": {"type": "object"}}


@step(
    "sweep.free",
    output={"type": "object", "required": ["slots", "keys", "messages"]},
    errors={"Db.Unavailable": STORE_ERRORS["Db.Unavailable"]},
    transactional=True,
)
def free(payload: Any, ctx: StepContext) -> dict[str, Any]:
    """Free slots of bookings that came to nothing and keys of requests that were never finished; close old messages."""
    sql = statements(FILE)
    with repository(ctx) as repo:
        return {
            "slots": sql["free_slots"].run(repo.db, since=later(repo.now, -LOOK_BACK_S)),
            "keys": sql["free_keys"].run(repo.db, since=later(repo.now, -KEY_S)),
            "messages": sql["give_up_messages"].run(repo.db, oldest=later(repo.now, -MESSAGE_S)),
        }


@step(
    "sweep.find",
    output={"type": "object", "required": list(LISTS), "properties": dict.fromkeys(LISTS, LIST)},
    errors={"Db.Unavailable": STORE_ERRORS["Db.Unavailable"]},
    transactional=True,
)
def find(payload: Any, ctx: StepContext) -> dict[str, Any]:
    """What there is to do, at most 50 of each kind: bookings whose flow is late, orphan watches, messages, rides that
    nobody follows, completed rides without points. A message that is found is found again after a pause only."""
    sql, stuck_s = statements(FILE), number(ctx.settings, "SWEEP_STUCK_S", STUCK_S)
    with repository(ctx) as repo:
        stuck = sql["stuck"].rows(repo.db, since=later(repo.now, -stuck_s), limit=BATCH)
        found: dict[str, Any] = {
            "giving_up": [row for row in stuck if row["status"] != "CANCELLATION_PENDING"],
            "cancelling": [row for row in stuck if row["status"] == "CANCELLATION_PENDING"],
            "watches": sql["due_watches"].rows(repo.db, now=repo.now, limit=BATCH),
            "messages": _due_messages(repo),
            "rides": statements("looks.sql")["neglected"].rows(
                repo.db, since=later(repo.now, -NEGLECTED_S), limit=BATCH
            ),
            "points": sql["without_points"].rows(repo.db, oldest=later(repo.now, -LOOK_BACK_S), limit=BATCH),
        }
    said = ", ".join(f"{len(items)} {name}" for name, items in found.items() if items)
    ctx.note(said or "nothing to do")
    return found


def _due_messages(repo: Repository) -> list[dict[str, Any]]:
    """Each comes up a few times in its hour: what it tells of may be about to be written, or is nothing of ours."""
    sql = statements(FILE)
    due = sql["open_messages"].rows(repo.db, now=repo.now, oldest=later(repo.now, -MESSAGE_S), limit=BATCH)
    for message in due:
        pause = MESSAGE_PAUSE_S * 2 ** message.pop("tries")
        sql["put_off_message"].run(repo.db, **message, next_try_at=later(repo.now, pause))
    return due


@step(
    "watch.look",
    input={
        "type": "object",
        "required": ["client_reference", "booking_id"],
        "properties": {"client_reference": {"type": "string", "maxLength": 64}, "booking_id": BOOKING_ID},
    },
    output={"type": "object", "required": ["result", "closed"]},
    errors={**ERRORS, **STORE_ERRORS},
    idempotency="natural",
)
def watch(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Look for a ride under the reference of a booking that was given up: one that lives is cancelled, and people are
    told. The watch looks again after 1, 5, 15 and 60 minutes, 6 and 24 hours, and then closes."""
    reference = payload["client_reference"]
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
    result = NONE
    for ride in Taxi(ctx).find_reference(reference):
        if ride["status"] in rides.FELL_THROUGH or _is_the_booking_s(booking, ride):
            continue
        result = _end(booking, ride, ctx)
        with repository(ctx) as repo:
            repo.need_people(repo.load(booking.booking_id), "unwanted_ride")
        if result == ALIVE:
            _take_over(booking.booking_id, ride["ride_id"], ctx)
    with repository(ctx) as repo:
        closed = _next(repo, reference, result)
    ctx.note(result)
    return {"result": result, "closed": closed}


def _is_the_booking_s(booking: Booking, ride: dict[str, Any]) -> bool:
    return booking.ride_ref == ride["ride_id"] and booking.status in lifecycle().needs_ride


def _end(booking: Booking, ride: dict[str, Any], ctx: StepContext) -> str:
    about = {"booking_id": booking.booking_id, "ride_ref": ride["ride_id"]}
    ctx.log("a ride lives that nobody wants", warning=True, **about)
    try:
        rides.cancel_ride(ride["ride_id"], "OPS", ctx)
    except StepError as problem:
        if problem.error != "Taxi.TooLate":
            raise
        return ALIVE  # it drives, or has driven: that is for people
    return CANCELLED


def _take_over(booking_id: str, ride_id: str, ctx: StepContext) -> None:
    """The passenger sits in the other of two rides: that one is the booking's now, and its own is cancelled. When this
    ends between the two, the next look finds the old one as a ride that nobody wants."""
    ride = Taxi(ctx).get(ride_id)
    with repository(ctx) as repo:
        booking = repo.load(booking_id)
        own = booking.ride_ref
        if ride["status"] != "PASSENGER_ON_BOARD" or own is None or booking.status not in WAITED_FOR:
            return
        # Each ride counts its own changes, so what is known of the old one says nothing of this one.
        booking = repo.update(booking, ride_ref=ride_id, doc={**booking.doc, "ride": None})
        following.follow(repo, booking, ride, actor="supplier")
    rides.cancel_ride(own, "DUPLICATE", ctx)


def _next(repo: Repository, reference: str, result: str) -> bool:
    """Say when to look again; whether the watch is closed."""
    row = statements(FILE)["watch"].row(repo.db, client_reference=reference)
    if row is None or row["closed_at"] is not None:
        return True
    if row["result"] not in (None, NONE) and result == NONE:
        result = row["result"]
    moments = [moment for moment in (later(row["opened_at"], after) for after in WATCH_AT_S) if moment > repo.now]
    over = not moments or repo.now >= row["deadline_at"]
    statements(FILE)["set_watch"].run(
        repo.db,
        client_reference=reference,
        next_check_at=row["deadline_at"] if over else moments[0],
        closed_at=repo.now if over else None,
        result=result,
    )
    return over
