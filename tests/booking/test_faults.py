"""Every fault of a ride's creation, played by the simulator against the real flow: how the booking ends is data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.booking.test_track import one_look, track
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


def test_of_two_rides_the_one_that_cannot_be_cancelled_any_more_counts(world: Any) -> None:
    here = world("F35", "F38")
    assert here.book(scheduled()).output["status"] == "CONFIRMED"
    assert track(here, one_look()).output["booking"]["status"] == "IN_PROGRESS"
    (live,) = [ride for ride in here.sim.rides() if ride["live"]]
    (booking,) = here.rows("SELECT * FROM bookings WHERE booking_id = ?", BOOKING)
    assert live["status"] == "PASSENGER_ON_BOARD"
    assert (booking["ride_ref"], booking["attention"]) == (live["ride_ref"], 1)
    assert here.violations() == []


def test_of_two_rides_behind_a_booking_that_is_given_up_the_one_that_can_be_is_cancelled(world: Any) -> None:
    def board(seconds: float) -> None:
        if here.rows("SELECT 1 FROM bookings WHERE status = 'COMPENSATING'") and not boarded:
            here.sim.set_plan({})
            boarded.append(here.sim.rides()[0]["ride_ref"])
            here.sim.advance_ride(boarded[0], to="PASSENGER_ON_BOARD")
        if here.rows("SELECT 1 FROM bookings WHERE attention = 1"):
            here.sim.advance_ride(boarded[0], to="CANCELLED_BY_SUPPLIER", force=True)

    boarded: list[str] = []
    here = world("F35", plan={"faults": [{"op": op, "fault": "status"} for op in ("findRides", "cancelByReference")]})
    here.on_advance = board
    assert here.book(scheduled()).output["status"] == "FAILED"
    (other,) = [ride for ride in here.sim.rides() if ride["ride_ref"] not in boarded]
    assert other["status"] == "CANCELLED_BY_CLIENT"
    assert here.violations() == []


def creates_per_generation(here: World) -> int:
    """The most creates that the supplier was sent for one reference."""
    references = {row["client_reference"] for row in here.rows("SELECT client_reference FROM ride_attempts")}
    return max((here.sim.calls("createRide", reference) for reference in references), default=0)
