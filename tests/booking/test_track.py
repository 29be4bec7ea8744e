"""Rides after their confirmation: told by messages, found by polling, whatever comes in between."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from steps.bookings.moments import later
from tests.booking.listening import SECRET, Door, listening
from tests.booking.world import BOOKING, ROOT, World, asap, scheduled

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("lives.yaml").read_text())
WISHES = {"asap": asap, "scheduled": scheduled}


def track(here: World, flow: Any = ROOT / "flows/track.yaml", name: str = "track-1") -> Any:
    """Follow the ride to its end."""
    return here.engine.run(flow, {"booking_id": BOOKING}, name=name)


def one_look() -> dict[str, Any]:
    """A flow of a single look."""
    return {"StartAt": "Look", "States": {"Look": {"Type": "Task", "Resource": "step:track.look", "End": True}}}


def plan_of(case: dict[str, Any]) -> dict[str, Any]:
    """The plan of a case; webhooks take a moment, so that they come after the answer to the create."""
    wait = case.get("steps_s", 10)
    life = [{"after_s": wait, "to": status} for status in case.get("life", [])]
    faults = [
        *([{"op": "createRide", "fault": "life", "params": {"steps": life}}] if life else []),
        *case.get("plan", []),
    ]
    return {"faults": faults}


def live_through(case: dict[str, Any], here: World, door: Door) -> None:
    here.book(WISHES[case.get("wish", "scheduled")]())
    door.deliver()
    for _ in range(20):
        here.clock.advance(5) if case.get("messages", True) else None
        door.deliver()
    if case.get("poll") == "once":
        track(here, one_look())
    elif case.get("poll"):
        assert track(here).output["status"] == case["status"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_ride_goes_through_its_life(case: dict[str, Any], world: Any) -> None:
    with listening() as door:
        target = {"webhook": {"url": door.url, "secret": SECRET}} if case.get("messages", True) else {}
        here = world(*case.get("faults", []), plan={**plan_of(case), **target}, TAXI_WEBHOOK_SECRET=SECRET)
        door.world = here
        live_through(case, here, door)
        (row,) = here.rows("SELECT * FROM bookings WHERE booking_id = ?", BOOKING)
        assert (row["status"], here.events(user_facing=True)) == (case["status"], case["told"])
        assert row["attention"] == case.get("attention", 0)
        assert sum(ride["live"] for ride in here.sim.rides()) == case.get("live", 0)
        assert door.answers == case.get("answers", [])
        states = Counter(row["state"] for row in here.rows("SELECT state FROM webhook_inbox"))
        assert states == case.get("inbox", states)
        assert bool(here.rows("SELECT 1 FROM booking_slots")) == case["slot"]
        if "by" in case:
            cancellation = json.loads(row["doc"])["cancellation"]
            assert (cancellation["by"], cancellation["cancelled_at"]) == (case["by"], row["terminal_at"])
        assert here.violations() == []


def test_a_ride_far_ahead_is_looked_at_every_quarter_of_an_hour_and_near_its_pickup_every_minute(world: Any) -> None:
    def end(seconds: float) -> None:
        if here.clock.now() >= pickup and here.sim.rides()[0]["live"]:
            here.sim.advance_ride(BOOKING + "-r1", to="COMPLETED")

    here = world()
    here.book(scheduled())
    pickup, here.on_advance = here.clock.now() + 2 * 3600, end
    assert track(here).output["status"] == "COMPLETED"
    # After a minute, then every 15 minutes, and from half an hour before the pickup every minute.
    assert here.sim.calls("getRide") in (6 + 30, 6 + 30 + 1)
    assert here.rows("SELECT * FROM ride_looks") == []
    assert here.violations() == []


def test_what_the_event_tells_of_the_driver_has_no_number_and_the_booking_masks_it(world: Any) -> None:
    here = world(plan=plan_of({"life": ["DRIVER_ASSIGNED"]}))
    here.book(scheduled())
    here.clock.advance(10)
    driver = track(here, one_look()).output["booking"]["ride"]["driver"]
    assert driver["phone"].startswith("+44•")
    told = here.log.read_text()
    assert driver["first_name"] in told
    assert "phone" not in told
    assert "+4477" not in told


def test_an_event_names_the_request_or_message_that_caused_it(world: Any) -> None:
    with listening() as door:
        plan = {**plan_of({"life": ["DRIVER_ASSIGNED", "DRIVER_EN_ROUTE"]}), "webhook": {"url": door.url}}
        plan["webhook"]["secret"] = SECRET
        here = world(plan=plan, TAXI_WEBHOOK_SECRET=SECRET)
        door.world = here
        here.book({**scheduled(), "request_id": "req_book"})
        change = {"member_id": scheduled()["member_id"], "booking_id": BOOKING, "changes": {"notes": "Hello."}}
        here.engine.run(ROOT / "flows/modify.yaml", {**change, "request_id": "req_change"}, name="modify-1")
        here.clock.advance(10)
        door.deliver()
    track(here, one_look(), name="look-1")
    fee = {"accept_fee": {"amount_minor": 4000, "currency": "GBP"}, "reason": None, "request_id": "req_cancel"}
    here.engine.run(ROOT / "flows/cancel.yaml", {**change, **fee}, name="cancel-1")
    causes = {}
    for body in map(json.loads, here.log.read_text().splitlines()):
        causes[body["type"].split(".")[-2]] = body["causationid"]
    (message,) = here.rows("SELECT webhook_id FROM webhook_inbox WHERE state = 'APPLIED'")
    assert causes == {
        "requested": "req_book",
        "confirmed": "req_book",
        "modified": "req_change",
        "driver_assigned": message["webhook_id"],
        "cancellation_requested": "req_cancel",
        "cancelled": "req_cancel",
    }


def test_a_ride_that_the_taxi_company_does_not_know_any_more_calls_people(world: Any) -> None:
    here = world()
    here.book(scheduled())
    here.sim.reset()
    track(here, one_look())
    assert here.events() == ["requested", "confirmed", "attention_required"]
    told = json.loads(here.log.read_text().splitlines()[-1])
    Draft202012Validator(json.loads((ROOT / "schemas/booking-event.json").read_text())).validate(told)
    assert told["data"]["reason"] == "ride_not_known"


def test_a_ride_that_never_ends_calls_people(world: Any) -> None:
    here = world()
    here.book(scheduled())
    here.clock.advance(10 * 3600)
    track(here, one_look())
    assert here.rows("SELECT attention FROM bookings") == [{"attention": 1}]


def test_a_message_of_an_unknown_sender_or_without_a_secret_is_refused(world: Any) -> None:
    here = world()
    door = Door()
    door.world = here
    assert door.take({}, b"{}") == 401
    door.server.server_close()


def test_a_confirmed_booking_is_followed_to_its_end_and_gets_its_points(world: Any) -> None:
    here = world(plan=plan_of({"steps_s": 70, "life": ["DRIVER_ASSIGNED", "PASSENGER_ON_BOARD", "COMPLETED"]}))
    assert here.book(asap()).output["status"] == "CONFIRMED"
    assert here.engine.unfinished() == [f"track-{BOOKING}"]
    assert here.engine.resume(f"track-{BOOKING}").output["status"] == "COMPLETED"
    assert here.events(user_facing=True) == ["confirmed", "driver_assigned", "completed"]
    assert here.rows("SELECT points FROM loyalty_accruals") == [{"points": 120}]
    assert here.engine.unfinished() == []
    assert here.violations() == []


# -- when the driver comes -------------------------------------------------------------------------------------------

SETS_OFF = plan_of({"steps_s": 70, "life": ["DRIVER_EN_ROUTE"]})


def arrival(here: World, told: str | None, name: str) -> str:
    """What the member knows of the arrival after one look, having been told that."""
    ask = {"Type": "Task", "Resource": "step:track.eta", "End": True}
    flow = {"StartAt": "Ask", "States": {"Ask": ask}}
    return str(here.engine.run(flow, {"booking_id": BOOKING, "told": told}, name=name).output["eta"])


def en_route(world: Any, **settings: str) -> tuple[World, str]:
    """A booking whose driver has set off, and when he comes. Nobody is silent here, so no call need be cut short."""
    here = world(plan=SETS_OFF, **{"TAXI_TIMEOUT_SCALE": "1", **settings})
    here.book(asap())
    here.clock.advance(70)
    track(here, one_look())
    return here, arrival(here, None, "first")


def test_the_member_is_told_when_the_driver_comes_over_three_minutes_earlier_or_later(world: Any) -> None:
    here, eta = en_route(world)
    for moved_s in (180, -180, 181, -181):
        told = later(eta, moved_s)
        assert arrival(here, told, f"moved-{moved_s}") == (told if abs(moved_s) == 180 else eta)
    assert here.events() == ["requested", "confirmed", "driver_en_route", "eta_updated", "eta_updated"]
    assert here.violations() == []


def test_news_of_the_arrival_is_stored_nowhere_and_worth_nothing_after_five_minutes(world: Any) -> None:
    here, eta = en_route(world)
    arrival(here, later(eta, 300), "later")
    *_, before, news = [json.loads(line) for line in here.log.read_text().splitlines()]
    Draft202012Validator(json.loads((ROOT / "schemas/booking-event.json").read_text())).validate(news)
    assert (news["sequence"], news["subject"]) == (before["sequence"], BOOKING)
    assert news["id"] != before["id"]
    assert news["expirytime"] == news["data"]["notification"]["not_after"] == later(news["time"], 300)
    assert news["data"]["notification"]["channels"] == ["PUSH"]
    assert "position" not in json.dumps(news)
    assert here.rows("SELECT 1 FROM outbox WHERE type LIKE '%eta_updated%'") == []


def test_news_of_the_arrival_may_get_lost(world: Any, tmp_path: Path) -> None:
    here, eta = en_route(world, EVENTS=f"log:{tmp_path}/no/such/folder/events.jsonl")
    assert arrival(here, later(eta, 300), "later") == eta


def test_a_ride_that_is_followed_tells_of_a_driver_who_is_late(world: Any) -> None:
    life = [{"after_s": 70, "to": "DRIVER_EN_ROUTE"}, {"after_s": 900, "to": "COMPLETED"}]
    here = world(plan={"faults": [{"op": "createRide", "fault": "life", "params": {"steps": life}}]})
    here.book(asap())
    assert track(here).output["status"] == "COMPLETED"
    # Ten minutes were promised; after that the driver is always about to come.
    assert here.events() == ["requested", "confirmed", "driver_en_route", "eta_updated", "completed"]
    assert here.violations() == []
