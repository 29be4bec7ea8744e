"""A booking as a value: its row, taken apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steps.bookings.identifiers import client_reference

PROVIDER = "globaltaxi"


@dataclass(frozen=True, slots=True)
class Booking:
    """One row of `bookings`. `doc` is the part without columns of its own: request (without personal fields), quote,
    ride, failure, entitlement, decisions, `resolve_by`, …"""

    booking_id: str
    reference: str
    member_ref: str
    status: str
    version: int
    ride_provider: str | None
    ride_ref: str | None
    ride_generation: int
    airport_iata: str
    lounge_code: str
    pickup_time: str
    window_end: str
    price_minor: int | None
    price_currency: str | None
    max_price_minor: int | None
    failure_code: str | None
    attention: int
    doc: dict[str, Any]
    created_at: str
    updated_at: str
    terminal_at: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Booking:
        """The booking of a row as the database gave it."""
        return cls(**{**row, "doc": json.loads(row["doc"])})

    @property
    def request(self) -> dict[str, Any]:
        """The request without its personal fields."""
        request: dict[str, Any] = self.doc["request"]
        return request

    @property
    def generation(self) -> int:
        """The generation of the ride that is, or would be, created: at least 1."""
        return max(1, self.ride_generation)

    @property
    def client_reference(self) -> str:
        """The supplier's name for the ride of the present generation."""
        return client_reference(self.booking_id, self.generation)

    @property
    def price(self) -> dict[str, Any] | None:
        """`{amount_minor, currency, type}` once there is one."""
        if self.price_minor is None:
            return None
        kind = (self.doc.get("quote") or {}).get("price_type", "FIXED")
        return {"amount_minor": self.price_minor, "currency": self.price_currency, "type": kind}
