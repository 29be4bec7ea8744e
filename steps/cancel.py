"""Steps of a member's cancellation: the fee first, then the intent as a status, then the taxi company."""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import cancelling
from steps.bookings.attempts import Attempts
from steps.bookings.booking import PROVIDER, Booking
from steps.bookings.following import RIDE as OUR_WORDS
from steps.bookings.following import changes, seen, storable
from steps.bookings.keys import Sealed
from steps.bookings.owners import NOT_FOUND, owned
from steps.bookings.personal import opened
from steps.bookings.repository import CANCELLING, Repository, repository
from steps.bookings.resource import render
from steps.bookings.shapes import BOOKING_ID, CAUSE, MONEY, STORE_ERRORS, Shape, about_a_booking
from steps.bookings.sql import statements
from steps.taxi_api import rides
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import Taxi

MEMBER_REQUEST = "MEMBER_REQUEST"
LONGEST_REASON = 300
REASON: Shape = {"type": ["string", "object", "null"], "maxLength": LONGEST_REASON}

UNKEPT = ("REQUESTED", "PENDING_CONFIRMATION")
"""Statuses of bookings without a known ride."""


@step(
    "cancel.load",
    input={
        "type": "object",
        "required": ["booking_id", "member_id"],
        "properties": {"booking_id": BOOKING_ID, "member_id": {"type": ["string", "null"]}},
    },
    output={"type": "object", "required": ["booking", "settled"]},
    errors={"Db.Unavailable": STORE_ERRORS["Db.Unavailable"], **NOT_FOUND},
    idempotency="natural",
)
def load(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The member's booking; `settled` when it is cancelled, or being cancelled, already."""
    with repository(ctx) as repo:
        booking = owned(repo, payload["booking_id"], payload["member_id"], ctx)
    return {"booking": render(booking), "settled": booking.status in CANCELLING}


@step(
    "cancel.fee",
    input=about_a_booking(),
    output={"type": "object", "required": ["fee", "fee_display", "valid_until"]},
    errors=STORE_ERRORS,
    idempotency="natural",
)
def fee(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """What cancelling costs now: the taxi company's own word, else the terms of the quote; nothing without a ride."""
    with repository(ctx) as repo:
        booking, now = repo.load(payload["booking_id"]), repo.now
    found = {**cancelling.fee_by_terms(booking, now), "source": "TERMS"}
    if booking.ride_ref is not None:
        try:
            said = Taxi(ctx).cancellation_fee(booking.ride_ref)
            found = {"fee": said["fee"], "valid_until": said.get("valid_until"), "source": "SUPPLIER"}
        except StepError as problem:
            # Then the booking's own terms hold, and the taxi company has the last word when it cancels.
            ctx.log("the taxi company did not tell the fee", booking_id=booking.booking_id, error=problem.error)
    ctx.note(cancelling.shown(found["fee"]))
    return {**found, "fee_display": cancelling.shown(found["fee"])}


@step(
    "cancel.begin",
    input=about_a_booking(fee=MONEY, reason=REASON, request_id=CAUSE),
    output={"type": "object", "required": ["booking", "dispatched"]},
    errors=STORE_ERRORS,
    transactional=True,
)
def begin(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The member wants no ride any more: from here on the booking belongs to the cancellation.

    A booking that never asked for a ride is over at once. `reason`: the member's own words, which are kept with the
    personal data and told to nobody; to all others the reason is that the member asked.
    """
    with repository(ctx, cause=payload.get("request_id")) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status not in CANCELLING:
            _keep_reason(repo, booking, payload)
            asked = {
                "by": "MEMBER",
                "reason": MEMBER_REQUEST,
                "fee": payload["fee"],
                "requested_at": repo.now,
                "cancelled_at": None,
            }
            doc = {**booking.doc, "cancellation": asked, "cancelled_from": booking.status, "cancel_request": repo.cause}
            dispatched = booking.status != "REQUESTED" or any(
                attempt.may_have_made_a_ride for attempt in Attempts(repo, booking).all("CREATE")
            )
            if dispatched:
                booking = repo.transition(booking, "member_cancel", actor="member", doc=doc)
            else:
                doc["cancellation"] = {**asked, "cancelled_at": repo.now}
                booking = repo.transition(booking, "member_cancel_before_dispatch", actor="member", doc=doc)
                statements("queries.sql")["delete_slot"].run(repo.db, booking_id=booking.booking_id)
    return {"booking": render(booking), "dispatched": booking.status == "CANCELLATION_PENDING"}


def _keep_reason(repo: Repository, booking: Booking, payload: dict[str, Any]) -> None:
    try:
        words = opened(repo.vault, payload, "reason").get("reason")
    except Sealed:
        return  # not sealed here, or forgotten already
    if isinstance(words, str) and words:
        personal = repo.personal(booking.booking_id)
        repo.change_personal(booking.booking_id, {**personal, "cancellation_reason": words[:LONGEST_REASON]})


@step(
    "cancel.ride",
    input=about_a_booking(max_fee={**MONEY, "type": ["object", "null"]}),
    output={"type": "object", "required": ["cancelled", "fee"]},
    errors={
        **ERRORS,
        **STORE_ERRORS,
        "Taxi.StillUnknown": "a ride may still turn up",
    },
    idempotency="keyed",
)
def ride(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Cancel the ride by its id when it is known, and by reference while a create is unexplained; keep watching.

    `max_fee`: what the member accepted. Repeating it is harmless.
    """
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
    most, fees = payload.get("max_fee"), []
    if most is not None and not most["amount_minor"] and most["currency"] == cancelling.NO_CURRENCY:
        most = None
    known, references = rides.left_behind(booking, ctx)
    for ride_ref in known:
        ended = rides.cancel_ride(ride_ref, MEMBER_REQUEST, ctx, most)
        fees.append((ended or {}).get("cancellation_fee"))
    cancelled = len(known)
    for reference in references:
        cancelled += rides.cancel_reference(booking, reference, MEMBER_REQUEST, ctx)
    rides.note_cancelled(booking, cancelled, ctx)
    ctx.note(f"{cancelled} cancelled")
    return {"cancelled": cancelled, "fee": next((fee for fee in fees if fee is not None), None)}


@step(
    "cancel.finish",
    input=about_a_booking(outcome={"type": "object"}),
    output="booking.json",
    errors=STORE_ERRORS,
    transactional=True,
)
def finish(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """There is no ride any more: CANCELLED. A free cancellation gives the ride of the allowance back."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        repo.cause = booking.doc.get("cancel_request")
        if booking.status != "CANCELLED":
            booking = _over(repo, booking, payload["outcome"])
    return render(booking)


def _over(repo: Repository, booking: Booking, outcome: dict[str, Any]) -> Booking:
    asked = booking.doc.get("cancellation") or {}
    cost = outcome.get("fee") or asked.get("fee")
    if not outcome.get("cancelled"):
        cost = {**cost, "amount_minor": 0} if cost else None
    doc = {**booking.doc, "cancellation": {**asked, "fee": cost, "cancelled_at": repo.now}}
    booking = repo.transition(booking, "ride_cancelled" if outcome.get("cancelled") else "ride_proven_absent", doc=doc)
    if not (cost and cost["amount_minor"]):
        statements("queries.sql")["delete_slot"].run(repo.db, booking_id=booking.booking_id)
    return booking


@step(
    "cancel.look",
    input=about_a_booking(),
    output={"type": ["object", "null"]},
    errors={**ERRORS, **STORE_ERRORS},
    idempotency="natural",
)
def look(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any] | None:
    """The ride as the taxi company has it, after it refused to cancel; null when no single ride is known."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
    known, _ = rides.left_behind(booking, ctx)
    return storable(Taxi(ctx).get(known[0])) if known else None


@step(
    "cancel.refuse",
    input=about_a_booking(ride={"type": ["object", "null"]}, error={"type": ["object", "null"]}),
    output="booking.json",
    errors={
        **STORE_ERRORS,
        "Booking.RideUnexplained": "it never had a ride that could be kept, and where one is now is not known",
    },
    transactional=True,
)
def refuse(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The taxi company keeps the ride: the booking goes back to where its ride really is. A ride that has ended
    without a passenger meanwhile ends the booking as cancelled, at no cost."""
    now_at, detail = payload.get("ride"), (payload.get("error") or {}).get("Error")
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        repo.cause = booking.doc.get("cancel_request")
        if booking.status == "CANCELLATION_PENDING":
            booking = _back(repo, booking, now_at, detail)
    ctx.note(booking.status)
    return render(booking)


def _back(repo: Repository, booking: Booking, ride: dict[str, Any] | None, detail: str | None) -> Booking:
    status, trigger = OUR_WORDS.get((ride or {}).get("status", ""), (str(booking.doc.get("cancelled_from")), ""))
    if trigger == "supplier_cancelled":
        return _over(repo, booking, {"cancelled": 0})
    if status in UNKEPT:
        raise StepError("Booking.RideUnexplained", f"a booking that was {status} cannot go back to a ride")
    kept: dict[str, Any] = {"doc": {**booking.doc}}
    if ride is not None:
        kept = {**changes(booking, ride, trigger), "ride_provider": PROVIDER, "ride_ref": ride["ride_id"]}
        kept["doc"]["ride"] = seen(booking, ride)
        if booking.price_minor is None and "quote" in booking.doc:  # cancelled before it was confirmed
            quote = booking.doc["quote"]
            kept |= {"price_minor": quote["amount_minor"], "price_currency": quote["currency"]}
            Attempts(repo, booking).resolve("FOUND", ride["ride_id"])
    if trigger in ("ride_completed", "passenger_no_show"):
        return repo.transition(booking, trigger, detail=detail, **kept)
    kept["doc"]["cancellation"] = None
    return repo.transition(booking, "cancel_refused", to=status, detail=detail, **kept)
