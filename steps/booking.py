"""Steps that write the booking itself. Each is one transaction of the engine's database, the step's result included."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import failures, identifiers, requests
from steps.bookings.attempts import Attempts
from steps.bookings.booking import PROVIDER, Booking
from steps.bookings.keys import SETTING, Sealed
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later, parse, stamp
from steps.bookings.owners import member_ref
from steps.bookings.personal import MEMBER_REF_KEY, opened, sealed_with
from steps.bookings.repository import Repository, out_of_step, repository
from steps.bookings.resource import render
from steps.bookings.settings import number
from steps.bookings.shapes import BOOKING_ID, CAUSE, ERROR, QUOTE, RIDE, STORE_ERRORS, about_a_booking

OUTBOX_LIMIT = 10_000
BLOCK_MIN = 90
OFFER = {**QUOTE, "type": ["object", "null"]}
ABOUT_THE_PRICE = ("Rules.Rejected", "Taxi.PriceChanged", "Taxi.QuoteExpired")
"""After these errors a booking's last quote is what the ride would cost; after any other it says nothing."""
LONGEST_RESOLVE_S, SHORTEST_RESOLVE_S = 600.0, 60.0


@step(
    "booking.request",
    input={"type": "object"},
    output={"type": "object", "required": ["booking_id"], "properties": {"booking_id": BOOKING_ID}},
    errors={
        "Booking.InvalidRequest": "the request breaks its schema; the cause lists places and reasons",
        "Outbox.Full": "too many events wait to be published: no booking is taken on",
        "Db.Unavailable": STORE_ERRORS["Db.Unavailable"],
    },
    transactional=True,
)
def request(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Take on a booking: check the request, write the row REQUESTED with its first transition and event.

    Payload: `{member_id, request, request_id?}`; the request as in schemas/booking-create.json.
    """
    now = ctx.now()
    sealed_by = sealed_with(payload, "request")
    booking_id = identifiers.booking_id(ctx.execution, ctx.idempotency_key, now)
    with repository(ctx) as repo:
        payload = _opened(repo, payload)
        whole = requests.complete(_valid(payload), now)
        rest, personal = requests.split(whole)
        pickup, locale = whole["pickup"]["time"], whole["lead_passenger"].get("locale")
        doc = {"request": rest, "locale": locale, "request_id": payload.get("request_id")}
        limit = int(number(ctx.settings, "OUTBOX_LIMIT", OUTBOX_LIMIT))
        if repo.queued_events(limit) >= limit:
            raise StepError("Outbox.Full", f"{limit} events wait to be published")
        row = {
            "booking_id": booking_id,
            "reference": _free_reference(repo, booking_id),
            "member_ref": member_ref(payload["member_id"], ctx),
            "airport_iata": whole["airport_iata"],
            "lounge_code": whole["lounge_context"]["lounge_code"],
            "pickup_time": pickup,
            "window_end": later(pickup, 60 * number(ctx.settings, "TRIP_BLOCK_MIN", BLOCK_MIN)),
            "max_price_minor": (whole.get("price") or {}).get("max_amount_minor"),
        }
        booking = repo.insert(row, doc, {"member_id": payload["member_id"], "request": personal}, sealed_by)
    unset = [name for name in (MEMBER_REF_KEY, SETTING) if not ctx.settings.get(name)]
    if unset:
        ctx.log(f"{' and '.join(unset)} not set: the demonstration keys are used, which are no secret", warning=True)
    ctx.note(f"booking {booking.reference}")
    return {"booking_id": booking.booking_id, "reference": booking.reference}


@step(
    "booking.pending",
    input=about_a_booking(ride={**RIDE, "type": ["object", "null"]}),
    output="booking.json",
    errors=STORE_ERRORS,
    transactional=True,
)
def pending(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The supplier has not decided, or nobody knows whether a ride exists: wait until the resolve deadline."""
    ride = payload.get("ride")
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status != "PENDING_CONFIRMATION":
            trigger = "ride_pending" if ride else "ride_outcome_unknown"
            changes = _with_ride(booking, ride) if ride else {"doc": booking.doc}
            changes["doc"] = {**changes["doc"], "resolve_by": _resolve_by(booking, repo)}
            if ride:
                Attempts(repo, booking).resolve("FOUND", ride["ride_ref"])
            booking = repo.transition(booking, trigger, **changes)
    ctx.note(f"until {booking.doc['resolve_by']}")
    return render(booking)


@step(
    "booking.confirm",
    input=about_a_booking(ride=RIDE, cause=CAUSE),
    output="booking.json",
    errors={**STORE_ERRORS, "Booking.PriceAboveMaximum": "the ride costs more than the member agreed to"},
    transactional=True,
)
def confirm(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The ride exists: booking row, transition and event in one transaction. `cause`: the message that told of it."""
    ride = payload["ride"]
    with repository(ctx, cause=payload.get("cause")) as repo:
        booking = repo.load(payload["booking_id"])
        if not _rides(booking, ride["ride_ref"]):
            quote = booking.doc.get("quote")
            price = ride.get("price") or booking.doc["quote"]
            amount, most = price["amount_minor"], booking.max_price_minor
            if most is not None and amount > most:
                raise StepError("Booking.PriceAboveMaximum", "the ride's price is above the member's maximum")
            if quote is not None and (price["currency"] != quote["currency"] or amount > quote["amount_minor"]):
                raise StepError("Booking.PriceAboveMaximum", "the ride's price is not the one that was quoted")
            Attempts(repo, booking).resolve("FOUND", ride["ride_ref"])
            changes = {**_with_ride(booking, ride), "price_minor": amount, "price_currency": price["currency"]}
            booking = repo.transition(booking, "ride_confirmed", **changes)
    ctx.note(f"ride {booking.ride_ref}")
    return render(booking)


@step(
    "booking.current",
    input=about_a_booking(),
    output="booking.json",
    errors={name: STORE_ERRORS[name] for name in ("Db.Unavailable", "Booking.Unknown")},
    idempotency="natural",
)
def current(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The booking as it is now."""
    with repository(ctx) as repo:
        return render(repo.load(payload["booking_id"]))


@step(
    "booking.compensating",
    input=about_a_booking(error=ERROR),
    output="booking.json",
    errors=STORE_ERRORS,
    transactional=True,
)
def compensating(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The booking is given up, but a ride may exist: it must be cancelled before anybody is told."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status != "COMPENSATING":
            trigger = "resolve_deadline" if booking.status == "PENDING_CONFIRMATION" else "compensate"
            booking = repo.transition(booking, trigger, detail=(payload.get("error") or {}).get("Error"))
    return render(booking)


@step(
    "booking.reject",
    input=about_a_booking(error=ERROR, quote=OFFER),
    output="booking.json",
    errors=STORE_ERRORS,
    transactional=True,
)
def reject(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The rules or the slot said no: the member is told which rules, and why; a price that was too high, as `quote`."""
    error = (payload.get("error") or {}).get("Error") or ""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status != "REJECTED":
            failed = _failed_rules(booking) if error == "Rules.Rejected" else []
            code = failures.code_of(error, after_a_ride=False, rules=[])
            told = failures.rejection(failed) if failed else failures.failure(code)
            told = failures.with_offer(told, payload.get("quote"), ctx.now())
            booking = _end(repo, booking, "rules_failed", told)
    ctx.note(str(booking.failure_code))
    return render(booking)


@step(
    "booking.fail",
    input=about_a_booking(error=ERROR, quote=OFFER),
    output="booking.json",
    errors={
        **STORE_ERRORS,
        "Booking.RideUnexplained": "a ride may exist: it must be found, proven absent or cancelled first",
    },
    transactional=True,
)
def fail(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """There is no ride and nothing is left behind: the member is told what went wrong and what to do."""
    error = (payload.get("error") or {}).get("Error") or ""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status != "FAILED":
            attempts = Attempts(repo, booking)
            if any(attempt.unexplained for attempt in attempts.all("CREATE")):
                raise StepError("Booking.RideUnexplained", "a create call has had no clear answer yet")
            rules = [rule["code"] for rule in _failed_rules(booking)]
            code = failures.code_of(error, after_a_ride=booking.status == "COMPENSATING", rules=rules)
            if "rebooking" in booking.doc:
                code = "rebooking_failed"  # whatever the reason: the ride that the member had is gone
            offer = payload.get("quote") if error in ABOUT_THE_PRICE else None
            told = failures.with_offer(failures.failure(code), offer, ctx.now())
            booking = _end(repo, booking, _failing(booking, error, attempts), told)
    if failures.is_ours(booking.failure_code):
        about = {"booking_id": booking.booking_id, "request_id": booking.doc.get("request_id")}
        ctx.log("a booking failed for a reason of ours", warning=True, error=error, **about)
    ctx.note(str(booking.failure_code))
    return render(booking)


def _opened(repo: Repository, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with its request as it was given. Raises StepError Booking.InvalidRequest."""
    try:
        return opened(repo.vault, payload, "request")
    except Sealed as problem:
        raise StepError("Booking.InvalidRequest", f"/request: {problem}") from problem


def _valid(payload: Any) -> dict[str, Any]:
    """The normalised request. Raises StepError Booking.InvalidRequest; the cause repeats no value of the request."""
    wrong = []
    member = payload.get("member_id")
    if not isinstance(member, str) or not 1 <= len(member) <= 64:
        wrong.append("/member_id: must be a text of 1 to 64 characters")
    if not isinstance(payload.get("request_id", ""), str) or len(payload.get("request_id", "")) > 128:
        wrong.append("/request_id: must be a text of at most 128 characters")
    asked = requests.normalise(payload.get("request"))
    wrong += [f"/request{line}" for line in requests.problems(asked)]
    if wrong:
        raise StepError("Booking.InvalidRequest", "; ".join(wrong))
    return dict(asked)


def _free_reference(repo: Repository, booking_id: str) -> str:
    candidates = (identifiers.reference(booking_id, attempt) for attempt in range(100))
    return next(candidate for candidate in candidates if not repo.reference_taken(candidate))


def _resolve_by(booking: Booking, repo: Repository) -> str:
    now = parse(repo.now)
    half = (parse(booking.pickup_time) - now).total_seconds() / 2
    longest = number(repo.settings, "RESOLVE_LONGEST_S", LONGEST_RESOLVE_S)
    return stamp(now + timedelta(seconds=max(SHORTEST_RESOLVE_S, min(longest, half))))


def _rides(booking: Booking, ride_ref: str) -> bool:
    """Whether the booking is confirmed with that ride, by a message of the taxi company for example, or beyond that."""
    return booking.status in lifecycle().needs_ride and booking.ride_ref == ride_ref


def _with_ride(booking: Booking, ride: dict[str, Any]) -> dict[str, Any]:
    doc = {**booking.doc, "ride": {key: ride.get(key) for key in ("status", "sequence")}}
    return {"ride_provider": PROVIDER, "ride_ref": ride["ride_ref"], "doc": doc}


def _failed_rules(booking: Booking) -> list[dict[str, Any]]:
    """What the rules refused, as the decision records of the booking have it."""
    decisions = booking.doc.get("decisions") or {}
    return [error for decision in decisions.values() for error in decision["errors"]]


def _failing(booking: Booking, error: str, attempts: Attempts) -> str:
    """The edge to FAILED that tells how it is known that there is no ride. Raises out-of-step errors."""
    if booking.status == "REQUESTED":
        return "no_ride"
    if booking.status == "PENDING_CONFIRMATION":
        return "ride_proven_absent" if error == "Taxi.ProvenAbsent" else "ride_failed"
    if booking.status == "COMPENSATING":
        cancelled = any(attempt.resolution == "CANCELLED" for attempt in attempts.all("CANCEL"))
        return "ride_cancelled" if cancelled else "ride_proven_absent"
    raise out_of_step(booking, f"a booking that is {booking.status} cannot fail")


def _end(repo: Repository, booking: Booking, trigger: str, told: dict[str, Any]) -> Booking:
    doc = {**booking.doc, "failure": told}
    return repo.transition(booking, trigger, detail=told["code"], failure_code=told["code"], doc=doc)
