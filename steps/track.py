"""Steps that follow a confirmed ride: look at it, take the booking where it is, say when to look again."""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import following
from steps.bookings.attempts import Attempts
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later, parse
from steps.bookings.repository import Repository, repository
from steps.bookings.resource import render
from steps.bookings.shapes import CAUSE, STORE_ERRORS, about_a_booking
from steps.bookings.sql import statements
from steps.taxi_api import rides
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import Taxi

NEAR_S, FAR_S = 60, 900
"""How often to look: from half an hour before the pickup to the end, and before that."""
NEAR_BEFORE_S = 1800
OVERDUE_S = 6 * 3600
"""A ride that has not ended this long after its time needs people."""


@step(
    "track.look",
    input=about_a_booking(cause=CAUSE),
    output={
        "type": "object",
        "required": ["booking", "again_s"],
        "properties": {"again_s": {"type": ["integer", "null"]}},
    },
    errors={**ERRORS, **STORE_ERRORS},
    idempotency="natural",
)
def look(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Look at the ride once and take the booking where it is; `again_s` is null when nothing is left to follow.

    `cause`: the message that made us look, for the events.
    """
    with repository(ctx, reading=True) as repo:
        booking = repo.load(payload["booking_id"])
    if booking.terminal_at is None and booking.status not in following.OURS and booking.ride_ref is not None:
        booking = _apply(booking.booking_id, _read(booking, ctx), ctx, payload.get("cause"))
    with repository(ctx) as repo:
        again_s = _again(booking, repo)
    ctx.note(booking.status)
    return {"booking": render(booking), "again_s": again_s}


def _read(booking: Booking, ctx: StepContext) -> dict[str, Any] | None:
    """The ride; None when the taxi company does not know it.

    The first look is by our reference: it shows a second ride, which the answer to the create kept to itself.
    """
    with repository(ctx, reading=True) as repo:
        first = statements("looks.sql")["looks"].row(repo.db, booking_id=booking.booking_id) is None
    if first:
        found = Taxi(ctx).find(booking)
        if any(ride["ride_id"] != booking.ride_ref and ride["status"] not in rides.FELL_THROUGH for ride in found):
            ctx.log("there are several rides for one reference", warning=True, booking_id=booking.booking_id)
            with repository(ctx) as repo:
                Attempts(repo, booking).watch(now=True)
        own = [ride for ride in found if ride["ride_id"] == booking.ride_ref]
        if own:
            return own[0]
    try:
        return Taxi(ctx).get(str(booking.ride_ref))
    except StepError as problem:
        if problem.error != "Taxi.NotFound":
            raise
        return None


def _apply(booking_id: str, ride: dict[str, Any] | None, ctx: StepContext, cause: str | None) -> Booking:
    with repository(ctx, cause=cause) as repo:
        booking = repo.load(booking_id)
        if ride is None or ride["client_reference"] != booking.client_reference:
            ctx.log("the taxi company does not know a ride that it confirmed", warning=True, booking_id=booking_id)
            return repo.need_people(booking, "ride_not_known")
        return following.follow(repo, booking, ride, actor="supplier")


def _again(booking: Booking, repo: Repository) -> int | None:
    """Seconds until the next look, kept for the sweep; None once the booking has ended."""
    if booking.terminal_at is not None:
        statements("looks.sql")["no_more"].run(repo.db, booking_id=booking.booking_id)
        return None
    to_pickup = (parse(booking.pickup_time) - parse(repo.now)).total_seconds() - NEAR_BEFORE_S
    again_s = max(NEAR_S, min(FAR_S, int(to_pickup)))
    if booking.status in lifecycle().needs_ride and repo.now > later(booking.window_end, OVERDUE_S):
        repo.need_people(repo.load(booking.booking_id), "ride_does_not_end")
        again_s = FAR_S
    next_look_at = later(repo.now, again_s)
    statements("looks.sql")["looked"].run(
        repo.db, booking_id=booking.booking_id, now=repo.now, next_look_at=next_look_at
    )
    return again_s
