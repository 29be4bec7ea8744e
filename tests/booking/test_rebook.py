"""A change that the taxi company cannot make: the old ride is cancelled, and only then another one is booked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.booking.test_cancel import booking, cancel, in_three_hours
from tests.booking.test_modify import PICKUP, modify
from tests.booking.test_sweep import HOUR, Lost, lose_at, sweep
from tests.booking.world import BOOKING, ROOT, World

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("rebookings.yaml").read_text())
CHANGES_NOTHING = {"op": "amendRide", "fault": "status", "params": {"status": 405}}
LATER = {"pickup": {"time": "2026-05-04T16:00:00+04:00"}}
NEW_PICKUP = "2026-05-04T12:00:00.000Z"


@pytest.fixture
def offering(world: Any, tmp_path: Path) -> Callable[..., World]:
    """A world whose rules offer to book anew."""

    def make(*plan: dict[str, Any]) -> World:
        rules = tmp_path / "rules"
        shutil.copytree(ROOT / "flows/rules", rules)
        file = rules / "modify.yaml"
        file.write_text(file.read_text().replace("rebook: false", "rebook: true"))
        here: World = world(plan={"faults": [CHANGES_NOTHING, *plan]}, RULES_FILE=str(rules / "booking.yaml"))
        assert here.book(in_three_hours()).output["status"] == "CONFIRMED"
        return here

    return make


def book_anew(here: World) -> None:
    """Drive the flow that asks for the new ride to its end."""
    for name in here.engine.unfinished():
        if name.startswith("rebook-"):
            here.engine.resume(name)


def alive(here: World) -> list[str]:
    return [ride["client_reference"].removeprefix(f"{BOOKING}-") for ride in here.sim.rides() if ride["live"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_change_by_another_ride(case: dict[str, Any], offering: Any) -> None:
    here = offering(*case.get("plan", []))
    before = len(here.events(user_facing=True))
    here.clock.advance(case.get("until", 0))
    supplier = here.sim.simulation.supplier
    supplier.tariff = replace(supplier.tariff, per_km_minor=case.get("per_km", supplier.tariff.per_km_minor))
    accepted = {"amount_minor": case.get("accept", 0), "currency": "GBP"}
    outcome = modify(here, LATER, accept_fee=accepted)
    assert outcome.error == case.get("error"), outcome.cause
    if "asked" in case:
        told = json.loads(outcome.cause)
        assert {name: told[name] for name in case["asked"]} == case["asked"]
    if case.get("error") == "Booking.PriceAboveMaximum":
        told = json.loads(outcome.cause)
        assert told["quote"]["price"]["amount_minor"] > booking(here)["price_minor"]
        assert [one["code"] for one in told["errors"]] == ["price_above_consented_max"]
    book_anew(here)
    row, slots = booking(here), here.rows("SELECT starts_at FROM booking_slots")
    assert row["status"] == case.get("status", "CONFIRMED")
    assert here.events(user_facing=True)[before:] == case["told"]
    assert alive(here) == case.get("live", [])
    assert row["attention"] == case.get("attention", 0)
    assert row["failure_code"] == case.get("failure")
    assert row["pickup_time"] == (PICKUP if "error" in case else NEW_PICKUP)
    assert [slot["starts_at"] for slot in slots] == ([] if row["status"] == "FAILED" else [row["pickup_time"]])
    assert "amending" not in json.loads(row["doc"])
    assert here.violations() == []


@pytest.mark.parametrize("state", ["CancelOldRide", "TakeRequest", "BookAnew"])
def test_a_change_that_was_lost_in_between_ends_without_a_ride(state: str, offering: Any) -> None:
    here = offering()
    wish = {"member_id": "mem_demo_prestige", "booking_id": BOOKING, "changes": LATER, "request_id": "req_m"}
    with pytest.raises(Lost):
        here.engine.run(ROOT / "flows/modify.yaml", wish, name="modify-1", observer=lose_at(state))
    assert booking(here)["status"] == "REQUESTED"
    here.clock.advance(HOUR)
    sweep(here)
    assert (booking(here)["status"], booking(here)["failure_code"]) == ("FAILED", "rebooking_failed")
    assert here.events(user_facing=True)[-1] == "failed"
    assert alive(here) == []
    assert here.rows("SELECT 1 FROM booking_slots") == []
    assert here.violations() == []


@pytest.mark.parametrize("state", ["CancelOldRide", "TakeRequest", "BookAnew"])
def test_a_member_who_cancels_in_between_gets_no_new_ride(state: str, offering: Any) -> None:
    here, cancelled = offering(), []

    def watch(events: list[Any]) -> None:
        entered = any(kind.endswith("StateEntered") and details["name"] == state for *_, kind, details in events)
        if entered and not cancelled:
            cancelled.append(cancel(here))

    wish = {"member_id": "mem_demo_prestige", "booking_id": BOOKING, "changes": LATER, "request_id": "req_m"}
    here.engine.run(ROOT / "flows/modify.yaml", wish, name="modify-1", observer=watch)
    book_anew(here)
    assert cancelled[0].output["status"] == "CANCELLED"
    assert booking(here)["status"] == "CANCELLED"
    assert here.events(user_facing=True) == ["confirmed", "cancelled"]
    assert alive(here) == []
    assert here.violations() == []


def test_a_ride_is_booked_anew_once(offering: Any) -> None:
    here = offering()
    modify(here, LATER)
    book_anew(here)
    again = modify(here, {"pickup": {"time": "2026-05-04T17:00:00+04:00"}}, name="modify-2")
    assert again.error == "Booking.NotModifiable"
    assert (booking(here)["status"], alive(here)) == ("CONFIRMED", ["r2"])
    assert here.violations() == []
