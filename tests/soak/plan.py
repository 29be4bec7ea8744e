"""What a soak asks for, drawn by lot from its seed: the faults of the taxi company, members, their rides and whims."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from steps.simulator.catalogue import catalogue
from tests.booking.world import asap

RARE: Final = ("F02", "F03", "F20", "F53")
"""Faults that strike all bookings of a moment, not one: doors that shut, a Retry-After of an hour, a flood. They have a
twentieth of the others' rate."""
SCHEDULED, AGAIN, TOO_MUCH = 0.3, 0.1, 0.03
"""Shares of rides for a later time; of a member who has asked before; of requests that break a rule."""
CANCELS, CHANGES, REPEATS, PRIES = 0.15, 0.3, 0.2, 0.05
LIVES: Final[list[dict[str, Any]]] = [
    {"after_s": 5, "to": status}
    for status in ("DRIVER_ASSIGNED", "DRIVER_EN_ROUTE", "DRIVER_ARRIVED", "PASSENGER_ON_BOARD", "COMPLETED")
]
"""A ride that is over within half a minute."""
QUICK = 0.3


def faults(rate: float, hang_s: float | None) -> dict[str, Any]:
    """Every entry of the catalogue, each with `rate` as its share of the calls that it can strike."""
    entries = []
    for name, found in catalogue().items():
        for entry in found["plan"]["faults"]:
            kept = {key: value for key, value in entry.items() if key not in ("nth", "times")}
            entries.append({**kept, "probability": rate / 20 if name in RARE else rate})
    found: dict[str, Any] = {"faults": [*entries, *calm()["faults"]], "defaults": {"drive": True}}
    return found if hang_s is None else {**found, "hang_s": hang_s}


def calm() -> dict[str, Any]:
    """No fault at all; some rides are quick."""
    quick = {"op": "createRide", "fault": "life", "probability": QUICK, "params": {"steps": LIVES}}
    return {"faults": [quick], "defaults": {"drive": True}}


@dataclass(frozen=True, slots=True)
class Wish:
    """One booking as a client of the soak asks for it, and what else it does about it."""

    number: int
    member: str
    key: str
    request: dict[str, Any]
    cancels: bool
    changes: bool
    repeats: bool
    pries: bool


def member(number: int) -> str:
    """The id of a member of the soak."""
    return f"mem_soak_{number}"


def wishes(seed: int, count: int, now: datetime) -> list[Wish]:
    """The bookings of a soak. Nearly all pass the rules: each has a member, and a route, of its own.

    A member who asks again may find the time taken, as in life.
    """
    lot = random.Random(seed)
    return [_wish(lot, seed, number, now) for number in range(count)]


def _wish(lot: random.Random, seed: int, number: int, now: datetime) -> Wish:
    request = deepcopy(asap()["request"])
    dropoff = request["dropoff"]["point"]
    # A price that has changed is the price of its route from then on: the others' must not be touched.
    dropoff["lat"] = round(dropoff["lat"] + lot.uniform(-0.02, 0.02), 6)
    dropoff["lon"] = round(dropoff["lon"] + lot.uniform(-0.02, 0.02), 6)
    scheduled = lot.random() < SCHEDULED
    if scheduled:
        pickup = (now + timedelta(minutes=lot.randrange(180, 20 * 24 * 60))).astimezone(UTC)
        request["pickup"] |= {"type": "SCHEDULED", "time": pickup.isoformat(timespec="seconds").replace("+00:00", "Z")}
        request["flight"] = {"number": "EK999", "date": pickup.date().isoformat()}
    if lot.random() < 0.5:
        request["price"] = {"max_amount_minor": 6000, "currency": "GBP"}
    if lot.random() < TOO_MUCH:
        request["luggage"] = {"large": 9, "small": 0}
    again = number > 20 and lot.random() < AGAIN
    return Wish(
        number,
        member(lot.randrange(number) if again else number),
        f"soak-{seed}-booking-{number:08d}",
        request,
        cancels=lot.random() < CANCELS,
        changes=scheduled and lot.random() < CHANGES,
        repeats=lot.random() < REPEATS,
        pries=lot.random() < PRIES,
    )


def members(count: int) -> dict[str, Any]:
    """The members' reference data."""
    return {
        member(number): {
            "member": {"id": member(number), "blocked": False, "adult": True, "outstanding_minor": 0},
            "membership": {"status": "ACTIVE", "valid_to": "2099-12-31T23:59:59Z", "tier": "PRESTIGE"},
            "usage": {"rides_in_period": 0},
        }
        for number in range(count)
    }
