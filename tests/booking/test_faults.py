"""Every fault of a ride's creation, played by the simulator against the real flow: how the booking ends is data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.booking.world import BOOKING, World, scheduled

ENDINGS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("endings.yaml").read_text())


@pytest.mark.parametrize("fault", ENDINGS)
def test_a_booking_ends_as_it_should_whatever_the_taxi_company_does(fault: str, world: Any) -> None:
    here = world(fault)
    if fault == "F21":
        here.settings["TAXI_TOKEN_URL"] = f"{here.sim.origin}/oauth/token"
    outcome = here.book(scheduled())
    here.clock.advance(3600)  # whatever was under way at the taxi company has happened by now
    (booking,) = here.rows("SELECT * FROM bookings WHERE booking_id = ?", BOOKING)
    live = sum(ride["live"] for ride in here.sim.rides())
    seen = {"status": booking["status"], "told": here.events(user_facing=True), "live": live}
    seen |= {"failure": booking["failure_code"]} if booking["failure_code"] else {}
    seen |= {"generation": booking["ride_generation"]} if booking["ride_generation"] > 1 else {}
    seen |= {"attention": 1} if booking["attention"] else {}
    assert seen == ENDINGS[fault]
    assert outcome.status == "SUCCEEDED"
    assert outcome.output["status"] == booking["status"]
    assert here.violations() == []
    assert creates_per_generation(here) <= 3


def creates_per_generation(here: World) -> int:
    """The most creates that the supplier was sent for one reference."""
    references = {row["client_reference"] for row in here.rows("SELECT client_reference FROM ride_attempts")}
    return max((here.sim.calls("createRide", reference) for reference in references), default=0)
