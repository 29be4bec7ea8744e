"""Distributed Maps whose children are executions of their own: every case on every store, by a worker and inline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Engine, StepError, VirtualClock, load_flow, simulate
from engine.runtime.worker import Worker
from engine.values import JSON, equal
from tests.core.drivers import START, Script, scripted
from tests.stores.conftest import url

__all__ = ["url"]

SHARED = Path(__file__).resolve().parents[1] / "cases"
OWN = Path(__file__).with_name("map_runs.yaml")


def spread(case: dict[str, Any]) -> bool:
    return "DISTRIBUTED" in str(case["flow"]) and "on sqlite" in case.get("only", ["on sqlite"])


CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in (*sorted(SHARED.glob("*.yaml")), OWN)
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
    if spread(case)
]


def simulated(case: dict[str, Any]) -> Callable[[Any], JSON]:
    """The answers of the same case where the children are frames of their parent."""
    script = Script(case.get("tasks"))
    return lambda call: script.answer(call.state, call.arguments)


def by_worker(engine: Engine, name: str) -> None:
    Worker(engine).run_until_idle()


def inline(engine: Engine, name: str) -> None:
    engine.resume(name)


def each(processor: dict[str, JSON], **fields: JSON) -> dict[str, Any]:
    """A flow that is one distributed Map."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state = {"Type": "Map", "ItemProcessor": {"ProcessorConfig": config, **processor}, "End": True, **fields}
    return {"StartAt": "M", "States": {"M": state}}


TASK: dict[str, JSON] = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:t", "End": True}}}


@contextmanager
def opened(url: str, **steps: Callable[..., Any]) -> Iterator[Engine]:
    with Engine(url, steps=steps, clock=VirtualClock(START)) as engine:
        yield engine


def children(engine: Engine, name: str = "p") -> list[str]:
    """The statuses of the children, in the order of their items' names."""
    return sorted(found.status for found in engine.list(map_of=name, limit=100_000))


@pytest.mark.parametrize("way", [by_worker, inline])
@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any], way: Callable[..., None], url: str) -> None:
    expect = case["expect"]
    machine = load_flow(case["flow"])
    with opened(url, **scripted(machine, Script(case.get("tasks")))) as engine:
        engine.start(machine, case.get("input", {}), name="p")
        way(engine, "p")
        found, history = engine.describe("p"), engine.history("p")
        assert [other.name for other in engine.list()] == ["p"], "children do not flood the list"
        statuses = children(engine)
        alone = simulate(machine, case.get("input", {}), tasks=simulated(case), name="p")
    assert found["status"] == expect["status"], found
    for field in ("output", "error", "cause"):
        if field in expect:
            assert equal(found[field], expect[field]), found[field]
    assert (found["status"], found["error"], found["cause"]) == (alone.status, alone.error, alone.cause)
    assert equal(found["output"], alone.output)
    if "MaxConcurrency" not in str(case["flow"]) or alone.status == "SUCCEEDED":
        assert [event["type"] for event in history] == [event["type"] for event in alone.history]
    if "events" in expect:
        assert [event["type"] for event in history] == expect["events"]
    if "children" in expect:
        assert statuses == sorted(expect["children"])
    if "map_runs" in expect:
        for run, counts in zip(found["map_runs"], expect["map_runs"], strict=True):
            assert counts.items() <= run.items(), run


def test_no_more_children_are_let_in_than_run_at_once(url: str) -> None:
    seen: list[int] = []

    def look(payload: JSON, ctx: Any) -> JSON:
        with ctx.transaction() as db:
            ((running, pending),) = db.execute("SELECT running, total - running - succeeded FROM map_runs").fetchall()
        seen.append(running)
        assert running + pending + payload == 10
        return payload

    with opened(url, t=look) as engine:
        engine.start(each(TASK, MaxConcurrency=1), list(range(10)), name="p")
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == list(range(10))
    assert seen == [1] * 10


def test_children_are_written_in_batches_and_none_is_missing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.children.BATCH", 3)
    with opened(url) as engine:
        passing = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
        engine.start(each(passing, MaxConcurrency=2), list(range(11)), name="p")
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == list(range(11))
        assert children(engine) == ["SUCCEEDED"] * 11


def test_an_inline_map_over_many_items_goes_on_wherever_it_is_taken_up(url: str) -> None:
    waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
    flow = {
        "StartAt": "M",
        "States": {"M": {"Type": "Map", "MaxConcurrency": 10, "ItemProcessor": waiting, "End": True}},
    }
    items = [{"text": "x" * 100, "number": number} for number in range(25)]
    with opened(url) as engine:
        engine.start(flow, items, name="p")
        Worker(engine).run_until_idle()
        found = engine.describe("p")
        with engine.host.transaction() as db:
            ((runs,),) = db.execute("SELECT runs FROM executions").fetchall()
            left = db.execute("SELECT count(*) FROM frames").fetchall()
    assert (found["status"], found["output"]) == ("SUCCEEDED", items)
    assert runs == 3, "it was given back between"
    assert left == [(0,)]


