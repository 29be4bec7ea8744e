"""Breakers, the retry budget and shared waits: by the clock as data, and between real bookings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import StepError
from steps.ops import breakers
from steps.taxi_api.health import CREATE, Health
from tests.booking.test_cancel import cancel, in_three_hours
from tests.booking.world import World, asap

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("health.yaml").read_text())
MEMBERS = ("mem_demo_prestige", "mem_demo_plus")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_is_let_through(case: dict[str, Any]) -> None:
    health = Health(case.get("operation", CREATE))
    for call in case["calls"]:
        for _ in range(call.get("times", 1)):
            play(health, call)


def play(health: Health, call: dict[str, Any]) -> None:
    if call.get("abandon"):
        health.abandon()
        return
    if "held" in call:
        with pytest.raises(StepError) as held:
            health.enter(call["at"], again=call.get("again", False))
        assert held.value.error == call["held"]
        assert held.value.retry_after is None or held.value.retry_after > 0
        return
    health.enter(call["at"], again=call.get("again", False))
    if not call.get("out"):
        health.leave(call["at"], call.get("fail"), call.get("wait"))


def book(here: World, number: int) -> Any:
    """Another booking, of one of the members."""
    return here.book(asap() | {"member_id": MEMBERS[number % 2]}, name=f"booking-{number}")


def test_bookings_meet_a_dead_taxi_company_together(world: Any) -> None:
    here = world(plan={"faults": [{"op": "createQuotes", "fault": "status", "params": {"status": 503}}]})
    failures = [book(here, number).output["failure"]["code"] for number in range(10)]
    assert set(failures) == {"supplier_unavailable"}
    # Two bookings try twice; with five tokens gone nobody tries again; after ten calls nobody is sent on any more.
    assert here.sim.calls("createQuotes") == 2 * 2 + 6
    here.sim.set_plan({})
    here.clock.advance(600)
    assert [book(here, number).output["status"] for number in (20, 21)] == ["CONFIRMED", "CONFIRMED"]
    assert here.violations() == []


def test_cancelling_works_while_the_breaker_of_booking_is_open(world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    here.sim.set_plan({"faults": [{"op": "createQuotes", "fault": "status", "params": {"status": 503}}]})
    for number in range(9):
        book(here, number)
    calls = here.sim.calls("createQuotes")
    assert cancel(here).output["status"] == "CANCELLED"
    book(here, 9)
    assert here.sim.calls("createQuotes") == calls
    assert here.violations() == []


def test_a_limit_that_one_booking_meets_is_kept_by_the_others(world: Any) -> None:
    throttle = {"op": "createRide", "nth": 1, "fault": "status", "params": {"status": 429, "retry_after": 3600}}
    here = world(plan={"faults": [throttle]})
    assert book(here, 0).output["failure"]["code"] == "supplier_unavailable"
    assert book(here, 1).output["failure"]["code"] == "supplier_unavailable"
    assert here.sim.calls("createRide") == 1
    here.clock.advance(60)
    assert book(here, 2).output["status"] == "CONFIRMED"


def test_the_breakers_can_be_read_for_metrics(world: Any) -> None:
    here = world(plan={"faults": [{"op": "createQuotes", "fault": "status", "params": {"status": 503}}]})
    for number in range(10):
        book(here, number)
    seen = {(sample.name, sample.labels["operation"]): sample.value for sample in breakers(here.engine.host)}
    assert seen["taxi_breaker", "quote"] == 2
    assert seen["taxi_failures_window", "quote"] == 10
    assert seen["taxi_retry_tokens", "quote"] < 5
    assert (seen["taxi_breaker", "cancel"], seen["taxi_retry_tokens", "cancel"]) == (0, 10)


def test_a_token_is_renewed_before_it_expires(world: Any) -> None:
    here = world(plan={"auth": {"required": True, "ttl_s": 600}})
    here.settings |= {"TAXI_TOKEN_URL": here.sim.token_url, "TAXI_CLIENT_ID": "booking"}
    here.settings["TAXI_CLIENT_SECRET"] = "booking-secret"
    assert book(here, 0).output["status"] == "CONFIRMED"
    assert here.sim.calls("createToken") == 1
    here.clock.advance(569)
    assert book(here, 1).output["status"] == "CONFIRMED"
    assert here.sim.calls("createToken") == 1
    here.clock.advance(6000)
    assert book(here, 2).output["status"] == "CONFIRMED"
    assert here.sim.calls("createToken") == 2
