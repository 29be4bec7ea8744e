"""The step that tells the member when a driver who is on the way comes later or earlier than was said.

Such news is worth nothing a few minutes later, so it goes straight to the bus and not through the outbox: what is lost
is not told again, and what nobody reads in time is not read at all.
"""

from __future__ import annotations

import json
from typing import Any

from engine import StepContext, step
from steps.bookings.events import arrival
from steps.bookings.moments import parse
from steps.bookings.repository import repository
from steps.bookings.shapes import STORE_ERRORS, about_a_booking
from steps.bus import BusDown, Event
from steps.relay import bus
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import Taxi

MOMENT = {"type": ["string", "null"]}
ON_THE_WAY = ("DRIVER_EN_ROUTE",)
WORTH_TELLING_S = 180


@step(
    "track.eta",
    input=about_a_booking(told=MOMENT),
    output={"type": "object", "required": ["eta"], "properties": {"eta": MOMENT}},
    errors={**ERRORS, **STORE_ERRORS},
    idempotency="natural",
)
def eta(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """When the driver comes, as far as the member knows: `told`, or another time that the member is told of now.

    The first time that is known is no news: it comes with the message that the driver is on the way.
    """
    told = payload.get("told")
    with repository(ctx, reading=True) as repo:
        booking = repo.load(payload["booking_id"])
        last = repo.last_event(booking.booking_id)
    if booking.status not in ON_THE_WAY or booking.ride_ref is None:
        return {"eta": told}
    found = Taxi(ctx).track(booking.ride_ref).get("eta")
    if found is None or told is None:
        return {"eta": found or told}
    moved_s = (parse(found) - parse(told)).total_seconds()
    if abs(moved_s) <= WORTH_TELLING_S:
        return {"eta": told}
    news = arrival(booking, last, found, repo.now, ctx.settings)
    try:
        bus(ctx.settings).publish([Event(news["id"], booking.booking_id, json.dumps(news))])
    except BusDown as problem:
        ctx.log("a new time of arrival was not told", booking_id=booking.booking_id, problem=str(problem))
    ctx.note(f"{moved_s / 60:+.0f} min")
    return {"eta": found}
