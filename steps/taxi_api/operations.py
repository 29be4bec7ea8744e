"""The operations of the Global Taxi API that bookings need, with their time limits and reply shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote as quoted

from engine import StepContext, StepError, traceparent
from steps.bookings.booking import Booking
from steps.bookings.identifiers import create_key
from steps.bookings.moments import parse
from steps.taxi_api.client import Call, TaxiClient
from steps.taxi_api.health import CANCEL, CREATE, QUOTE, READ, health_of
from steps.taxi_api.hedging import hedge_of

QUOTE_S, CREATE_S, READ_S, CANCEL_S, TRACK_S = 4.0, 8.0, 3.0, 5.0, 2.0


class Taxi:
    """The taxi company, as far as one step's call lasts. `again`: an earlier call failed, and this one repeats it."""

    def __init__(self, ctx: StepContext, *, again: bool = False) -> None:
        self._ctx = ctx
        self._again = again
        self._client = TaxiClient(ctx.settings, ctx.now)

    def quotes(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """POST /quotes; no side effect."""
        body = quote_request(request)
        found: list[dict[str, Any]] = self._ask(QUOTE, "POST", "/quotes", "quotes", QUOTE_S, body=body)["quotes"]
        return found

    def create(self, booking: Booking, request: Mapping[str, Any]) -> dict[str, Any]:
        """POST /rides with the booking's key and reference of the present generation."""
        headers = {"Idempotency-Key": create_key(booking.booking_id, booking.generation)}
        body = ride_request(booking, request)
        return _own(
            booking.client_reference, self._call(CREATE, "POST", "/rides", "ride", CREATE_S, body=body, headers=headers)
        )

    def find(self, booking: Booking) -> list[dict[str, Any]]:
        """The rides of the booking's present generation, newest first; may lag a create."""
        return self.find_reference(booking.client_reference)

    def find_reference(self, reference: str) -> list[dict[str, Any]]:
        """GET /rides?client_reference=…, newest first; may lag a create."""
        found = self._ask(READ, "GET", "/rides", "rides", READ_S, query={"client_reference": reference})
        return [_own(reference, ride) for ride in found["rides"]]

    def get(self, ride_id: str) -> dict[str, Any]:
        """GET /rides/{ride_id}. Raises Taxi.NotFound."""
        return self._ask(READ, "GET", f"/rides/{quoted(ride_id, safe='')}", "ride", READ_S)

    def amend(self, ride_id: str, changes: Mapping[str, Any], state_hash: str) -> dict[str, Any]:
        """PATCH /rides/{ride_id} if its state is still the one that was seen. Raises Taxi.StaleState, Taxi.TooLate."""
        headers = {"If-Match": f'"{state_hash}"', "Content-Type": "application/merge-patch+json"}
        path = f"/rides/{quoted(ride_id, safe='')}"
        return self._call(CREATE, "PATCH", path, "ride", CREATE_S, body=changes, headers=headers)

    def cancellation_fee(self, ride_id: str) -> dict[str, Any]:
        """GET /rides/{ride_id}/cancellation: `{fee, valid_until?}` of cancelling now; changes nothing."""
        return self._call(READ, "GET", f"/rides/{quoted(ride_id, safe='')}/cancellation", "fee", READ_S)

    def cancel(self, ride_id: str, reason: str, max_fee: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """PUT /rides/{ride_id}/cancellation at no more than `max_fee`; repeating it is harmless.

        Raises Taxi.FeeChanged, Taxi.TooLate.
        """
        body = {"reason": reason, **({"max_fee": max_fee} if max_fee is not None else {})}
        return self._call(CANCEL, "PUT", f"/rides/{quoted(ride_id, safe='')}/cancellation", "ride", CANCEL_S, body=body)

    def track(self, ride_id: str) -> dict[str, Any]:
        """GET /rides/{ride_id}/tracking: `{status, updated_at, position?, heading_deg?, eta?}`."""
        return self._call(READ, "GET", f"/rides/{quoted(ride_id, safe='')}/tracking", "tracking", TRACK_S)

    def cancel_reference(self, reference: str) -> list[str]:
        """PUT /references/{reference}/cancellation: cancels its rides and refuses later ones."""
        path = f"/references/{quoted(reference, safe='')}/cancellation"
        cancelled: list[str] = self._call(CANCEL, "PUT", path, "cancelled", CANCEL_S)["cancelled"]
        return cancelled

    def _ask(self, operation: str, method: str, path: str, reply: str, seconds: float, **parts: Any) -> dict[str, Any]:
        """A call that changes nothing: asked once more when the answer takes long."""

        def ask(second: bool) -> dict[str, Any]:
            return self._call(operation, method, path, reply, seconds, second=second, **parts)

        return hedge_of(self._client.base, f"{method} {reply}").first(ask)

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        reply: str,
        seconds: float,
        *,
        second: bool = False,
        **parts: Any,
    ) -> dict[str, Any]:
        health = health_of(self._client.base)[operation]
        health.enter(self._now(), again=self._again or second)
        parts["headers"] = {"traceparent": traceparent(self._ctx.execution), **parts.get("headers", {})}
        try:
            answer = self._client.call(Call(method, path, reply, self._ctx.remaining(seconds), **parts))
        except StepError as problem:
            health.leave(self._now(), problem.error, problem.retry_after)
            raise
        except BaseException:
            health.abandon()
            raise
        health.leave(self._now(), None)
        return answer

    def _now(self) -> float:
        return self._ctx.now().timestamp()


def quote_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """The QuoteRequest for a whole booking request."""
    return {
        "pickup": _stop(request["pickup"], request if request["direction"] == "FROM_AIRPORT" else None),
        "dropoff": _stop(request["dropoff"], request if request["direction"] == "TO_AIRPORT" else None),
        "pickup_time": _pickup_time(request),
        "passengers": max(1, people(request)),
        "luggage": bags(request),
        "vehicle_class": request["vehicle_class"],
    }


def ride_request(booking: Booking, request: Mapping[str, Any]) -> dict[str, Any]:
    """The RideRequest; made from stored facts alone, so that a repeat is the same request."""
    asked = quote_request(request)
    quote, lead = booking.doc["quote"], request["lead_passenger"]
    most = booking.max_price_minor if booking.max_price_minor is not None else quote["amount_minor"]
    body = {
        "client_reference": booking.client_reference,
        "quote_id": quote["quote_id"],
        "max_price": {"amount_minor": most, "currency": quote["currency"]},
        **{key: asked[key] for key in ("pickup_time", "pickup", "dropoff", "passengers", "luggage")},
        "passenger": {key: lead[key] for key in ("first_name", "last_name", "phone", "locale") if key in lead},
        "child_seats": request["child_seats"],
        "flight_number": (request.get("flight") or {}).get("number"),
        "name_board": request["pickup"].get("name_board"),
        "notes": request.get("notes"),
    }
    return {key: value for key, value in body.items() if value is not None or key == "pickup_time"}


def people(request: Mapping[str, Any]) -> int:
    """Everyone who travels."""
    return sum(request["passengers"][kind] for kind in ("adults", "children", "infants"))


def bags(request: Mapping[str, Any]) -> int:
    """Bag places: large ones, and half of the small ones, rounded up."""
    return int(request["luggage"]["large"] + (request["luggage"]["small"] + 1) // 2)


def expired(quote: Mapping[str, Any], now: datetime) -> bool:
    """Whether a quote's time is over. Raises StepError Taxi.BadResponse when it names no time."""
    try:
        return parse(quote["expires_at"]) <= now
    except ValueError:
        raise StepError("Taxi.BadResponse", "a quote says no moment in expires_at") from None


def _stop(stop: Mapping[str, Any], airport: Mapping[str, Any] | None) -> dict[str, Any]:
    body = {key: stop[key] for key in ("point", "terminal", "address", "country") if key in stop}
    return {**body, "airport_iata": airport["airport_iata"]} if airport else body


def _pickup_time(request: Mapping[str, Any]) -> str | None:
    pickup = request["pickup"]
    return pickup["time"] if pickup["type"] == "SCHEDULED" else None


def _own(reference: str, ride: dict[str, Any]) -> dict[str, Any]:
    if ride["client_reference"] != reference:
        raise StepError("Taxi.BadResponse", "the answer is about another reference than the one asked for")
    return ride
