"""The Global Taxi contract: its promises in numbers, its refusals, and the schemas of what clients send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from steps.simulator.shapes import Schema

ENDED = frozenset(
    {
        "COMPLETED",
        "CANCELLED_BY_CLIENT",
        "CANCELLED_BY_DRIVER",
        "CANCELLED_BY_SUPPLIER",
        "NO_SHOW",
        "NO_VEHICLES",
        "FAILED",
    }
)
LIFE = (
    "PENDING",
    "CONFIRMED",
    "DRIVER_ASSIGNED",
    "DRIVER_EN_ROUTE",
    "DRIVER_ARRIVED",
    "PASSENGER_ON_BOARD",
    "COMPLETED",
)
STATUSES = frozenset(LIFE) | ENDED
OPERATIONS = (
    "createToken",
    "createQuotes",
    "createRide",
    "findRides",
    "getRide",
    "amendRide",
    "quoteCancellation",
    "cancelRide",
    "cancelByReference",
    "trackRide",
)


@dataclass(frozen=True, slots=True)
class Contract:
    """What the supplier promises, and therefore does. Times: ``_s`` seconds, ``_h`` hours of the simulator's clock.

    ``rate_limit`` is calls per hour and operation; None sets no limit (the real contract says 200).
    ``max_commit_delay_s`` and ``read_lag_s`` are upper bounds: a fault plan that goes beyond them is refused.
    """

    max_commit_delay_s: float = 120
    read_lag_s: float = 5
    idempotency_ttl_h: float = 24
    idempotency_replays_errors: bool = False
    tombstones: bool = True
    dedupes_creates: bool = True
    rate_limit: int | None = None
    webhook_attempts: int = 7


TITLES = {
    "invalid_request": (422, "The request is not valid"),
    "token_expired": (401, "The access token is missing or no longer valid"),
    "forbidden": (403, "Not allowed"),
    "not_found": (404, "No such resource"),
    "method_not_allowed": (405, "The resource has no such method"),
    "ride_not_found": (404, "No such ride"),
    "no_vehicles_available": (409, "No vehicle is available"),
    "quote_expired": (409, "The quote is no longer valid"),
    "price_changed": (409, "The price has changed"),
    "duplicate_client_reference": (409, "A ride with this client reference exists"),
    "reference_cancelled": (409, "Rides with this client reference were cancelled"),
    "ride_in_progress": (409, "The ride is in progress"),
    "too_late": (409, "It is too late for that"),
    "fee_changed": (409, "The cancellation fee has changed"),
    "stale_state": (412, "The ride has changed meanwhile"),
    "payload_too_large": (413, "The request body is too large"),
    "rate_limited": (429, "Too many requests"),
    "internal_error": (500, "Something went wrong"),
    "bad_gateway": (502, "No valid answer from upstream"),
    "service_unavailable": (503, "The service is not available"),
    "gateway_timeout": (504, "No answer from upstream in time"),
}


@dataclass(eq=False)
class Refusal(Exception):
    """A problem answer of the supplier (RFC 9457): ``code`` from TITLES, more members in ``extra``.

    ``executed`` False promises that the request had no effect; None leaves it open, and the member out.
    """

    code: str
    detail: str = ""
    status: int = 0
    executed: bool | None = False
    retry_after: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.status = self.status or TITLES[self.code][0]

    def body(self) -> dict[str, Any]:
        """The problem document: type, title, status and code always, the other members where they say something."""
        title = TITLES[self.code][1] if self.code in TITLES else self.code
        body: dict[str, Any] = {"type": f"/problems/{self.code}", "title": title, "status": self.status}
        body["code"] = self.code
        if self.detail:
            body["detail"] = self.detail
        if self.executed is not None:
            body["executed"] = self.executed
        return {**body, **self.extra}


_MONEY: Schema = {
    "type": "object",
    "required": ["amount_minor", "currency"],
    "properties": {"amount_minor": {"type": "integer"}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
}
_POINT: Schema = {
    "type": "object",
    "required": ["lat", "lon"],
    "properties": {
        "lat": {"type": "number", "minimum": -90, "maximum": 90},
        "lon": {"type": "number", "minimum": -180, "maximum": 180},
    },
}
_TEXT: Schema = {"type": "string"}
_STOP: Schema = {
    "type": "object",
    "required": ["point"],
    "properties": {"point": _POINT, "airport_iata": _TEXT, "terminal": _TEXT, "address": _TEXT, "country": _TEXT},
}
_TIME_OR_NOW: Schema = {"type": ["string", "null"], "format": "date-time"}
VEHICLE_CLASSES = ("STANDARD", "EXECUTIVE", "MPV", "MINIBUS", "ACCESSIBLE", "ELECTRIC")

QUOTE_REQUEST: Schema = {
    "type": "object",
    "required": ["pickup", "dropoff", "passengers"],
    "properties": {
        "pickup": _STOP,
        "dropoff": _STOP,
        "pickup_time": _TIME_OR_NOW,
        "passengers": {"type": "integer", "minimum": 1},
        "luggage": {"type": "integer", "minimum": 0},
        "vehicle_class": {"enum": VEHICLE_CLASSES},
    },
}
RIDE_REQUEST: Schema = {
    "type": "object",
    "required": ["client_reference", "quote_id", "passenger", "pickup", "dropoff"],
    "properties": {
        "client_reference": {"type": "string", "minLength": 1, "maxLength": 64},
        "quote_id": _TEXT,
        "max_price": _MONEY,
        "pickup_time": _TIME_OR_NOW,
        "pickup": _STOP,
        "dropoff": _STOP,
        "passenger": {
            "type": "object",
            "required": ["first_name", "last_name", "phone"],
            "properties": {"first_name": _TEXT, "last_name": _TEXT, "phone": _TEXT, "locale": _TEXT},
        },
        "passengers": {"type": "integer"},
        "luggage": {"type": "integer"},
        "child_seats": {"type": "integer"},
        "flight_number": _TEXT,
        "name_board": _TEXT,
        "notes": {"type": "string", "maxLength": 300},
    },
}
RIDE_AMENDMENT: Schema = {
    "type": "object",
    "properties": {
        "pickup_time": {"type": "string", "format": "date-time"},
        "flight_number": _TEXT,
        "passengers": {"type": "integer"},
        "luggage": {"type": "integer"},
        "notes": _TEXT,
    },
}
CANCELLATION: Schema = {
    "type": "object",
    "required": ["reason"],
    "properties": {"reason": {"enum": ("MEMBER_REQUEST", "COMPENSATION", "DUPLICATE", "OPS")}, "max_fee": _MONEY},
}
