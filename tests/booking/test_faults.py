"""Every fault of a ride's creation, played by the simulator against the real flow: how the booking ends is data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import StepError
from steps.bookings.repository import Repository, repository
from tests.booking.test_track import one_look, track
from tests.booking.world import BOOKING, World, scheduled

MATRIX: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("matrix.yaml").read_text())
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


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case["name"])
def test_a_row_of_the_failure_matrix(case: dict[str, Any], world: Any) -> None:
    here = world(plan={"faults": case["plan"]})
    failure = here.book(scheduled()).output["failure"]
    assert (failure["code"], here.events(user_facing=True)) == (case["failure"], case["told"])
    calls = {"createQuotes": case.get("quotes", 1), "createRide": case.get("creates", 0)}
    calls |= {"cancelByReference": case.get("by_reference", 0)}
    assert {op: here.sim.calls(op) for op in calls} == calls
    assert bool(here.rows("SELECT 1 FROM orphan_watch")) == case.get("watched", False)
    assert here.rows("SELECT 1 FROM booking_slots") == []
    assert here.violations() == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("times", "told", "code", "live"), [(5, ["confirmed"], None, 1), (99, ["failed"], "internal_error", 0)]
)
def test_a_ride_that_cannot_be_written_down_is_given_back(
    times: int, told: list[str], code: str | None, live: int, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, real = [times], Repository.transition

    def transition(self: Repository, booking: Any, trigger: str, **more: Any) -> Any:
        if trigger == "ride_confirmed" and left[0]:
            left[0] -= 1
            raise StepError("Db.Unavailable", "the disk is full")
        return real(self, booking, trigger, **more)

    monkeypatch.setattr(Repository, "transition", transition)
    here = world()
    failure = here.book(scheduled()).output["failure"]
    assert (failure["code"] if failure else None, here.events(user_facing=True)) == (code, told)
    assert sum(ride["live"] for ride in here.sim.rides()) == live
    assert here.violations() == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("times", "status"), [(3, "CONFIRMED"), (4, "FAILED")])
def test_a_slot_that_others_hold_on_to_is_our_trouble(
    times: int, status: str, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [times]

    def busy(ctx: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise StepError("Db.Conflict", "another ride of the member is being reserved at this moment")
        return repository(ctx)

    monkeypatch.setattr("steps.slot.repository", busy)
    here = world()
    booked = here.book(scheduled()).output
    assert booked["status"] == status
    assert status == "CONFIRMED" or booked["failure"]["code"] == "service_unavailable"
    assert here.violations() == []


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
