"""Steps that ask the taxi company for a price, a ride, or an end to it.

Writing comes first: after a crash the rows say what may have happened.
"""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import money
from steps.bookings.amending import requested
from steps.bookings.attempts import Attempts
from steps.bookings.repository import out_of_step, repository
from steps.bookings.requests import merged
from steps.bookings.shapes import QUOTE, RIDE, STORE_ERRORS, about_a_booking
from steps.bookings.terms import with_terms
from steps.context import UNAVAILABLE
from steps.taxi_api import rides
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.offers import offers

REASONS = {"enum": ["MEMBER_REQUEST", "COMPENSATION", "DUPLICATE", "OPS"]}
FAILED = {"Taxi.RideFailed": "the taxi company ended the ride before it began"}


@step(
    "taxi.quote",
    input=about_a_booking(amended={"type": ["boolean", "null"]}),
    output=QUOTE,
    errors={**ERRORS, **STORE_ERRORS, **UNAVAILABLE},
    idempotency="natural",
)
def quote(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The cheapest valid offer in the wanted class, or the very quote that the member saw, with all terms.

    `amended`: for the request as the member wants to have it changed.
    """
    with repository(ctx, reading=True) as repo:
        booking, personal = repo.load_whole(payload["booking_id"])
    request = requested(booking, personal, amended=bool(payload.get("amended")))
    best = with_terms(offers(request, ctx)[0], request, ctx)
    ctx.note(money.shown(best["amount_minor"], best["currency"]))
    return best


@step(
    "taxi.book",
    input=about_a_booking(quote=QUOTE),
    output=RIDE,
    errors={**ERRORS, **STORE_ERRORS, **FAILED},
    idempotency="keyed",
)
def book(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Create the ride: the attempt is a row before the call, and its outcome a row after it."""
    with repository(ctx) as repo:
        booking, personal = repo.load_whole(payload["booking_id"])
        attempts = Attempts(repo, booking)
        creates = attempts.creates()
        spent = rides.key_is_spent(booking, creates, ctx)
        if booking.status != "REQUESTED" and not (booking.status == rides.WAITING and creates):
            raise out_of_step(booking, f"a booking that is {booking.status} asks for no ride")
        if not spent and any(attempt.may_have_made_a_ride for attempt in creates):
            raise StepError("Taxi.Ambiguous", "an earlier create of this generation was interrupted")
        # A refused quote proves that its generation has no ride: another quote is another ride, with another key.
        generation = booking.generation + int(spent or attempts.outdated())
        doc = {**booking.doc, "quote": payload["quote"]}
        booking = repo.update(booking, ride_generation=generation, doc=doc)
        attempt = attempts.of(booking).begin_create()
        request = merged(booking.request, personal.get("request", {}))
    ride = rides.create(booking, request, attempt, ctx, again=ctx.attempt > 1)
    ctx.note(f"{ride['ride_ref']} {ride['status']}")
    return ride


@step(
    "taxi.cancel",
    input=about_a_booking(reason=REASONS),
    output={"type": "object", "required": ["cancelled"]},
    errors={**ERRORS, **STORE_ERRORS, "Taxi.StillUnknown": "a ride may still turn up"},
    idempotency="keyed",
)
def cancel(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Cancel the ride by its id when it is known, and by reference while a create is unexplained; keep watching."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
    known, references = rides.left_behind(booking, ctx)
    for ride_ref in known:
        rides.cancel_ride(ride_ref, payload["reason"], ctx)
    cancelled = len(known)
    for reference in references:
        cancelled += rides.cancel_reference(booking, reference, payload["reason"], ctx)
    rides.note_cancelled(booking, cancelled, ctx)
    ctx.note(f"{cancelled} cancelled")
    return {"cancelled": cancelled}
