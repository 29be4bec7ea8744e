"""The plan file, its mistakes, the catalogue, and what a seed decides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from simulator_clients import REFERENCE, Inbox

from steps.simulator import PlanError, Simulator
from steps.simulator.catalogue import catalogue, with_faults
from steps.simulator.control import control
from steps.simulator.faults import FaultPlan, Stage
from steps.simulator.messages import Request
from steps.simulator.plan import load_plan_text, read_plan
from steps.simulator.simulation import Simulation

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("plans.yaml").read_text(encoding="utf-8"))
PLAN = """
seed: 42
defaults: {latency_ms: {p50: 80, p99: 600}, read_lag_s: 0, webhook_delay_ms: 200}
faults:
- {op: createRide, match: {client_reference: "*-r1"}, nth: 1, fault: timeout_after_commit, params: {hang_s: 30}}
- {op: createRide, probability: 0.05, fault: commit_late, params: {after_s: [9, 60]}}
- {op: findRides, fault: read_lag, params: {seconds: 5}}
- {op: cancelRide, times: 3, fault: status, params: {status: 503, retry_after: "2"}}
- {op: webhook, match: {status: DRIVER_ASSIGNED}, fault: duplicate, params: {copies: 3}}
- {op: webhook, fault: reorder, params: {window: 3}}
"""
TaxiFactory = Callable[..., Any]


@pytest.mark.parametrize("case", CASES, ids=[case["problems"][0] for case in CASES])
def test_a_mistake_in_a_plan_is_named(case: dict[str, Any]) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(case["plan"])
    assert len(caught.value.problems) == len(case["problems"])
    for problem, beginning in zip(caught.value.problems, case["problems"], strict=True):
        assert problem.startswith(beginning)


@pytest.mark.parametrize("text", ["faults: [", "- a", "a: !!python/name:os.system"])
def test_a_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        load_plan_text(text)


def test_times_in_a_plan_file_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("clock: virtual\nstart: 2026-05-04T09:10:00Z\n", encoding="utf-8")
    with Simulator(path) as sim:
        assert sim.now() == "2026-05-04T09:10:00Z"


def test_a_plan_reads_as_it_is_written() -> None:
    plan = read_plan(load_plan_text(PLAN))
    assert plan.defaults.latency_ms == {"p50": 80, "p99": 600}
    assert [(entry.op, entry.kind.name, entry.nth, entry.times) for entry in plan.faults] == [
        ("createRide", "timeout_after_commit", 1, None),
        ("createRide", "commit_late", None, None),
        ("findRides", "read_lag", None, None),
        ("cancelRide", "status", None, 3),
        ("webhook", "duplicate", None, None),
        ("webhook", "reorder", None, None),
    ]


def test_a_plan_file_that_is_absent_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot read"):
        Simulator(tmp_path / "none.yaml")


def test_the_catalogue_is_complete_and_every_entry_is_a_plan() -> None:
    assert list(catalogue()) == [f"F{number:02d}" for number in range(1, 55)]
    for fault_id, entry in catalogue().items():
        assert entry.keys() == {"title", "plan"}
        assert read_plan(with_faults({}, [fault_id])).faults


@pytest.mark.parametrize("fault_id", list(catalogue()))
def test_every_fault_of_the_catalogue_strikes_in_the_life_of_a_booking(
    fault_id: str, taxi: TaxiFactory, inbox: Inbox
) -> None:
    client = taxi(faults=[fault_id], webhook_url=inbox.url, hang_s=0.01)
    quote_id = ""
    drive = f"{client.sim.control_url}/rides/{REFERENCE}/advance"
    with contextlib.suppress(httpx.HTTPError, LookupError):
        quote_id = client.quote_id()
    for call in (
        lambda: client.create(quote_id=quote_id),
        client.find,
        lambda: client.http.post(drive, json={"to": "DRIVER_ASSIGNED"}),
        client.cancel,
    ):
        with contextlib.suppress(httpx.HTTPError, LookupError):
            call()
        client.sim.advance(60)
    played = {entry["fault"] for entry in catalogue()[fault_id]["plan"]["faults"]}
    assert played <= client.sim.ground_truth()["faults"].keys()


def test_faults_of_the_catalogue_come_on_top_of_the_plan() -> None:
    plan = with_faults({"seed": 7, "faults": [{"fault": "forbidden"}]}, ["F05", "F33"])
    assert [entry["fault"] for entry in plan["faults"]] == [
        "forbidden",
        "reset_after_commit",
        "timeout_after_commit",
        "read_lag",
    ]
    with pytest.raises(PlanError, match="F99"):
        with_faults({}, ["F99"])


def test_the_same_seed_and_the_same_calls_give_the_same_run(taxi: TaxiFactory) -> None:
    plan = {
        "defaults": {"latency_ms": {"p50": 0.2, "p99": 1}},
        "faults": [
            {
                "op": "createRide",
                "probability": 0.4,
                "fault": "status",
                "params": {"status": [500, 503], "commit": True},
            },
            {"op": "createRide", "probability": 0.4, "fault": "pending_then_confirmed", "params": {"after_s": [1, 90]}},
            {"op": "findRides", "probability": 0.5, "fault": "status", "params": {"status": 502}},
        ],
    }
    first, again, other = (_run(taxi(plan, seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_a_reset_gives_the_same_run_again(taxi: TaxiFactory) -> None:
    client = taxi({"faults": [{"op": "createRide", "probability": 0.5, "fault": "status", "params": {"status": 500}}]})
    first = _run(client)
    client.sim.reset()
    assert _run(client) == first


def _run(client: Any) -> list[Any]:
    seen = []
    for number in range(12):
        seen += [client.create(f"booking{number}-r1").text, client.find(f"booking{number}-r1").text]
        client.sim.advance(10)
    return [*seen, client.sim.ground_truth()]


def test_the_luck_of_a_booking_does_not_depend_on_the_others() -> None:
    plan = {"faults": [{"op": "createRide", "probability": 0.5, "fault": "no_vehicles"}]}

    def struck(references: list[str]) -> set[str]:
        faults = FaultPlan(42, list(read_plan(plan).faults))
        return {name for name in references if Stage.WORLD in faults.strikes("createRide", {"client_reference": name})}

    references = [f"booking{number}-r1" for number in range(50)]
    assert struck(references) == struck(references[::-1])
    assert 10 < len(struck(references)) < 40


def test_hangs_can_be_shortened_for_all_faults_at_once(taxi: TaxiFactory) -> None:
    client = taxi(faults=["F07"], hang_s=0.01)
    with pytest.raises(Exception, match="disconnected"):
        client.create()
    assert client.find().json()["rides"][0]["status"] == "CONFIRMED"


def test_a_new_plan_keeps_the_rides_and_what_was_given_at_the_start(taxi: TaxiFactory) -> None:
    client = taxi(faults=["F28"], seed=7)
    client.create()
    client.sim.set_plan({"seed": 9}, faults=["F24"])
    assert client.sim.simulation.plan.seed == 7
    assert client.get().json()["status"] == "PENDING"
    assert client.create("other-r1").json()["code"] == "no_vehicles_available"


def test_the_control_surface_is_not_there_for_strangers() -> None:
    simulation = Simulation({})
    assert control(simulation, Request("GET", "/_sim/rides")).status == 200
    assert control(simulation, Request("GET", "/_sim/rides", local=False)).status == 404
