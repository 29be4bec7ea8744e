"""Whose booking is it? Asked in SQL, by booking and member at once."""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError
from steps.bookings import identifiers
from steps.bookings.booking import Booking
from steps.bookings.personal import member_ref_key
from steps.bookings.repository import Repository
from steps.bookings.sql import statements

NOT_FOUND = {"Booking.NotFound": "the member has no such booking; somebody else's is the same as none"}


def member_ref(member_id: str, ctx: StepContext) -> str:
    """The member's pseudonym under the deployment's key; of an id, or of the pseudonym that stands for it."""
    return identifiers.member_ref(member_id, member_ref_key(ctx.settings))


def owned(repo: Repository, booking_id: str, member_id: Any, ctx: StepContext) -> Booking:
    """The member's booking. Raises StepError Booking.NotFound."""
    mine = isinstance(member_id, str) and statements("owners.sql")["owned"].row(
        repo.db, booking_id=booking_id, member_ref=member_ref(member_id, ctx)
    )
    if not mine:
        raise StepError("Booking.NotFound", f"the member has no booking {booking_id}")
    return repo.load(booking_id)
