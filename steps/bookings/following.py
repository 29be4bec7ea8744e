"""A booking follows its ride: from what the taxi company says to edges of the lifecycle.

`steps_to` decides and is pure; `follow` carries it out in the repository's transaction. A ride that says what the
lifecycle cannot do (an ended booking whose ride goes on, a word nobody knows) changes no status: people are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from steps.bookings.booking import Booking
from steps.bookings.lifecycle import Lifecycle, lifecycle
from steps.bookings.repository import Repository
from steps.bookings.sql import statements

RIDE: Final = {
    "CONFIRMED": ("CONFIRMED", "driver_unassigned"),
    "DRIVER_ASSIGNED": ("DRIVER_ASSIGNED", "driver_assigned"),
    "DRIVER_EN_ROUTE": ("DRIVER_EN_ROUTE", "driver_en_route"),
    "DRIVER_ARRIVED": ("DRIVER_ARRIVED", "driver_arrived"),
    "PASSENGER_ON_BOARD": ("IN_PROGRESS", "passenger_on_board"),
    "COMPLETED": ("COMPLETED", "ride_completed"),
    "NO_SHOW": ("NO_SHOW", "passenger_no_show"),
    "CANCELLED_BY_CLIENT": ("CANCELLED", "supplier_cancelled"),
    "CANCELLED_BY_DRIVER": ("CANCELLED", "supplier_cancelled"),
    "CANCELLED_BY_SUPPLIER": ("CANCELLED", "supplier_cancelled"),
    "NO_VEHICLES": ("CANCELLED", "supplier_cancelled"),
    "FAILED": ("CANCELLED", "supplier_cancelled"),
}
"""The taxi company's words: the booking's status, and the trigger that leads there."""

BY: Final = {"CANCELLED_BY_CLIENT": "OPS", "CANCELLED_BY_DRIVER": "DRIVER"}
DRIVER: Final = ("first_name", "phone", "photo_url")
VEHICLE: Final = ("make", "model", "colour", "plate")
FIELDS: Final = (
    *("ride_id", "client_reference", "status", "state_hash", "sequence", "price", "final_price", "cancellation_fee"),
    *("pickup_time", "driver", "vehicle"),
)
"""What the contract has of a ride."""
OURS: Final = ("CANCELLATION_PENDING", "REQUESTED", "PENDING_CONFIRMATION", "COMPENSATING")
"""Statuses in which another flow writes the booking: what the ride says is for that flow to find out."""


class Impossible(Exception):
    """The ride says what the booking cannot become."""


def steps_to(booking: Booking, ride: Mapping[str, Any], cycle: Lifecycle) -> Sequence[str]:
    """The triggers that bring the booking where its ride is, in order; none when it is there. Raises Impossible."""
    if ride["status"] not in RIDE:
        raise Impossible(f"{ride['status']} is no status of the contract")
    status, trigger = RIDE[ride["status"]]
    if status == booking.status:
        driver_is_new = status == "DRIVER_ASSIGNED" and driver_of(ride) not in (None, booking.doc.get("driver"))
        return ["driver_changed"] if driver_is_new else []
    if (booking.status, trigger) in cycle.edges:
        return [trigger]
    # Another driver takes over: to the member the first one is lost and the second one found.
    if (booking.status, "driver_unassigned") in cycle.edges and ("CONFIRMED", trigger) in cycle.edges:
        return ["driver_unassigned", trigger]
    raise Impossible(f"the ride is {ride['status']}, the booking {booking.status}")


def follow(repo: Repository, booking: Booking, ride: Mapping[str, Any], *, actor: str) -> Booking:
    """Take the booking where its ride is, with events; what cannot be is noted once and calls people.

    `ride`: a ride of the contract; one older than the last one seen changes nothing. Raises as `transition` does.
    """
    last = (booking.doc.get("ride") or {}).get("sequence")
    if last is not None and ride["sequence"] < last:
        return booking  # an answer that was overtaken
    known = seen(booking, ride)
    if known != booking.doc.get("ride"):
        booking = repo.update(booking, doc={**booking.doc, "ride": known})
    if booking.terminal_at is not None or booking.status in OURS:
        return _priced_after_the_end(repo, booking, ride)
    try:
        triggers = steps_to(booking, ride, lifecycle())
    except Impossible:
        return repo.need_people(booking, "impossible_status")
    for trigger in triggers:
        further = changes(booking, ride, trigger)
        if trigger == "supplier_cancelled":
            further["doc"]["cancellation"]["cancelled_at"] = repo.now
        booking = repo.transition(booking, trigger, actor=actor, detail=ride["status"], **further)
        if trigger == "supplier_cancelled":
            statements("queries.sql")["delete_slot"].run(repo.db, booking_id=booking.booking_id)
    price = ride.get("final_price") or {}
    if booking.status == "COMPLETED" and triggers and price.get("amount_minor", 0) > (booking.price_minor or 0):
        booking = repo.need_people(booking, "dearer_than_agreed")
    return booking


def _priced_after_the_end(repo: Repository, booking: Booking, ride: Mapping[str, Any]) -> Booking:
    """The receipt has been told when the taxi company names another price: people put it right."""
    price = (ride.get("final_price") or {}).get("amount_minor", booking.price_minor)
    if booking.status != "COMPLETED" or price == booking.price_minor or booking.attention:
        return booking
    return repo.need_people(booking, "price_after_the_end")


def seen(booking: Booking, ride: Mapping[str, Any]) -> dict[str, Any]:
    """What the booking remembers of its ride: status, sequence, driver, vehicle; no driver's number beyond the end."""
    known = {**(booking.doc.get("ride") or {}), "status": ride["status"], "sequence": ride["sequence"]}
    going = RIDE.get(ride["status"], ("",))[0] not in lifecycle().terminal
    driver = ride.get("driver") or {}
    known["driver"] = {
        key: masked(driver[key]) if key == "phone" else driver[key]
        for key in DRIVER
        if key in driver and (going or key == "first_name")
    } or None
    vehicle = ride.get("vehicle") or {}
    known["vehicle"] = {key: vehicle[key] for key in VEHICLE if key in vehicle} or None
    return known