def test_stopping_the_parent_ends_its_children_whatever_they_do(url: str) -> None:
    ask = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:t.waitForTaskToken", "End": True}}}
    with opened(url, t=lambda payload, ctx: None) as engine:
        engine.start(each(ask, MaxConcurrency=2), [1, 2, 3], name="p")
        Worker(engine).run_until_idle()
        (run,) = engine.describe("p")["map_runs"]
        assert (run["running"], run["pending"], run["status"]) == (2, 1, "RUNNING")
        engine.stop("p")
        Worker(engine).run_until_idle()
        (run,) = engine.describe("p")["map_runs"]
        assert children(engine) == ["ABORTED"] * 3
        assert (run["status"], run["aborted"], run["running"], run["pending"]) == ("ABORTED", 3, 0, 0)


def test_a_child_that_somebody_stops_has_failed_for_its_run(url: str) -> None:
    ask = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:t.waitForTaskToken", "End": True}}}
    tokens: list[str] = []
    with opened(url, t=lambda payload, ctx: tokens.append(ctx.token)) as engine:
        engine.start(each(ask, MaxConcurrency=1, ToleratedFailureCount=2), ["a", "b", "c"], name="p")
        Worker(engine).run_until_idle()
        pending, running = [
            found.name for found in sorted(engine.list(map_of="p"), key=lambda found: found.state or "")
        ][1:]
        engine.stop(pending, error="Never")
        engine.stop(running, error="Enough", cause="why")
        Worker(engine).run_until_idle()
        engine.send_task_success(tokens[-1], "c", drive=False)
        Worker(engine).run_until_idle()
        assert sorted(engine.describe("p")["output"], key=str) == [
            "c",
            {"Error": "Enough", "Cause": "why"},
            {"Error": "Never"},
        ]


class Breaks:
    """A step that fails for some items until it is mended, and notes what it was called with."""

    def __init__(self, *bad: JSON) -> None:
        self.bad, self.seen = list(bad), list[tuple[JSON, str]]()

    def __call__(self, payload: JSON, ctx: Any) -> JSON:
        self.seen.append((payload, ctx.idempotency_key))
        if payload in self.bad:
            raise StepError("Boom")
        return payload


@pytest.mark.parametrize("way", [by_worker, inline])
def test_a_redrive_runs_no_child_again_that_has_succeeded(url: str, way: Callable[..., None]) -> None:
    work = Breaks(4, 7)
    with opened(url, t=work) as engine:
        engine.start(each(TASK, MaxConcurrency=1, ToleratedFailureCount=1), list(range(10)), name="p")
        Worker(engine).run_until_idle()
        assert engine.describe("p")["error"] == "States.ExceedToleratedFailureThreshold"
        first, work.seen = dict(work.seen), []
        succeeded = {0, 1, 2, 3, 5, 6}
        work.bad.clear()
        engine.redrive("p")
        way(engine, "p")
        found, history = engine.describe("p"), [event["type"] for event in engine.history("p")]
        assert children(engine) == ["SUCCEEDED"] * 10
    assert (found["status"], found["output"]) == ("SUCCEEDED", list(range(10)))
    assert not succeeded & {item for item, _ in work.seen}
    assert sorted(item for item, _ in work.seen) == sorted(set(range(10)) - succeeded)
    assert all(key == first[item] for item, key in work.seen if item in first), "the same is asked for once more"
    assert history[-6:] == [
        "ExecutionRedriven",
        "MapRunRedriven",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    (run,) = found["map_runs"]
    assert (run["succeeded"], run["failed"], run["aborted"], run["running"], run["pending"]) == (10, 0, 0, 0, 0)


def test_a_redrive_that_fails_again_can_be_redriven_again(url: str) -> None:
    work = Breaks(1)
    with opened(url, t=work) as engine:
        engine.start(each(TASK), [0, 1, 2], name="p")
        for _ in range(3):
            Worker(engine).run_until_idle()
            assert engine.describe("p")["status"] == "FAILED"
            engine.redrive("p")
        work.bad.clear()
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == [0, 1, 2]
        assert len({key for item, key in work.seen if item == 1}) == 1


@pytest.mark.parametrize(("kind", "again"), [("STANDARD", ["B"]), ("EXPRESS", ["A", "B"])])
def test_an_express_child_is_redriven_from_its_beginning(url: str, kind: str, again: list[str]) -> None:
    ran: list[str] = []

    def work(payload: JSON, ctx: Any) -> JSON:
        ran.append(ctx.state)
        if ran == ["A", "B"]:
            raise StepError("Boom")
        return payload

    states = {
        "A": {"Type": "Task", "Resource": "step:t", "Next": "B"},
        "B": {"Type": "Task", "Resource": "step:t", "End": True},
    }
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}, "StartAt": "A", "States": states}
    flow = {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}}
    with opened(url, t=work) as engine:
        engine.start(flow, [7], name="p")
        Worker(engine).run_until_idle()
        assert engine.describe("p")["status"] == "FAILED"
        engine.redrive("p")
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == [7]
    assert ran == ["A", "B", *again]


