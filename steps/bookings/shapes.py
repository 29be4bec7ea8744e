"""Shapes of what steps take and give, as JSON Schemas, and the errors that every step of a booking may raise."""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]

BOOKING_ID: Shape = {"type": "string", "pattern": "^bkg_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
CAUSE: Shape = {"type": ["string", "null"], "maxLength": 200}
"""The id of the request or message that a step acts upon."""
ERROR: Shape = {
    "type": ["object", "null"],
    "properties": {"Error": {"type": ["string", "null"]}, "Cause": {"type": ["string", "null"]}},
}
MONEY: Shape = {
    "type": "object",
    "required": ["amount_minor", "currency"],
    "properties": {
        "amount_minor": {"type": "integer", "minimum": 0},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
}
QUOTE: Shape = {
    "type": "object",
    "required": ["quote_id", "amount_minor", "currency", "price_type", "expires_at", "vehicle_class"],
    "properties": {
        "quote_id": {"type": "string"},
        "amount_minor": {"type": "integer", "minimum": 0},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "price_type": {"type": "string"},
        "expires_at": {"type": "string"},
        "vehicle_class": {"type": "string"},
    },
}
RIDE: Shape = {
    "type": "object",
    "required": ["ride_ref", "status"],
    "properties": {
        "ride_ref": {"type": "string"},
        "status": {"type": "string"},
        "sequence": {"type": "integer"},
        "price": {"type": ["object", "null"]},
    },
}


def about_a_booking(**properties: Shape) -> Shape:
    """An input that names a booking and has these further properties; those that may not be null are required."""
    required = [name for name, shape in properties.items() if "null" not in shape.get("type", ())]
    return {
        "type": "object",
        "required": ["booking_id", *required],
        "properties": {"booking_id": BOOKING_ID, **properties},
    }


STORE_ERRORS = {
    "Db.Unavailable": "the database cannot be used at the moment",
    "Db.Conflict": "someone else changed the booking meanwhile",
    "Booking.Unknown": "there is no booking with that id",
    "Booking.WrongState": "the booking's status does not allow this",
    "Booking.CancelRequested": "the member cancelled meanwhile: the booking is no longer this flow's",
}
