"""Steps of a member's change: what is wanted stands beside the booking until the taxi company has agreed."""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import amending, requests
from steps.bookings.attempts import Attempts
from steps.bookings.booking import Booking
from steps.bookings.following import seen, storable
from steps.bookings.keys import Sealed
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later, parse
from steps.bookings.owners import NOT_FOUND, owned
from steps.bookings.personal import opened
from steps.bookings.repository import Repository, out_of_step, repository
from steps.bookings.resource import render
from steps.bookings.shapes import BOOKING_ID, CAUSE, ERROR, STORE_ERRORS, about_a_booking
from steps.bookings.sql import statements
from steps.taxi_api import rides
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import Taxi

ABANDONED_S = 3600
"""A change that has been under way for so long is not any more."""


@step(
    "modify.begin",
    input={
        "type": "object",
        "required": ["booking_id", "member_id", "changes"],
        "properties": {
            "booking_id": BOOKING_ID,
            "member_id": {"type": ["string", "null"]},
            "expected_version": {"type": ["integer", "null"]},
            "request_id": CAUSE,
            "changes": {"type": "object"},
        },
    },
    output={"type": "object", "required": ["booking"]},
    errors={
        **STORE_ERRORS,
        **NOT_FOUND,
        "Booking.VersionConflict": "the booking is not the one that the member looked at, or is being changed",
        "Booking.NotModifiable": "the booking has ended",
        "Booking.InvalidRequest": "the changes break their schema, or the request that they make does",
    },
    transactional=True,
)
def begin(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Check the changes and lay the wanted request beside the valid one; nothing else of the booking changes yet."""
    with repository(ctx) as repo:
        try:
            payload = opened(repo.vault, payload, "changes")
        except Sealed as problem:
            raise StepError("Booking.InvalidRequest", f"/changes: {problem}") from problem
        booking = owned(repo, payload["booking_id"], payload["member_id"], ctx)
        expected = payload.get("expected_version")
        if expected is not None and expected != booking.version:
            raise StepError("Booking.VersionConflict", f"the booking has version {booking.version}")
        if booking.terminal_at is not None:
            raise StepError("Booking.NotModifiable", "This ride can no longer be changed.")
        under_way = booking.doc.get("amendment") or {}
        if under_way.get("status") == "PENDING" and under_way["requested_at"] > later(repo.now, -ABANDONED_S):
            raise StepError("Booking.VersionConflict", "the booking is being changed at this moment")
        personal = repo.personal(booking.booking_id)
        before = amending.requested(booking, personal, amended=False)
        rest, private = requests.split(_wanted(before, payload["changes"], ctx))
        names = amending.changed_fields(before, requests.merged(rest, private))
        asked = {"status": "PENDING", "changes": names, "requested_at": repo.now}
        doc = {**booking.doc, "amending": rest, "amendment": asked, "amending_hash": None}
        booking = repo.update(booking, doc={**doc, "change_request": payload.get("request_id")})
        repo.change_personal(booking.booking_id, {**personal, "amending": private})
    ctx.note(", ".join(names) or "nothing changes")
    return {"booking": render(booking)}


@step(
    "modify.reserve",
    input=about_a_booking(usage={"type": ["object", "null"]}),
    output={"type": "object", "required": ["moved"]},
    errors={**STORE_ERRORS, "Slot.Conflict": "the changed ride overlaps another ride of the member"},
    transactional=True,
)
def reserve(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Move the booking's slot to the wanted time, and to the allowance of that time's period (`usage`). What the rules
    said may be outdated; this is the database's word."""
    period = (payload.get("usage") or {}).get("period")
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        starts_at = booking.doc["amending"]["pickup"]["time"]
        if starts_at != booking.pickup_time:
            held = statements("amending.sql")["slot_period"].row(repo.db, booking_id=booking.booking_id)
            if not _move(repo, booking, starts_at, _end_of(booking, starts_at), period):
                raise StepError("Slot.Conflict", "the changed ride overlaps another ride of the member")
            if held is not None and "amending_period" not in booking.doc:
                repo.update(booking, doc={**booking.doc, "amending_period": held["period"]})
    return {"moved": starts_at != booking.pickup_time}


@step(
    "modify.amend",
    input=about_a_booking(),
    output={"type": "object", "required": ["ride"]},
    errors={**ERRORS, **STORE_ERRORS},
    idempotency="natural",
)
def amend(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Tell the taxi company, if its state is still the one just seen; answers `{ride}`, null when it need not know.

    The amendment says how things shall be, not what to add: a repeat makes no difference.
    """
    booking, told = _amendment(payload["booking_id"], ctx)
    if not told:
        return {"ride": None}
    for last in (False, True):
        attempt = _note_attempt(booking, ctx)
        try:
            ride = Taxi(ctx).get(str(booking.ride_ref))
            _remember(booking.booking_id, ride["state_hash"], ctx)
            ride = Taxi(ctx).amend(ride["ride_id"], told, ride["state_hash"])
        except StepError as problem:
            _close_attempt(booking, attempt, problem.error, ctx)
            if problem.error != "Taxi.StaleState" or last:
                raise
        else:
            _close_attempt(booking, attempt, None, ctx)
            return {"ride": storable(ride)}
    raise AssertionError("the loop returns or raises")


@step(
    "modify.reconcile",
    input=about_a_booking(),
    output={"type": "object", "required": ["ride"]},
    errors={
        **ERRORS,
        **STORE_ERRORS,
        "Taxi.NotApplied": "the ride does not show the change: it can be asked for again",
    },
    idempotency="natural",
)
def reconcile(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """No clear answer came: read the ride and compare it with what was asked for."""
    booking, told = _amendment(payload["booking_id"], ctx)
    ride = Taxi(ctx).get(str(booking.ride_ref))
    if amending.shows(ride, told, booking.doc.get("amending_hash")) is not True:
        raise StepError("Taxi.NotApplied", "the ride does not show the change")
    return {"ride": storable(ride)}


@step(
    "modify.apply",
    input=about_a_booking(ride={"type": ["object", "null"]}),
    output="booking.json",
    errors=STORE_ERRORS,
    transactional=True,
)
def apply(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The taxi company has agreed: the wanted request is the valid one."""
    ride = payload.get("ride")
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        repo.cause = booking.doc.get("change_request")
        if "amending" in booking.doc:
            booking = _applied(repo, booking, ride)
    return render(booking)


@step(
    "modify.refuse",
    input=about_a_booking(error=ERROR, told={"type": "boolean"}),
    output="booking.json",
    errors=STORE_ERRORS,
    transactional=True,
)
def refuse(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The change does not come about: the booking stays as it was. `told`: the member hears of it by an event.

    The reasons of rules are kept with the amendment.
    """
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        repo.cause = booking.doc.get("change_request")
        if "amending" in booking.doc:
            booking = _refused(repo, booking, payload.get("error") or {}, told=payload["told"])
    return render(booking)


def _wanted(before: dict[str, Any], changes: Any, ctx: StepContext) -> dict[str, Any]:
    """The whole request with the changes in it. Raises StepError Booking.InvalidRequest, which repeats no value."""
    changes = requests.normalise(changes)
    wrong = [f"/changes{line}" for line in requests.change_problems(changes)]
    if not wrong:
        changes = {name: value for name, value in changes.items() if name != "accept_fee"}
        after = requests.patched(before, changes)
        if "pickup" in changes:
            after["pickup"] = {**after["pickup"], "type": "SCHEDULED"}
        wrong = [f"/request{line}" for line in requests.problems(after)]
    if wrong:
        raise StepError("Booking.InvalidRequest", "; ".join(wrong))
    return requests.complete(after, parse(before["pickup"]["time"]))


def _amendment(booking_id: str, ctx: StepContext) -> tuple[Booking, dict[str, Any]]:
    """The booking, and what the taxi company is to be told. Raises out-of-step errors."""
    with repository(ctx) as repo:
        booking = repo.load(booking_id)
        if "amending" not in booking.doc or booking.status not in lifecycle().needs_ride:
            raise out_of_step(booking, f"a booking that is {booking.status} is not being changed")
        personal = repo.personal(booking_id)
    before = amending.requested(booking, personal, amended=False)
    return booking, amending.amendment(before, amending.requested(booking, personal, amended=True))


def _note_attempt(booking: Booking, ctx: StepContext) -> str:
    with repository(ctx) as repo:
        return Attempts(repo, booking).begin("AMEND")


def _close_attempt(booking: Booking, attempt: str, error: str | None, ctx: StepContext) -> None:
    with repository(ctx) as repo:
        outcome = "OK" if error is None else rides.OUTCOMES.get(error, "AMBIGUOUS")
        Attempts(repo, booking).finish(attempt, outcome, ride_ref=booking.ride_ref, error=error)


def _remember(booking_id: str, state_hash: str, ctx: StepContext) -> None:
    with repository(ctx) as repo:
        booking = repo.load(booking_id)
        repo.update(booking, doc={**booking.doc, "amending_hash": state_hash})


def _applied(repo: Repository, booking: Booking, ride: dict[str, Any] | None) -> Booking:
    personal = repo.personal(booking.booking_id)
    names = booking.doc["amendment"]["changes"]
    request = booking.doc["amending"]
    pickup = request["pickup"]["time"]
    doc = {
        **_without_amending(booking),
        "request": request,
        "amendment": {**booking.doc["amendment"], "status": "APPLIED"},
        "changes": {"fields": names},
    }
    if ride is not None:
        doc["ride"] = seen(booking, ride)
    changes: dict[str, Any] = {"doc": doc, "pickup_time": pickup, "window_end": _end_of(booking, pickup)}
    repo.change_personal(
        booking.booking_id, {"member_id": personal.get("member_id"), "request": personal.get("amending", {})}
    )
    price = (ride or {}).get("price")
    if not names:
        return repo.update(booking, doc=doc)
    if (booking.status, "amended") not in lifecycle().edges:
        return repo.update(booking, **changes)  # the ride went on meanwhile; what it is now is true all the same
    booking = repo.transition(booking, "amended", actor="member", detail=", ".join(names), **changes)
    dearer = price is not None and price["amount_minor"] > (booking.price_minor or 0)
    return repo.need_people(booking, "dearer_than_agreed") if dearer else booking  # nobody has agreed to pay more


def _refused(repo: Repository, booking: Booking, error: dict[str, Any], *, told: bool) -> Booking:
    personal = repo.personal(booking.booking_id)
    if personal:
        repo.change_personal(booking.booking_id, {key: personal[key] for key in personal if key != "amending"})
    moved = booking.doc["amending"]["pickup"]["time"] != booking.pickup_time
    names = booking.doc["amendment"]["changes"]
    period = booking.doc.get("amending_period")
    doc = _without_amending(booking)
    doc["amendment"] = {**booking.doc["amendment"], "status": "REFUSED", "errors": _reasons(booking, error)}
    doc["changes"] = {"fields": names}
    # Out of REQUESTED: it was to be booked anew, but its ride was not cancelled and is as it was.
    back = doc.pop("rebooking", {}).get("from") if booking.status == "REQUESTED" else None
    stays = booking.status == "REQUESTED" and back is None
    if told and not stays and (booking.status, "amend_failed") in lifecycle().edges:
        booking = repo.transition(booking, "amend_failed", to=back, detail=error.get("Error"), doc=doc)
    else:
        booking = repo.update(booking, doc=doc)
    back_to = (booking.pickup_time, booking.window_end, period)
    if moved and booking.terminal_at is None and not _move(repo, booking, *back_to):
        booking = repo.need_people(booking, "time_is_taken")  # by another ride of the member
    return booking


def _reasons(booking: Booking, error: dict[str, Any]) -> list[dict[str, Any]]:
    """What the rules refused of this change: `[{code, rule_id, pointer, http, user_message}]`."""
    if error.get("Error") != "Rules.Rejected":
        return []
    decisions = booking.doc.get("decisions") or {}
    records = [record for name, record in decisions.items() if name.startswith("amended_")]
    return [reason for record in records if not record["passed"] for reason in record["errors"]]


def _without_amending(booking: Booking) -> dict[str, Any]:
    gone = ("amending", "amending_hash", "amending_period")
    doc = {key: value for key, value in booking.doc.items() if key not in gone}
    decisions = doc.get("decisions") or {}
    return {**doc, "decisions": {key: value for key, value in decisions.items() if not key.startswith("amended_")}}


def _end_of(booking: Booking, starts_at: str) -> str:
    """The end of the booking's window when it starts then: it stays as long as it was."""
    length = (parse(booking.window_end) - parse(booking.pickup_time)).total_seconds()
    return later(starts_at, length)


def _move(repo: Repository, booking: Booking, starts_at: str, ends_at: str, period: str | None) -> bool:
    """Put the slot to another time, and to the period (null: it stays in its own); whether that time was free."""
    sql, mine = statements("queries.sql"), {"booking_id": booking.booking_id, "member_ref": booking.member_ref}
    if not sql["lock_member"].rows(repo.db, member_ref=booking.member_ref)[0]["locked"]:
        raise StepError("Db.Conflict", "another ride of the member is being reserved at this moment")
    if sql["overlapping_slot"].row(repo.db, **mine, starts_at=starts_at, ends_at=ends_at):
        return False
    statements("amending.sql")["move_slot"].run(
        repo.db, booking_id=booking.booking_id, starts_at=starts_at, ends_at=ends_at, period=period
    )
    return True
