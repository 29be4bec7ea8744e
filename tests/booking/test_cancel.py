"""A member cancels: the fee first, whatever the taxi company does, and in the middle of a booking that still runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.booking.world import BOOKING, ROOT, World, scheduled

FLOW = ROOT / "flows/cancel.yaml"
CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("cancellations.yaml").read_text())
MEMBER = "mem_demo_prestige"


def in_three_hours(**changes: Any) -> dict[str, Any]:
    """A booking that can be cancelled without a fee for an hour."""
    wish = scheduled() | changes
    wish["request"]["pickup"]["time"] = "2026-05-04T15:00:00+04:00"
    return wish


def cancel(here: World, name: str = "cancel-1", **given: Any) -> Any:
    """Run the cancellation; the outcome."""
    wish = {"member_id": MEMBER, "booking_id": BOOKING, "reason": None, "accept_fee": None, "request_id": "req_c"}
    return here.engine.run(FLOW, {**wish, **given}, name=name)


def booking(here: World) -> dict[str, Any]:
    (row,) = here.rows("SELECT * FROM bookings WHERE booking_id = ?", BOOKING)
    return row


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_cancellation(case: dict[str, Any], world: Any) -> None:
    here = world(*case.get("faults", []), plan={} if "break_booking" in case else {"faults": case.get("plan", [])})
    assert here.book(in_three_hours()).output["status"] == "CONFIRMED"
    if "break_booking" in case:
        here.sim.set_plan({"faults": case["plan"]})
        assert here.book(in_three_hours(member_id="mem_demo_plus"), name="b").output["status"] == "FAILED"
    before = len(here.events(user_facing=True))
    for happens in case.get("until", []):
        here.clock.advance(happens["advance"])
    accepted = {"amount_minor": case.get("accept", 0), "currency": case.get("currency", "GBP")}
    outcome = cancel(here, accept_fee=accepted)
    row, slots = booking(here), here.rows("SELECT 1 FROM booking_slots WHERE booking_id = ?", BOOKING)
    assert outcome.error == case.get("error"), outcome.cause
    if "asked" in case:
        told = json.loads(outcome.cause)
        assert {name: told[name] for name in case["asked"]} == case["asked"]
    assert row["status"] == case["status"]
    assert here.events(user_facing=True)[before:] == case["told"]
    assert sum(ride["live"] for ride in here.sim.rides()) == case.get("live", 0)
    assert row["attention"] == case.get("attention", 0)
    assert bool(slots) == case["slot"]
    if "error" not in case:
        assert outcome.output["cancellation"]["fee"]["amount_minor"] == case["fee"]
        assert outcome.output["cancellation"]["by"] == "MEMBER"
    assert here.violations() == []


def test_cancelling_again_answers_the_first_result(world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    first = cancel(here, reason="plans changed")
    again = cancel(here, name="cancel-2", reason="never mind")
    assert first.output == again.output
    assert again.output["cancellation"]["reason"] == "MEMBER_REQUEST"
    assert here.sim.calls("cancelRide") == 1


@pytest.mark.parametrize(
    "given", [{"member_id": "mem_demo_plus"}, {"member_id": None}, {"booking_id": BOOKING[:-1] + "B"}]
)
def test_somebody_else_s_booking_is_the_same_as_none(given: dict[str, Any], world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    outcome = cancel(here, **given)
    assert outcome.error == "Booking.NotFound"
    assert booking(here)["status"] == "CONFIRMED"


@pytest.mark.parametrize("status", ["REJECTED", "COMPLETED"])
def test_what_has_ended_cannot_be_cancelled(status: str, world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    here.change(f"UPDATE bookings SET status = '{status}', terminal_at = updated_at")
    assert cancel(here).error == "Booking.NotCancellable"


@pytest.mark.parametrize(
    ("state", "creates"),
    [("CheckEligibility", 0), ("ReserveSlot", 0), ("GetQuote", 0), ("RideKnown", 1), ("ConfirmBooking", 1)],
)
def test_a_cancellation_takes_over_from_a_booking_that_runs(state: str, creates: int, world: Any) -> None:
    here, cancelled = world(), []

    def watch(events: list[Any]) -> None:
        entered = any(kind.endswith("StateEntered") and details["name"] == state for *_, kind, details in events)
        if entered and not cancelled:
            cancelled.append(cancel(here))

    outcome = here.engine.run(ROOT / "flows/booking.yaml", in_three_hours(), name=BOOKING, observer=watch)
    assert (cancelled[0].output["status"], outcome.output["status"]) == ("CANCELLED", "CANCELLED")
    assert here.events()[-1] == "cancelled"
    assert here.sim.calls("createRide") == creates
    assert not any(ride["live"] for ride in here.sim.rides())
    assert here.rows("SELECT 1 FROM booking_slots") == []
    assert here.violations() == []


@pytest.mark.parametrize("fault", ["F17", "F28", "F30"])
def test_a_pending_booking_is_cancelled_by_reference(fault: str, world: Any) -> None:
    here, cancelled = world(fault), []

    def watch(events: list[Any]) -> None:
        entered = any(kind.endswith("StateEntered") and details["name"] == "AwaitRide" for *_, kind, details in events)
        if entered and not cancelled:
            cancelled.append(cancel(here))

    outcome = here.engine.run(ROOT / "flows/booking.yaml", in_three_hours(), name=BOOKING, observer=watch)
    assert outcome.output["status"] == "CANCELLED"
    assert here.events(user_facing=True) == ["pending", "cancelled"]
    here.clock.advance(3600)
    assert not any(ride["live"] for ride in here.sim.rides())
    assert here.violations() == []


def with_a_look_that_finds(ride: Any) -> dict[str, Any]:
    """The cancellation, whose look at a ride that the taxi company would not cancel comes to this."""
    flow: dict[str, Any] = yaml.safe_load(FLOW.read_text())
    flow["States"]["LookAtRide"] = {"Type": "Pass", "Assign": {"ride": ride}, "Next": "KeepRide"}
    return flow


def test_a_ride_that_ended_while_it_was_to_be_cancelled_is_a_cancellation_without_a_fee(world: Any) -> None:
    here = world("F38")
    here.book(in_three_hours())
    ride = {"ride_id": booking(here)["ride_ref"], "status": "CANCELLED_BY_DRIVER"}
    wish = {"member_id": MEMBER, "booking_id": BOOKING, "reason": None, "accept_fee": None, "request_id": "req_c"}
    outcome = here.engine.run(with_a_look_that_finds(ride), wish, name="cancel-1")
    assert (outcome.status, outcome.output["status"]) == ("SUCCEEDED", "CANCELLED"), outcome.cause
    assert outcome.output["cancellation"]["fee"]["amount_minor"] == 0
    assert here.events(user_facing=True)[-1] == "cancelled"
    assert here.rows("SELECT 1 FROM booking_slots WHERE booking_id = ?", BOOKING) == []


def test_a_ride_that_is_kept_and_that_nobody_knows_is_looked_for_until_it_is_found(
    world: Any,
) -> None:
    here, cancelled = world("F38"), []
    wish = {"member_id": MEMBER, "booking_id": BOOKING, "reason": None, "accept_fee": None, "request_id": "req_c"}
    flow = with_a_look_that_finds(None)
    states = flow["States"]
    states["LoadBooking"]["Assign"]["blind"] = True  # the first look finds nothing, the second one the ride
    states |= {"ReallyLook": yaml.safe_load(FLOW.read_text())["States"]["LookAtRide"]}
    choice = {"Condition": "{% !blind %}", "Next": "ReallyLook"}
    states["LookAtRide"] = {"Type": "Choice", "Choices": [choice], "Assign": {"blind": False}, "Default": "KeepRide"}

    def watch(events: list[Any]) -> None:
        entered = any(kind.endswith("StateEntered") and details["name"] == "RideKnown" for *_, kind, details in events)
        if entered and not cancelled:
            cancelled.append(here.engine.run(flow, wish, name="cancel-1"))

    here.engine.run(ROOT / "flows/booking.yaml", in_three_hours(), name=BOOKING, observer=watch)
    assert cancelled[0].error == "Booking.NotCancellable", cancelled[0].cause
    assert (booking(here)["status"], booking(here)["attention"]) == ("IN_PROGRESS", 1), "people were told meanwhile"
    assert here.violations() == []
