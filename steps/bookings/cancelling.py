"""What cancelling a booking costs by its own terms."""

from __future__ import annotations

from typing import Any

from steps.bookings import money
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.resource import cancellation_policy

NO_CURRENCY = "XXX"
"""ISO 4217 for no currency: nothing costs nothing in any of them."""


def fee_by_terms(booking: Booking, now: str) -> dict[str, Any]:
    """`{fee, valid_until}` of cancelling at `now`: by the terms of the ride's quote, nothing while there is no ride."""
    rank = lifecycle().rank
    for term in cancellation_policy(booking) or ():
        until = term["until"]
        if until == "DRIVER_EN_ROUTE":
            if rank.get(booking.status, 0) < rank["DRIVER_EN_ROUTE"]:
                return {"fee": term["fee"], "valid_until": None}
        elif until is None or now < until:
            return {"fee": term["fee"], "valid_until": until}
    return {"fee": {"amount_minor": 0, "currency": _currency(booking)}, "valid_until": None}


def shown(fee: dict[str, Any]) -> str:
    """The fee as people write it."""
    return money.shown(fee["amount_minor"], fee["currency"]) if fee["amount_minor"] else "nothing"


def _currency(booking: Booking) -> str:
    quote, asked = booking.doc.get("quote") or {}, booking.request.get("price") or {}
    return booking.price_currency or quote.get("currency") or asked.get("currency") or NO_CURRENCY
