"""One ride at the supplier: what it is, how it moves through its life, and how the contract shows it.

The rules, all in this file:

* A ride's status changes only in ``Ride.move``; every change adds one to ``sequence`` and yields one event.
* An ended ride never changes again, unless the caller says ``force`` (to play a supplier that contradicts itself).
* A ride is *live* while a car may still come or drive: from PENDING up to PASSENGER_ON_BOARD.
* No personal data of the passenger is kept; drivers are invented.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from steps.simulator.clock import rfc3339
from steps.simulator.contract import ENDED, LIFE, STATUSES, Refusal
from steps.simulator.pricing import Quote, Tariff, cancellation_fee

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DRIVERS = ("Mira", "Tomas", "Ade", "Ines", "Yusuf", "Lena", "Kofi", "Sana")
_CARS = (("Toyota", "Prius", "white"), ("Skoda", "Superb", "black"), ("Volvo", "V90", "grey"), ("Kia", "Niro", "blue"))
_ROLLING_S = 600
_ENDED_WITHOUT_TRIP = ENDED - {"COMPLETED", "NO_SHOW"}


def token(*parts: object, length: int = 12) -> str:
    """A short name that depends on nothing but its parts: the same seed and calls give the same names."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return "".join(_ALPHABET[byte % 32] for byte in digest[:length])


@dataclass(frozen=True, slots=True)
class RideEvent:
    """One change of one ride, as webhooks tell it. ``at``: seconds since 1970 of the simulator's clock."""

    type: str
    at: float
    ride_id: str
    client_reference: str
    sequence: int
    status: str
    reason: str | None = None
    redispatching: bool | None = None

    def body(self) -> dict[str, Any]:
        """The RideEvent object of the contract."""
        data: dict[str, Any] = {"ride_id": self.ride_id, "client_reference": self.client_reference}
        data |= {"sequence": self.sequence, "status": self.status}
        if self.reason is not None:
            data["reason"] = self.reason
        if self.redispatching is not None:
            data["redispatching"] = self.redispatching
        return {"type": self.type, "timestamp": rfc3339(self.at), "data": data}


@dataclass(slots=True)
class Ride:
    """One ride. ``pickup_time`` None: as soon as possible. ``details``: the fields a client may amend, without notes.

    ``events`` is the supplier's list of changes, shared by all rides.
    """

    ride_id: str
    client_reference: str
    quote: Quote
    created_at: float
    status: str
    pickup_time: float | None
    details: dict[str, Any]
    events: list[RideEvent]
    sequence: int = 1
    changed_at: float = 0.0
    drivers: int = 0
    has_driver: bool = False
    extra_fee_minor: int = 0
    cancellation_fee_minor: int | None = None
    final_price_minor: int | None = None

    def __post_init__(self) -> None:
        self.changed_at = self.created_at
        self._tell("ride.status_changed", self.created_at)

    @property
    def live(self) -> bool:
        return self.status not in ENDED

    @property
    def state_hash(self) -> str:
        return token(self.ride_id, self.sequence, self.status, sorted(self.details.items()), length=16)

    def move(
        self, to: str, now: float, *, reason: str | None = None, redispatching: bool | None = None, force: bool = False
    ) -> None:
        """Take the status ``to``; Refusal too_late when the ride has ended and ``force`` is not said."""
        if to not in STATUSES:
            raise Refusal("invalid_request", f"to: must be one of {', '.join(sorted(STATUSES))}")
        if not self.live and not force:
            raise Refusal("too_late", f"the ride has ended as {self.status}")
        kind = "ride.driver_changed" if to == self.status == "DRIVER_ASSIGNED" else "ride.status_changed"
        if to == "DRIVER_ASSIGNED" or (to in LIFE[3:6] and not self.has_driver):
            self.drivers += 1
            self.has_driver = True
        elif to in ("PENDING", "CONFIRMED"):
            self.has_driver = False
        self.status = to
        self.changed_at = now
        if to == "NO_SHOW":
            self.cancellation_fee_minor = self.quote.amount_minor
        elif to in _ENDED_WITHOUT_TRIP and self.cancellation_fee_minor is None:
            self.cancellation_fee_minor = 0
        self.sequence += 1
        self._tell(kind, now, reason, redispatching)
        if to == "COMPLETED":
            self.final_price_minor = self.quote.amount_minor
            self.sequence += 1
            self._tell("ride.final_price", now)

    def next_status(self) -> str:
        """The next status of an undisturbed life; an ended ride stays as it is."""
        return LIFE[LIFE.index(self.status) + 1] if self.live else self.status

    def fee(self, now: float) -> tuple[int, float | None]:
        """What cancelling costs in minor units, and until when; for a cancelled ride what it did cost."""
        if self.cancellation_fee_minor is not None:
            return self.cancellation_fee_minor, None
        amount, until = cancellation_fee(self.quote.amount_minor, self.pickup_time, self.status, now)
        return amount + self.extra_fee_minor, until

    def cancel(self, reason: str, now: float) -> None:
        """End as CANCELLED_BY_CLIENT at the fee of this moment; a ride that ended without a trip stays as it is."""
        if self.status in _ENDED_WITHOUT_TRIP:
            return
        if self.status == "PASSENGER_ON_BOARD":
            raise Refusal("ride_in_progress", "the passenger is on board")
        if not self.live:
            raise Refusal("too_late", f"the ride has ended as {self.status}")
        self.cancellation_fee_minor, _ = self.fee(now)
        self.move("CANCELLED_BY_CLIENT", now, reason=reason)

    def amend(self, changes: dict[str, Any], pickup_time: float | None, now: float) -> None:
        if self.status == "PASSENGER_ON_BOARD":
            raise Refusal("ride_in_progress", "the passenger is on board")
        if self.status not in LIFE[:3]:
            raise Refusal("too_late", f"the ride is {self.status}")
        self.details |= changes
        self.pickup_time = self.pickup_time if pickup_time is None else pickup_time
        self.sequence += 1
        self._tell("ride.amended", now)

    def _tell(self, kind: str, now: float, reason: str | None = None, redispatching: bool | None = None) -> None:
        seen = (self.ride_id, self.client_reference, self.sequence, self.status)
        self.events.append(RideEvent(kind, now, *seen, reason, redispatching))


