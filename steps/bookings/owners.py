"""Whose booking is it? Asked in SQL, by booking and member at once."""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError
from steps.bookings import identifiers
from steps.bookings.booking import Booking
from steps.bookings.repository import Repository
from steps.bookings.sql import statements

DEMO_KEY = "demo-member-ref-key"
NOT_FOUND = {"Booking.NotFound": "the member has no such booking; somebody else's is the same as none"}


def member_ref(member_id: str, ctx: StepContext) -> str:
    """The member's pseudonym under the deployment's key; a demonstration key, with a warning, when none is set."""
    key = ctx.settings.get("MEMBER_REF_KEY")
    if not key:
        ctx.log("MEMBER_REF_KEY is not set: member references are made with the demonstration key", warning=True)
    return identifiers.member_ref(member_id, key or DEMO_KEY)


def owned(repo: Repository, booking_id: str, member_id: Any, ctx: StepContext) -> Booking:
    """The member's booking. Raises StepError Booking.NotFound."""
    mine = isinstance(member_id, str) and statements("owners.sql")["owned"].row(
        repo.db, booking_id=booking_id, member_ref=member_ref(member_id, ctx)
    )
    if not mine:
        raise StepError("Booking.NotFound", f"the member has no booking {booking_id}")
    return repo.load(booking_id)
