"""Steps that find out what became of a ride: after an unclear answer, and while the taxi company makes up its mind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine import StepContext, StepError, step
from steps.bookings.attempts import Attempts
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import parse
from steps.bookings.repository import out_of_step, repository
from steps.bookings.settings import flag
from steps.bookings.shapes import RIDE, STORE_ERRORS, about_a_booking
from steps.taxi_api import rides
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import CREATE_S, READ_S, Taxi

LOOKS_S = (0.5, 1.0, 2.0)
"""Waits before each look-up of a round: together they cover most of the look-up's lag."""
TRIES = 3
"""Creates per generation that may have reached the supplier."""
TOTAL_S = 44.0

DECIDED = ("Taxi.NotConfigured", "Taxi.NoVehicles", "Taxi.RideFailed", "Booking.Unknown")
"""Errors of a look that waiting will not change."""

FINDINGS = {
    "Taxi.RideFailed": "the taxi company ended the ride before it began",
    "Taxi.ProvenAbsent": "there is no ride, and none can come to be any more",
}


@step(
    "taxi.reconcile",
    input=about_a_booking(),
    output=RIDE,
    errors={**ERRORS, **STORE_ERRORS, **FINDINGS, "Taxi.StillUnknown": "it is not known whether there is a ride"},
    idempotency="keyed",
)
def reconcile(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Look the ride up by our reference; when it is not there, repeat the create with the same key.

    A create that was never clearly answered is repeated at most until three have been sent, each after three look-ups.
    """
    ends = ctx.now().timestamp() + ctx.remaining(TOTAL_S)
    booking, request = rides.stored(payload["booking_id"], ctx)
    _give_up_waiting_for_answers(booking, ctx)
    while True:
        found = _search(booking, ends, ctx)
        if found:
            ride = rides.adopt(found, booking, ctx)
            ctx.note(f"found {ride['ride_ref']}")
            return ride
        attempt = _next_create(booking, ends, ctx)
        try:
            ride = rides.create(booking, request, attempt, ctx, again=True)
        except StepError as problem:
            if problem.error not in rides.UNCLEAR:
                raise
        else:
            ctx.note(f"repeated: {ride['ride_ref']}")
            return ride


@step(
    "taxi.await",
    input=about_a_booking(),
    output=RIDE,
    errors={
        **STORE_ERRORS,
        **FINDINGS,
        "Taxi.NotConfigured": ERRORS["Taxi.NotConfigured"],
        "Taxi.NoVehicles": ERRORS["Taxi.NoVehicles"],
        "Taxi.KeySpent": "there is no ride, and its key is answered with an old error: ask with another",
        "Taxi.StillPending": "the taxi company has not decided yet; look again",
        "Taxi.ResolveDeadline": "the taxi company did not decide in time",
    },
    idempotency="natural",
)
def look(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Look once whether the ride is decided. The waiting is the flow's Retry: timers, not a process that sleeps."""
    booking, _ = rides.stored(payload["booking_id"], ctx)
    if booking.status in lifecycle().needs_ride:
        return _confirmed(booking)
    if booking.status != "PENDING_CONFIRMATION":
        raise out_of_step(booking, f"a booking that is {booking.status} awaits nothing")
    ride = None
    try:
        found = [Taxi(ctx).get(booking.ride_ref)] if booking.ride_ref else rides.look_up(booking, ctx)
        if found:
            ride = rides.adopt(found, booking, ctx)
    except StepError as problem:
        if problem.error in ("Taxi.NoVehicles", "Taxi.RideFailed"):
            _explain(booking, "FOUND", ctx)
        if problem.error in DECIDED:
            raise
        raise _not_yet(booking, ctx, str(problem.cause), problem.retry_after) from problem
    if ride is None and rides.proven_absent(booking, ctx):
        _explain(booking, "ABSENT", ctx)
        with repository(ctx) as repo:
            spent = rides.key_is_spent(booking, Attempts(repo, booking).creates(), ctx)
        if spent and parse(booking.doc["resolve_by"]) > ctx.now():
            raise StepError("Taxi.KeySpent", "nothing came of the first key: the ride can be asked for with another")
        raise StepError("Taxi.ProvenAbsent", "nothing was found, even after the last moment a create can take effect")
    if ride is None or ride["status"] == rides.PENDING:
        raise _not_yet(booking, ctx, "the ride is pending" if ride else "no ride is known")
    ctx.note(f"{ride['ride_ref']} {ride['status']}")
    return ride


def pause(ctx: StepContext, seconds: float) -> None:
    """Wait inside a step: on the engine's clock when the context offers that."""
    wait: Callable[[float], None] = getattr(ctx, "sleep", None) or time.sleep
    wait(seconds)


def _give_up_waiting_for_answers(booking: Booking, ctx: StepContext) -> None:
    """From now on a late answer to an earlier create changes nothing: what look-ups find decides.

    Raises Taxi.ProvenAbsent when no create of this generation can have made a ride.
    """
    with repository(ctx) as repo:
        attempts = Attempts(repo, booking)
        creates = attempts.creates()
        for attempt in creates:
            if attempt.outcome == "IN_FLIGHT":
                attempts.finish(attempt.attempt_id, "AMBIGUOUS", error="interrupted")
    if not any(attempt.may_have_made_a_ride for attempt in creates):
        raise StepError("Taxi.ProvenAbsent", "no create of this generation was sent, or all were refused")


def _search(booking: Booking, ends: float, ctx: StepContext) -> list[dict[str, Any]]:
    """One round of look-ups. Raises Taxi.StillUnknown when the last one gave no answer or time is up."""
    failed: StepError | None = None
    for wait in LOOKS_S:
        if ctx.now().timestamp() + wait + READ_S > ends:
            raise StepError("Taxi.StillUnknown", "no time is left to look the ride up")
        pause(ctx, wait)
        try:
            found = rides.look_up(booking, ctx, again=failed is not None)
        except StepError as problem:
            failed = problem
            continue
        if found:
            return found
        failed = None
    if failed is not None:
        # Repeating a create without having looked would trust the supplier's de-duplication alone.
        raise StepError("Taxi.StillUnknown", f"the look-up failed: {failed.cause}") from failed
    return []


def _next_create(booking: Booking, ends: float, ctx: StepContext) -> str:
    """Write the next create attempt. Raises Taxi.StillUnknown when enough were sent, or time is up."""
    with repository(ctx) as repo:
        present = repo.load(booking.booking_id)
        if present.status != "REQUESTED":
            raise out_of_step(present, f"a booking that is {present.status} asks for no ride")
        attempts = Attempts(repo, booking)
        sent = [attempt for attempt in attempts.creates() if attempt.outcome != "NOT_SENT"]
        if sent and flag(ctx.settings, "TAXI_REPLAYS_ERRORS", False):
            raise StepError("Taxi.StillUnknown", "the taxi company would answer the key with its first error again")
        if len(sent) >= TRIES:
            raise StepError("Taxi.StillUnknown", f"{len(sent)} creates had no clear answer")
        if ctx.now().timestamp() + CREATE_S > ends:
            raise StepError("Taxi.StillUnknown", "no time is left to repeat the create")
        return attempts.begin_create()


def _confirmed(booking: Booking) -> dict[str, Any]:
    """The ride of a booking that a message of the taxi company has confirmed meanwhile."""
    ride = booking.doc.get("ride") or {}
    price = {"amount_minor": booking.price_minor, "currency": booking.price_currency}
    known = {"ride_ref": booking.ride_ref, "status": ride.get("status") or "CONFIRMED", "price": price}
    return known if ride.get("sequence") is None else {**known, "sequence": ride["sequence"]}


def _explain(booking: Booking, resolution: str, ctx: StepContext) -> None:
    with repository(ctx) as repo:
        attempts = Attempts(repo, booking)
        attempts.resolve(resolution)
        if resolution == "ABSENT":
            attempts.watch()


def _not_yet(booking: Booking, ctx: StepContext, cause: str, retry_after: float | None = None) -> StepError:
    left = (parse(booking.doc["resolve_by"]) - ctx.now()).total_seconds()
    if left <= 0:
        return StepError("Taxi.ResolveDeadline", cause)
    return StepError("Taxi.StillPending", cause, retry_after=min(retry_after, left) if retry_after else None)
