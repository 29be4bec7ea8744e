"""Webhooks as they arrive at a real receiver: signatures, order, retries, and every fault of the post."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
import yaml
from simulator_clients import DROPOFF, PASSENGER, PICKUP, REFERENCE, START, Inbox

from steps.simulator import Simulator, sign
from steps.simulator.clock import parse_rfc3339
from steps.simulator.faults import KINDS, Stage

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("webhooks.yaml").read_text(encoding="utf-8"))
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
TaxiFactory = Callable[..., Any]


def test_the_signature_is_that_of_the_test_vector() -> None:
    body = (
        b'{"type":"ride.status_changed","timestamp":"2026-05-04T11:02:10Z","data":{"ride_id":"gtx_7H2K9",'
        b'"client_reference":"bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA-r1","sequence":3,"status":"DRIVER_EN_ROUTE"}}'
    )
    assert sign(SECRET, "wh_01HX60A1", 1777892530, body) == "v1,12vd282Lc2GCTFaTBNkIy8+8l4OLKKmDN/M+UkgxemI="


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_webhooks(case: dict[str, Any], taxi: TaxiFactory, inbox: Inbox) -> None:
    plan = {**case.get("plan", {}), "faults": case["faults"]}
    client = taxi(plan, webhook_url=inbox.url, webhook_secret=SECRET)
    client.create()
    client.sim.advance(0)
    client.sim.advance_ride(REFERENCE, "DRIVER_ARRIVED")
    expected = [tuple(item) for item in case["news"]]
    assert inbox.news() == expected
    client.sim.advance(60)
    assert inbox.news() == expected + [tuple(item) for item in case.get("later", [])]
    headers = [headers for headers, _ in inbox.taken]
    good = [head["webhook-signature"] == _signature(head, body) for head, body in inbox.taken]
    assert sum(good) == case.get("well_signed", len(good))
    assert len({head["webhook-id"] for head in headers}) == case.get("ids", len(headers))
    assert len({event["data"]["client_reference"] for event in inbox.events()}) == case.get("references", 1)
    if "shifts" in case:
        assert [int(head["webhook-timestamp"]) - parse_rfc3339(START) for head in headers] == case["shifts"]


def _signature(headers: dict[str, str], body: bytes) -> str:
    return sign(SECRET, headers["webhook-id"], int(headers["webhook-timestamp"]), body)


def test_every_webhook_fault_has_a_case() -> None:
    played = {entry["fault"] for case in CASES for entry in case["faults"]}
    assert played == {name for name, kind in KINDS.items() if kind.stage is Stage.WEBHOOK}


def test_a_webhook_that_is_not_taken_is_sent_again_with_the_same_id_and_a_new_time(
    taxi: TaxiFactory, inbox: Inbox
) -> None:
    client = taxi({"contract": {"webhook_attempts": 3}}, webhook_url=inbox.url)
    inbox.status = 503
    client.create()
    for seconds in (0, 5, 30, 3600):
        client.sim.advance(seconds)
    stamps = [int(headers["webhook-timestamp"]) - parse_rfc3339(START) for headers, _ in inbox.taken]
    assert stamps == [0, 5, 35]
    assert len({headers["webhook-id"] for headers, _ in inbox.taken}) == 1
    assert client.sim.ground_truth()["webhooks"] == {"waiting": 0, "dropped": 1}


def test_a_receiver_that_is_down_is_tried_again(taxi: TaxiFactory, inbox: Inbox) -> None:
    client = taxi(webhook_url="http://127.0.0.1:1/nobody")
    client.create()
    client.sim.advance(0)
    assert client.sim.ground_truth()["webhooks"] == {"waiting": 1, "dropped": 0}


def test_webhooks_can_overtake_the_answer_to_the_create(taxi: TaxiFactory, inbox: Inbox) -> None:
    client = taxi(faults=["F48"], webhook_url=inbox.url)
    assert client.create().json()["status"] == "CONFIRMED"
    assert inbox.news() == [(1, "CONFIRMED"), (2, "DRIVER_ASSIGNED")]


def test_other_changes_have_event_types_of_their_own(taxi: TaxiFactory, inbox: Inbox) -> None:
    client = taxi(webhook_url=inbox.url)
    client.amend(client.create().json()["state_hash"], passengers=1)
    client.sim.advance_ride(REFERENCE, "DRIVER_ASSIGNED")
    client.sim.advance_ride(REFERENCE, "DRIVER_ASSIGNED")
    client.sim.advance_ride(REFERENCE, "CONFIRMED", reason="DRIVER_CANCELLED", redispatching=True)
    client.sim.advance_ride(REFERENCE, "COMPLETED", skip=True)
    told = [(event["type"].removeprefix("ride."), event["data"]["sequence"]) for event in inbox.events()]
    assert told == [
        ("status_changed", 1),
        ("amended", 2),
        ("status_changed", 3),
        ("driver_changed", 4),
        ("status_changed", 5),
        ("status_changed", 6),
        ("final_price", 7),
    ]
    redispatch = inbox.events()[4]["data"]
    assert (redispatch["status"], redispatch["reason"], redispatch["redispatching"]) == (
        "CONFIRMED",
        "DRIVER_CANCELLED",
        True,
    )


def test_on_a_real_clock_webhooks_leave_by_themselves(inbox: Inbox) -> None:
    came = Event()
    taken = inbox.taken

    class Watched(list[Any]):
        def append(self, item: Any) -> None:
            super().append(item)
            if len(self) == 2:
                came.set()

    inbox.taken = Watched(taken)
    plan = {"faults": [{"fault": "pending_then_confirmed", "params": {"after_s": 0.02}}]}
    with Simulator(plan, webhook_url=inbox.url) as sim, httpx.Client(base_url=sim.url) as http:
        quotes = http.post("/quotes", json={"pickup": PICKUP, "dropoff": DROPOFF, "passengers": 1}).json()["quotes"]
        order = {"client_reference": REFERENCE, "quote_id": quotes[0]["quote_id"], "passenger": PASSENGER}
        headers = {"Idempotency-Key": "a-key-of-good-length"}
        ride = http.post("/rides", json={**order, "pickup": PICKUP, "dropoff": DROPOFF}, headers=headers)
        assert ride.json()["status"] == "PENDING"
        assert came.wait(5)
    assert inbox.news() == [(1, "PENDING"), (2, "CONFIRMED")]
