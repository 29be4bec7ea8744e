"""What a ride costs: quotes, and the fee for cancelling. Pure arithmetic on distance, vehicle class and time."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import Any

from steps.simulator.clock import rfc3339

QUOTE_LIFE_S = 300
FREE_CANCELLATION_MIN = 120
FREE_WAITING_MIN = 60

# class: (price factor, seats, bag places)
_VEHICLES = {
    "STANDARD": (1.0, 3, 2),
    "ELECTRIC": (1.1, 3, 2),
    "EXECUTIVE": (1.5, 3, 3),
    "MPV": (1.4, 6, 5),
    "MINIBUS": (1.9, 8, 8),
    "ACCESSIBLE": (1.0, 4, 2),
}
_BEFORE_THE_DRIVER_LEFT = frozenset({"CONFIRMED", "DRIVER_ASSIGNED"})


@dataclass(frozen=True, slots=True)
class Tariff:
    """The price list, in minor units of ``currency``: ``base`` plus ``per_km`` of road, times the class's factor.

    ``offers_terms``: whether a quote says what cancelling costs and how long a driver waits.
    """

    currency: str = "GBP"
    base_minor: int = 500
    per_km_minor: int = 175
    round_to_minor: int = 50
    offers_terms: bool = True

    def price(self, route: Route, surge: float = 1.0) -> int:
        amount = (self.base_minor + self.per_km_minor * route.road_km()) * _VEHICLES[route.vehicle_class][0] * surge
        return max(1, round(amount / self.round_to_minor)) * self.round_to_minor

    def money(self, amount_minor: int) -> dict[str, Any]:
        return {"amount_minor": amount_minor, "currency": self.currency}


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where, in which class of vehicle: what a price depends on. Points are (lat, lon) in degrees."""

    pickup: tuple[float, float]
    dropoff: tuple[float, float]
    vehicle_class: str

    def road_km(self) -> float:
        """Great-circle distance on a sphere of 6371 km, times 1.3 because roads bend."""
        lat1, lon1, lat2, lon2 = map(radians, (*self.pickup, *self.dropoff))
        chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
        return 1.3 * 2 * 6371 * asin(sqrt(min(1.0, chord)))


@dataclass(frozen=True, slots=True)
class Quote:
    """A fixed price for a route; ``pickup_time`` None is a car now, there in ``eta_min`` minutes."""

    quote_id: str
    route: Route
    amount_minor: int
    pickup_time: float | None
    eta_min: int
    airport: bool
    expires_at: float


def classes_for(passengers: int, wanted: str | None) -> list[str]:
    """The vehicle classes with enough seats, cheapest list order; only the wanted one if one is named."""
    return [name for name, (_, seats, _) in _VEHICLES.items() if seats >= passengers and wanted in (None, name)]


def render_quote(quote: Quote, tariff: Tariff) -> dict[str, Any]:
    """The Quote object of the contract."""
    _, seats, bags = _VEHICLES[quote.route.vehicle_class]
    body: dict[str, Any] = {
        "quote_id": quote.quote_id,
        "vehicle_class": quote.route.vehicle_class,
        "price": tariff.money(quote.amount_minor),
        "price_type": "FIXED",
        "max_passengers": seats,
        "max_luggage": bags,
        "pickup_type": "MEET_AND_GREET" if quote.airport else "DEFAULT",
        "expires_at": rfc3339(quote.expires_at),
    }
    if quote.pickup_time is None:
        body["eta_min"] = quote.eta_min
    if not tariff.offers_terms:
        return body
    body["free_waiting_min"] = FREE_WAITING_MIN
    if quote.pickup_time is None:
        body["cancellation"] = [{"kind": "BEFORE_DRIVER_EN_ROUTE", "fee": tariff.money(0)}]
    else:
        body["cancellation"] = [
            {"kind": "TIME_BEFORE_PICKUP", "minutes": FREE_CANCELLATION_MIN, "fee": tariff.money(0)},
            {"kind": "TIME_BEFORE_PICKUP", "minutes": 0, "fee": tariff.money(half(quote.amount_minor))},
        ]
    return body


def half(amount_minor: int) -> int:
    return (amount_minor + 1) // 2


def cancellation_fee(amount_minor: int, pickup_time: float | None, status: str, now: float) -> tuple[int, float | None]:
    """The fee in minor units for cancelling now, and until when that holds (None: until the ride's status changes).

    Scheduled: nothing until 120 min before pickup, half until pickup, then all. Car now: nothing until the driver
    leaves. A ride still looking for a car costs nothing.
    """
    if status == "PENDING":
        return 0, None
    if pickup_time is None:
        return (0 if status in _BEFORE_THE_DRIVER_LEFT else amount_minor), None
    free_until = pickup_time - FREE_CANCELLATION_MIN * 60
    if now < free_until:
        return 0, free_until
    if now < pickup_time:
        return half(amount_minor), pickup_time
    return amount_minor, None