def render_ride(ride: Ride, tariff: Tariff) -> dict[str, Any]:
    """The Ride object of the contract."""
    pickup = ride.pickup_time if ride.pickup_time is not None else ride.created_at + ride.quote.eta_min * 60
    body: dict[str, Any] = {
        "ride_id": ride.ride_id,
        "client_reference": ride.client_reference,
        "status": ride.status,
        "state_hash": ride.state_hash,
        "sequence": ride.sequence,
        "price": tariff.money(ride.quote.amount_minor),
        "pickup_time": rfc3339(pickup),
    }
    if ride.final_price_minor is not None:
        body["final_price"] = tariff.money(ride.final_price_minor)
    if ride.cancellation_fee_minor is not None:
        body["cancellation_fee"] = tariff.money(ride.cancellation_fee_minor)
    if ride.has_driver:
        chosen = int(hashlib.sha256(f"{ride.ride_id}/{ride.drivers}".encode()).hexdigest(), 16)
        make, model, colour = _CARS[chosen % len(_CARS)]
        body["driver"] = {
            "first_name": _DRIVERS[chosen % len(_DRIVERS)],
            "phone": f"+447700900{chosen % 1000:03d}",  # numbers reserved for fiction
            "photo_url": f"https://taxi.example/drivers/{chosen % 1000}.jpg",
        }
        plate = token(ride.ride_id, ride.drivers, length=7)
        body["vehicle"] = {"make": make, "model": model, "colour": colour, "plate": plate}
    return body


def render_tracking(ride: Ride, now: float) -> dict[str, Any]:
    """Status and time of the last sign of life; a position, heading and eta while a driver is on the way or driving."""
    body: dict[str, Any] = {"status": ride.status, "updated_at": rfc3339(now if ride.live else ride.changed_at)}
    pickup, dropoff = ride.quote.route.pickup, ride.quote.route.dropoff
    rolled = min(1.0, max(0.0, now - ride.changed_at) / _ROLLING_S)
    legs = {
        "DRIVER_ASSIGNED": ((pickup[0] + 0.03, pickup[1] - 0.03), pickup, 0.0),
        "DRIVER_EN_ROUTE": ((pickup[0] + 0.03, pickup[1] - 0.03), pickup, rolled),
        "DRIVER_ARRIVED": (pickup, dropoff, 0.0),
        "PASSENGER_ON_BOARD": (pickup, dropoff, rolled),
    }
    if ride.status in legs:
        start, end, part = legs[ride.status]
        lat, lon = (start[axis] + (end[axis] - start[axis]) * part for axis in (0, 1))
        body["position"] = {"lat": round(lat, 6), "lon": round(lon, 6)}
        body["heading_deg"] = 135 if end is pickup else 90
        body["eta"] = rfc3339(round(now + _ROLLING_S * (1 - part)))
    return body
