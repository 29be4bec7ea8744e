"""A member changes a booked ride: by the rules, at the taxi company, and never half."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.booking.test_cancel import MEMBER, booking, cancel, in_three_hours
from tests.booking.test_track import one_look, plan_of, track
from tests.booking.world import BOOKING, ROOT, World

FLOW = ROOT / "flows/modify.yaml"
CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("changes.yaml").read_text())
PICKUP = "2026-05-04T11:00:00.000Z"


def modify(here: World, changes: Any, name: str = "modify-1", **given: Any) -> Any:
    """Run the change; the outcome."""
    wish = {"member_id": MEMBER, "booking_id": BOOKING, "expected_version": None, "changes": changes}
    return here.engine.run(FLOW, {**wish, "request_id": "req_m", **given}, name=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_change(case: dict[str, Any], world: Any) -> None:
    here = world(*case.get("faults", []), plan=plan_of(case))
    here.book(in_three_hours())
    for status in case.get("life", []):
        here.clock.advance(10)
        assert track(here, one_look(), name=f"look-{status}").output["booking"]["status"] == status
    here.clock.advance(case.get("until", 0))
    if "ride" in case:
        here.sim.advance_ride(f"{BOOKING}-r1", case["ride"])
    outcome = modify(here, case["changes"], expected_version=case.get("version", booking(here)["version"]))
    row = booking(here)
    assert outcome.error == case.get("error"), outcome.cause
    assert (row["status"], row["pickup_time"]) == (case.get("status", "CONFIRMED"), case.get("pickup", PICKUP))
    assert here.events(user_facing=True)[1:] == case["told"]
    assert here.sim.calls("amendRide") == case["amends"]
    assert row["attention"] == case.get("attention", 0)
    doc = json.loads(row["doc"])
    assert "amending" not in doc
    if "fields" in case:
        assert outcome.output["amendment"]["changes"] == case["fields"]
        assert outcome.output["amendment"]["status"] == "APPLIED"
    assert [reason["code"] for reason in (doc.get("amendment") or {}).get("errors", [])] == case.get("reasons", [])
    if "pointers" in case:
        told = json.loads(outcome.cause)["errors"]
        assert [(one["code"], one["pointer"]) for one in told] == list(
            zip(case["reasons"], case["pointers"], strict=True)
        )
        assert all(one["user_message"] and "http" not in one for one in told)
    (slot,) = here.rows("SELECT starts_at FROM booking_slots")
    assert slot["starts_at"] == row["pickup_time"]
    assert here.violations() == []


def test_the_ride_and_the_booking_say_the_same_after_a_change(world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    changes = {
        "passengers": {"adults": 2, "children": 1},
        "child_seats": 1,
        "lead_passenger": {"phone": "+447700900999"},
        "notes": "Blue door.",
    }
    outcome = modify(here, changes)
    assert outcome.output["passengers"] == {"adults": 2, "children": 1, "infants": 0}
    (ride,) = here.sim.simulation.supplier.rides.values()
    assert ride.details["passengers"] == 3
    told = here.log.read_text() + json.dumps(here.rows("SELECT doc FROM bookings"))
    assert "+447700900999" not in told
    assert "Blue door" not in told
    assert "+447700900999" not in json.dumps(here.engine.history("modify-1"), default=str)


@pytest.mark.parametrize(
    ("fault", "period"), [([], "2026-06"), ([{"fault": "status", "params": {"status": 422}}], "2026-05")]
)
def test_a_ride_counts_in_the_month_that_it_is_moved_to(fault: Any, period: str, world: Any, tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    shutil.copytree(ROOT / "flows/reference", folder)
    tiers = (folder / "tiers.yaml").read_text()
    (folder / "tiers.yaml").write_text(tiers.replace("ride_allowance: 10", "ride_allowance: 10\n  period: MONTH"))
    plan = {"faults": [{"op": "amendRide", **one} for one in fault]}
    here = world(plan=plan, REFERENCE_DIR=str(folder))
    here.book(in_three_hours())
    assert here.rows("SELECT period FROM booking_slots") == [{"period": "2026-05"}]
    june = {"pickup": {"time": "2026-06-02T16:00:00+04:00"}, "flight": {"date": "2026-06-02"}}
    outcome = modify(here, june)
    assert outcome.error == ("Booking.NotModifiable" if fault else None), outcome.cause
    assert here.rows("SELECT period FROM booking_slots") == [{"period": period}]
    assert "amending_period" not in json.loads(booking(here)["doc"])
    assert here.violations() == []


def test_somebody_else_s_booking_is_the_same_as_none(world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    assert modify(here, {"notes": "Hello."}, member_id="mem_demo_plus").error == "Booking.NotFound"


def test_a_change_onto_another_ride_of_the_member_is_refused(world: Any) -> None:
    here = world()
    here.book(in_three_hours())
    later = in_three_hours()
    later["request"]["pickup"]["time"] = "2026-05-04T18:00:00+04:00"
    assert here.book(later, name="bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PB").output["status"] == "CONFIRMED"
    outcome = modify(here, {"pickup": {"time": "2026-05-04T17:30:00+04:00"}})
    assert outcome.error == "Rules.Rejected"
    assert "overlapping_booking" in outcome.cause
    assert here.violations() == []


def test_a_cancellation_in_the_middle_of_a_change_wins(world: Any) -> None:
    here, cancelled = world(), []

    def watch(events: list[Any]) -> None:
        entered = any(kind.endswith("StateEntered") and details["name"] == "AmendRide" for *_, kind, details in events)
        if entered and not cancelled:
            cancelled.append(cancel(here))

    here.book(in_three_hours())
    wish = {"member_id": MEMBER, "booking_id": BOOKING, "changes": {"notes": "Hello."}, "request_id": "req_m"}
    outcome = here.engine.run(FLOW, wish, name="modify-1", observer=watch)
    assert outcome.error == "Booking.NotModifiable"
    assert booking(here)["status"] == "CANCELLED"
    assert here.events(user_facing=True) == ["confirmed", "cancelled"]
    assert not any(ride["live"] for ride in here.sim.rides())
    assert here.violations() == []


def test_two_changes_at_once_do_not_mix(world: Any) -> None:
    here, second = world(), []

    def watch(events: list[Any]) -> None:
        entered = any(kind.endswith("StateEntered") and details["name"] == "AmendRide" for *_, kind, details in events)
        if entered and not second:
            second.append(modify(here, {"notes": "Second."}, name="modify-2"))

    here.book(in_three_hours())
    wish = {"member_id": MEMBER, "booking_id": BOOKING, "changes": {"passengers": {"adults": 2}}, "request_id": "req_m"}
    first = here.engine.run(FLOW, wish, name="modify-1", observer=watch)
    assert second[0].error == "Booking.VersionConflict"
    assert first.output["amendment"] == {**first.output["amendment"], "status": "APPLIED", "changes": ["passengers"]}
