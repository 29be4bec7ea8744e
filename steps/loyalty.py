"""Steps of loyalty: points for a completed ride, once per booking however often they are asked for."""

from __future__ import annotations

from typing import Any

from engine import StepContext, step
from steps.bookings.repository import out_of_step, repository
from steps.bookings.shapes import STORE_ERRORS, about_a_booking
from steps.bookings.sql import statements

FILE = "loyalty.sql"


@step(
    "loyalty.load",
    input=about_a_booking(),
    output={"type": "object", "required": ["booking", "tier", "loyalty", "points"]},
    errors={name: STORE_ERRORS[name] for name in ("Db.Unavailable", "Booking.Unknown")},
)
def load(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """What the rules look at: `{booking: {status}, tier: {code}, loyalty: {eligible, basis_minor, currency}, points}`;
    `points` are those that were accrued already, else null."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        row = statements(FILE)["accrual"].row(repo.db, booking_id=booking.booking_id)
    nothing = {"eligible": False, "basis_minor": 0, "currency": booking.price_currency}
    return {
        "booking": {"status": booking.status},
        "tier": {"code": (booking.doc.get("entitlement") or {}).get("tier")},
        "loyalty": booking.doc.get("loyalty") or nothing,
        "points": row["points"] if row else None,
    }


@step(
    "loyalty.accrue",
    input=about_a_booking(points={"type": "number", "minimum": 0}),
    output={"type": "object", "required": ["booking_id", "points"]},
    errors=STORE_ERRORS,
    transactional=True,
)
def accrue(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Write the points of a booking, none for a ride that earns none. The first ones count: a repeat answers them."""
    sql = statements(FILE)
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status != "COMPLETED":
            raise out_of_step(booking, f"a booking that is {booking.status} earns nothing")
        basis = booking.doc.get("loyalty") or {}
        sql["accrue"].run(
            repo.db,
            booking_id=booking.booking_id,
            member_ref=booking.member_ref,
            points=int(payload["points"]),
            basis_minor=basis.get("basis_minor", 0),
            currency=basis.get("currency") or booking.price_currency,
            now=repo.now,
        )
        row = sql["accrual"].row(repo.db, booking_id=booking.booking_id)
    points = int(row["points"]) if row else 0
    ctx.note(f"{points} points")
    return {"booking_id": booking.booking_id, "points": points}
