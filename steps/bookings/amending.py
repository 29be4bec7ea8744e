"""A booking as its member wants to have it changed: the whole request, and what the taxi company is told of it. Pure.

While a change is under way the wanted request stands beside the valid one: `doc["amending"]` has it without its
personal part, which is kept with the other personal data as `amending`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steps.bookings.booking import Booking
from steps.bookings.moments import parse
from steps.bookings.requests import merged
from steps.taxi_api.operations import bags, people

FIELDS = ("pickup", "passengers", "luggage", "child_seats", "flight", "notes", "lead_passenger")
"""What may be changed, by the names that events tell."""
LONGEST_NOTES = 300


def requested(booking: Booking, personal: Mapping[str, Any], *, amended: bool) -> dict[str, Any]:
    """The booking's whole request: the valid one, or the wanted one."""
    if not amended:
        return merged(booking.request, personal.get("request", {}))
    return merged(booking.doc["amending"], personal.get("amending", {}))


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of the fields that differ."""
    return [name for name in FIELDS if before.get(name) != after.get(name)]


def amendment(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The RideAmendment that makes the one request of the other; empty when the taxi company need not know.

    What its contract has no field for goes into the notes for the driver.
    """
    told: dict[str, Any] = {}
    if before["pickup"]["time"] != after["pickup"]["time"]:
        told["pickup_time"] = after["pickup"]["time"]
    if before.get("flight") != after.get("flight"):
        told["flight_number"] = (after.get("flight") or {}).get("number", "")
    if people(before) != people(after):
        told["passengers"] = people(after)
    if bags(before) != bags(after):
        told["luggage"] = bags(after)
    extra = []
    if before["child_seats"] != after["child_seats"]:
        extra.append(f"Child seats: {after['child_seats']}.")
    if before["lead_passenger"]["phone"] != after["lead_passenger"]["phone"]:
        extra.append(f"Phone: {after['lead_passenger']['phone']}.")
    if extra or before.get("notes") != after.get("notes"):
        told["notes"] = " ".join([*extra, after.get("notes") or ""]).strip()[:LONGEST_NOTES]
    return told


def shows(ride: Mapping[str, Any], told: Mapping[str, Any], seen: str | None) -> bool | None:
    """Whether a ride shows that it was amended, as far as a ride shows it; None when it does not tell.

    `seen`: the state hash before the amendment was sent.
    """
    if ride["state_hash"] == seen:
        return False
    if "pickup_time" in told and "pickup_time" in ride:
        return parse(ride["pickup_time"]) == parse(told["pickup_time"])
    return None