@pytest.mark.parametrize("way", [by_worker, inline])
def test_express_children_have_five_minutes(url: str, way: Callable[..., None]) -> None:
    states = {"W": {"Type": "Wait", "SecondsPath": "$", "End": True}}
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    flow = each({"ProcessorConfig": config, "StartAt": "W", "States": states}, ToleratedFailureCount=1)
    with opened(url) as engine:
        engine.start(flow, [299, 301], name="p")
        way(engine, "p")
        found = engine.describe("p")
        assert (found["status"], found["output"]) == ("SUCCEEDED", [299, {}])
        assert children(engine) == ["SUCCEEDED", "TIMED_OUT"]
        (late,) = [child.name for child in engine.list(map_of="p", status="TIMED_OUT")]
        assert [event["type"] for event in engine.history(late)][-1] == "ExecutionTimedOut"


@pytest.mark.parametrize(("kind", "called"), [("STANDARD", "execution"), ("EXPRESS", "express")])
def test_a_child_knows_by_its_name_of_which_kind_it_is(kind: str, called: str) -> None:
    states = {"P": {"Type": "Pass", "Parameters": {"id.$": "$$.Execution.Id"}, "OutputPath": "$.id", "End": True}}
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}, "StartAt": "P", "States": states}
    writer = {"WriterConfig": {"Transformation": "NONE"}}
    state = {"Type": "Map", "ItemProcessor": processor, "ResultWriter": writer, "End": True}
    with opened("memory:") as engine:
        engine.start({"StartAt": "M", "States": {"M": state}}, [7], name="p")
        Worker(engine).run_until_idle()
        (child,) = engine.describe("p")["output"]
    assert child["ExecutionArn"].split(":")[5] == called
    assert child["Output"] == f'"{child["ExecutionArn"]}"'


def test_what_a_stopped_parent_had_not_begun_begins_when_it_is_redriven(url: str) -> None:
    ask = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:t.waitForTaskToken", "End": True}}}
    tokens: list[str] = []
    with opened(url, t=lambda payload, ctx: tokens.append(ctx.token)) as engine:
        engine.start(each(ask, MaxConcurrency=1), ["a", "b"], name="p")
        Worker(engine).run_until_idle()
        engine.stop("p")
        engine.redrive("p")  # before those who run the children have heard of it
        for answer in "ab":
            Worker(engine).run_until_idle()
            engine.send_task_success(tokens[-1], answer, drive=False)
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == ["a", "b"]


def test_a_nested_flow_spreads_its_map_as_well(url: str, tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(yaml.safe_dump(each(TASK)))
    parent = {"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "flow:child", "End": True}}}
    (tmp_path / "parent.yaml").write_text(yaml.safe_dump(parent))
    with opened(url, t=lambda payload, ctx: payload) as engine:
        engine.start(tmp_path / "parent.yaml", [1, 2], name="p")
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == [1, 2]
        assert engine.run(tmp_path / "parent.yaml", [3], name="q").output == [3]


def test_run_keeps_the_children_in_the_execution_itself(url: str) -> None:
    with opened(url, t=lambda payload, ctx: payload) as engine:
        assert engine.run(each(TASK), [1, 2], name="p").output == [1, 2]
        assert "map_runs" not in engine.describe("p")
        assert engine.list(map_of="p") == []


def test_children_are_pruned_with_their_parent_and_never_before(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stores.pruning.BATCH", 2)
    inner = each({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    inner["States"]["N"] = inner["States"].pop("M")
    inner["StartAt"] = "N"
    with opened(url) as engine:
        for name, data in (("p", [[1, 2, 3], [4]]), ("q", [[5]])):
            engine.start(each(inner), data, name=name)
            Worker(engine).run_until_idle()
        later = datetime.fromtimestamp(START + 100, UTC)
        assert len(children(engine)) == 2
        with engine.host.transaction() as db:
            db.execute("UPDATE executions SET stopped_at = stopped_at + 1000 WHERE name = 'q'")
        assert sum(engine.prune(later)) == 7
        with engine.host.transaction() as db:
            assert db.execute("SELECT count(*) FROM executions").fetchall() == [(3,)]
            assert db.execute("SELECT count(*) FROM map_runs").fetchall() == [(2,)]
        assert children(engine, "q") == ["SUCCEEDED"]