def storable(ride: Mapping[str, Any]) -> dict[str, Any]:
    """The ride as a step may answer it, for the engine's history keeps what steps answer: no driver's number, and
    nothing that the contract does not have."""
    kept = {key: ride[key] for key in FIELDS if key in ride}
    if "driver" in kept:
        kept["driver"] = {
            key: masked(value) if key == "phone" else value for key, value in kept["driver"].items() if key in DRIVER
        }
    if "vehicle" in kept:
        kept["vehicle"] = {key: value for key, value in kept["vehicle"].items() if key in VEHICLE}
    return kept


def changes(booking: Booking, ride: Mapping[str, Any], trigger: str) -> dict[str, Any]:
    """The columns that go with a trigger: who drives, who cancelled and at what price, what the ride cost."""
    doc = {**booking.doc, "driver": None if trigger == "driver_unassigned" else driver_of(ride)}
    if trigger in ("supplier_cancelled", "passenger_no_show"):
        agreed = (booking.doc.get("quote") or {}).get("no_show_fee") if trigger == "passenger_no_show" else None
        doc["cancellation"] = {
            "by": BY.get(ride["status"], "SUPPLIER"),
            "reason": ride["status"],
            "fee": ride.get("cancellation_fee", agreed),
            "requested_at": None,
            "cancelled_at": None,
        }
    if trigger != "ride_completed":
        return {"doc": doc}
    # Whatever the taxi company asks in the end: the member pays no more than was agreed.
    asked = (ride.get("final_price") or {}).get("amount_minor", booking.price_minor)
    price = min(int(asked or 0), booking.price_minor or 0)
    doc["loyalty"] = {"eligible": bool(price), "basis_minor": price or 0, "currency": booking.price_currency}
    return {"doc": doc, "price_minor": price}


def driver_of(ride: Mapping[str, Any]) -> dict[str, Any] | None:
    """What events tell of the driver: first name, car, plate; None while there is none."""
    driver, vehicle = ride.get("driver") or {}, ride.get("vehicle") or {}
    found = {
        "first_name": driver.get("first_name"),
        "vehicle": " ".join(vehicle[key] for key in ("colour", "make", "model") if vehicle.get(key)) or None,
        "plate": vehicle.get("plate"),
    }
    return {key: value for key, value in found.items() if value} or None


def masked(phone: str) -> str:
    """A phone number with its middle hidden: `+44•••••••23`; all of one that is too short to have a middle."""
    shown = 5 if len(phone) >= 10 else 0
    return f"{phone[:3]}{'•' * (len(phone) - shown)}{phone[-2:]}" if shown else "•" * len(phone)
