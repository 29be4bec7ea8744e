"""The booking as others see it: schemas/booking.json, without personal data."""

from __future__ import annotations

from typing import Any

from steps.bookings.booking import PROVIDER, Booking
from steps.bookings.moments import later, local
from steps.bookings.terms import ALWAYS


def render(booking: Booking) -> dict[str, Any]:
    """The booking resource."""
    doc, request = booking.doc, booking.request
    zone = doc.get("airport_timezone")
    pickup = {key: value for key, value in request["pickup"].items() if key != "time"}
    area = doc.get("dropoff_area")
    return {
        "booking_id": booking.booking_id,
        "reference": booking.reference,
        "status": booking.status,
        "version": booking.version,
        "attention": bool(booking.attention),
        "direction": request["direction"],
        "airport_iata": booking.airport_iata,
        "airport_timezone": zone,
        "lounge_context": request["lounge_context"],
        "pickup": {**pickup, "time": booking.pickup_time, "local_time": local(booking.pickup_time, zone)},
        "dropoff": {"country": request["dropoff"]["country"], **({"area": area} if area else {})},
        "passengers": request["passengers"],
        "luggage": request["luggage"],
        "vehicle_class": request["vehicle_class"],
        "flight": request.get("flight"),
        "price": booking.price,
        "ride": _ride(booking),
        "cancellation_policy": cancellation_policy(booking),
        "entitlement": doc.get("entitlement"),
        "failure": doc.get("failure"),
        "cancellation": doc.get("cancellation"),
        "amendment": doc.get("amendment"),
        "created_at": booking.created_at,
        "updated_at": booking.updated_at,
        "links": _links(booking.booking_id),
    }


def cancellation_policy(booking: Booking) -> list[dict[str, Any]] | None:
    """What cancelling costs until when, by the terms of the ride's quote; None while there is no ride with a price.

    When all terms are over, it costs the whole price.
    """
    if booking.price_minor is None or booking.ride_ref is None:
        return None
    terms = (booking.doc.get("quote") or {}).get("cancellation") or ()
    steps = [{"until": _until(booking, term), "fee": term["fee"]} for term in terms]
    if not steps or steps[-1]["until"] is not None:
        steps.append({"until": None, "fee": {"amount_minor": booking.price_minor, "currency": booking.price_currency}})
    return steps


def _until(booking: Booking, term: dict[str, Any]) -> str | None:
    """When a term ends: minutes before pickup, when the driver sets off (a word, for no time is known), or never."""
    if term["kind"] == ALWAYS:
        return None
    if term["kind"] == "TIME_BEFORE_PICKUP":
        return later(booking.pickup_time, -60 * int(term.get("minutes", 0)))
    return "DRIVER_EN_ROUTE"


def _ride(booking: Booking) -> dict[str, Any] | None:
    if booking.ride_ref is None:
        return None
    ride = booking.doc.get("ride") or {}
    return {
        "provider": booking.ride_provider or PROVIDER,
        "ride_ref": booking.ride_ref,
        "status": ride.get("status"),
        "free_waiting_min": (booking.doc.get("quote") or {}).get("free_waiting_min"),
        "driver": ride.get("driver"),
        "vehicle": ride.get("vehicle"),
    }


def _links(booking_id: str) -> dict[str, str]:
    own = f"/v1/bookings/{booking_id}"
    return {"self": own, "tracking": f"{own}/tracking", "cancellation": f"{own}/cancellation"}
