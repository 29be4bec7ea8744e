"""Steps of a change that the taxi company cannot make: the old ride is cancelled, and only then a new one is asked for.

Meanwhile the booking is REQUESTED, as before its first ride: messages wait, a member may cancel, and the sweep gives it
up when nobody goes on with it.
"""

from __future__ import annotations

from typing import Any

from engine import StepContext, StepError, step
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later, parse
from steps.bookings.repository import out_of_step, repository
from steps.bookings.resource import render
from steps.bookings.shapes import MONEY, STORE_ERRORS, about_a_booking
from steps.bookings.sql import statements
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.rides import GENERATIONS


@step(
    "rebook.begin",
    input=about_a_booking(fee=MONEY),
    output="booking.json",
    errors={**STORE_ERRORS, "Taxi.Unsupported": ERRORS["Taxi.Unsupported"]},
    transactional=True,
)
def begin(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The member has accepted what cancelling costs (`fee`): from here on the booking has no ride to rely on."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if (booking.status, "rebook") not in lifecycle().edges or "amending" not in booking.doc:
            raise out_of_step(booking, f"a booking that is {booking.status} is not booked anew")
        if booking.generation >= GENERATIONS:
            raise StepError("Taxi.Unsupported", "a ride was asked for under every key that there is")
        rebooking = {"from": booking.status, "fee": payload["fee"], "requested_at": repo.now}
        booking = repo.transition(booking, "rebook", actor="member", doc={**booking.doc, "rebooking": rebooking})
    return render(booking)


@step(
    "rebook.take",
    input=about_a_booking(),
    output={"type": "object", "required": ["booking", "generation"]},
    errors=STORE_ERRORS,
    transactional=True,
)
def take(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The old ride is cancelled: the wanted request is the valid one, and its ride has another key and reference."""
    with repository(ctx) as repo:
        booking = repo.load(payload["booking_id"])
        if "amending" in booking.doc:
            if booking.status != "REQUESTED":
                raise out_of_step(booking, f"a booking that is {booking.status} asks for no ride")
            gone = ("amending", "amending_hash", "amending_period", "ride", "driver")
            doc = {name: value for name, value in booking.doc.items() if name not in gone}
            doc |= {"request": booking.doc["amending"], "amendment": {**doc["amendment"], "status": "APPLIED"}}
            doc["request_id"] = doc.get("change_request") or doc.get("request_id")  # it is what the new ride is for
            starts_at = booking.doc["amending"]["pickup"]["time"]
            length = (parse(booking.window_end) - parse(booking.pickup_time)).total_seconds()
            personal = repo.personal(booking.booking_id)
            kept = {"member_id": personal.get("member_id"), "request": personal.get("amending", {})}
            repo.change_personal(booking.booking_id, kept)
            statements("looks.sql")["no_more"].run(repo.db, booking_id=booking.booking_id)
            booking = repo.update(
                booking,
                doc=doc,
                pickup_time=starts_at,
                window_end=later(starts_at, length),
                ride_provider=None,
                ride_ref=None,
                ride_generation=booking.generation + 1,
            )
    return {"booking": render(booking), "generation": booking.generation}
