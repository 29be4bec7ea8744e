"""Steps of the slot: the database's own word on overlap, allowance and open rides.

Two requests may pass the rules at the same moment; here one of them waits for the other and sees its slot.
"""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings.repository import out_of_step, repository
from steps.bookings.shapes import STORE_ERRORS, about_a_booking
from steps.bookings.sql import statements

TIER = {
    "type": "object",
    "required": ["ride_allowance", "max_active_bookings"],
    "properties": {
        "ride_allowance": {"type": "integer"},
        "max_active_bookings": {"type": "integer"},
        "overage_allowed": {"type": "boolean"},
    },
}
USAGE = {
    "type": "object",
    "required": ["period"],
    "properties": {"period": {"type": "string", "maxLength": 40}, "rides_elsewhere": {"type": "integer"}},
}


@step(
    "slot.reserve",
    input=about_a_booking(tier=TIER, usage=USAGE),
    output={"type": "object", "required": ["rides_left"]},
    errors={
        **STORE_ERRORS,
        "Slot.Conflict": "the ride overlaps another ride of the member",
        "Slot.TooManyOpen": "the member has too many open rides",
        "Slot.AllowanceExhausted": "the member has used all rides of the period",
    },
    transactional=True,
)
def reserve(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Take the time and one ride of the allowance together, or neither."""
    sql, tier, usage = statements("queries.sql"), payload["tier"], payload["usage"]
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if booking.status != "REQUESTED":
            raise out_of_step(booking, f"a booking that is {booking.status} reserves nothing")
        mine = {"booking_id": booking.booking_id, "member_ref": booking.member_ref}
        window = {"starts_at": booking.pickup_time, "ends_at": booking.window_end}
        if not sql["lock_member"].rows(repo.db, member_ref=booking.member_ref)[0]["locked"]:
            raise StepError("Db.Conflict", "another ride of the member is being reserved at this moment")
        slots = sql["slots"].rows(repo.db, **mine, **window, period=usage["period"])[0]
        left = tier["ride_allowance"] - usage.get("rides_elsewhere", 0) - slots["taken"] - 1
        if not slots["own"]:
            if slots["overlapping"]:
                raise StepError("Slot.Conflict", "the ride overlaps another ride of the member")
            if slots["open"] >= tier["max_active_bookings"]:
                raise StepError("Slot.TooManyOpen", "the member has too many open rides")
            if left < 0 and not (tier.get("overage_allowed") and booking.request["accept_overage"]):
                raise StepError("Slot.AllowanceExhausted", "the member has used all rides of the period")
            sql["insert_slot"].run(repo.db, **mine, **window, period=usage["period"])
        entitlement = {"tier": tier.get("code"), "rides_left": max(0, left)}
        repo.update(booking, doc={**booking.doc, "entitlement": entitlement})
    ctx.note(f"{entitlement['rides_left']} rides left")
    return entitlement


@step(
    "slot.release",
    input=about_a_booking(),
    output={"type": "object", "required": ["released"]},
    errors={"Db.Unavailable": STORE_ERRORS["Db.Unavailable"]},
    transactional=True,
)
def release(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Give back the time and the ride of the allowance."""
    with repository(ctx) as repo:
        freed = statements("queries.sql")["delete_slot"].run(repo.db, booking_id=payload["booking_id"])
    return {"released": freed == 1}
