"""Nested executions: every case on every store, driven by the caller and by a worker; pins, stops, and kill -9."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Engine, StepError, VirtualClock
from engine.errors import UnsupportedResource
from engine.runtime.worker import Worker
from engine.values import JSON, equal
from tests.core.drivers import START, Script

CASES = yaml.safe_load((Path(__file__).with_name("flows.yaml")).read_text(encoding="utf-8"))


def inline(engine: Engine, parent: Path, data: JSON) -> None:
    engine.run(parent, data, name="p")


def by_worker(engine: Engine, parent: Path, data: JSON) -> None:
    engine.start(parent, data, name="p")
    Worker(engine).run_until_idle()


def write(folder: Path, flows: dict[str, JSON]) -> Path:
    for name, flow in flows.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(flow, sort_keys=False), encoding="utf-8")
    return folder / "parent.yaml"


@pytest.mark.parametrize("way", [inline, by_worker])
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_case(case: dict[str, Any], way: Callable[..., None], url: str, tmp_path: Path) -> None:
    parent, script, expect = write(tmp_path, case["flows"]), Script(case.get("tasks")), case["expect"]
    steps = {"work": lambda payload, ctx: script.answer(ctx.state, payload)}
    with Engine(url, steps=steps, clock=VirtualClock(START)) as engine:
        way(engine, parent, case.get("input", {}))
        found, history = engine.describe("p"), engine.history("p")
        everyone = engine.list(limit=1000)
    assert found["status"] == expect["status"], found
    for field in ("output", "error", "cause"):
        if field in expect:
            assert equal(found[field], expect[field]), found[field]
    if "events" in expect:
        assert [event["type"] for event in history] == expect["events"]
    if "seconds" in expect:
        assert (history[-1]["timestamp"] - history[0]["timestamp"]).total_seconds() == pytest.approx(expect["seconds"])
    if "children" in expect:
        assert sorted(other.status for other in everyone if other.name != "p") == sorted(expect["children"])


PARENT = {"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": "flow:child", "End": True}}}


def passing(result: str) -> dict[str, Any]:
    return {
        "StartAt": "W",
        "States": {
            "W": {"Type": "Wait", "Seconds": 1, "Next": "P"},
            "P": {"Type": "Pass", "Result": result, "End": True},
        },
    }


def test_a_child_is_what_lay_beside_the_flow_when_it_was_started(url: str, tmp_path: Path) -> None:
    parent = write(tmp_path, {"parent": PARENT, "child": passing("old")})
    with Engine(url, clock=VirtualClock(START)) as engine:
        engine.start(parent, name="p")
        write(tmp_path, {"child": passing("new")})
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == "old"
        assert engine.run(parent, name="q").output == "new"


def test_stopping_the_parent_stops_the_child_and_the_child_of_the_child(url: str, tmp_path: Path) -> None:
    middle = {"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": "flow:leaf", "End": True}}}
    leaf = {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "step:ask.waitForTaskToken", "End": True}}}
    parent = write(tmp_path, {"parent": PARENT, "child": middle, "leaf": leaf})
    with Engine(url, steps={"ask": lambda payload, ctx: None}, clock=VirtualClock(START)) as engine:
        assert engine.run(parent, name="p").status == "RUNNING"
        child = engine.describe("p")["waiting"][0]["child"]
        assert engine.describe(child)["parent"] == "p"
        engine.stop("p", error="Enough")
        Worker(engine).run_until_idle()
        assert {found.status for found in engine.list()} == {"ABORTED"}
        assert engine.describe(child)["cause"] == "the execution that had started it has ended"


def test_a_flow_that_is_not_there_is_refused_before_anything_starts(url: str, tmp_path: Path) -> None:
    parent = write(tmp_path, {"parent": PARENT})
    with Engine(url) as engine:
        with pytest.raises(UnsupportedResource, match="there is no flow 'child' beside"):
            engine.start(parent, name="p")
        with pytest.raises(UnsupportedResource, match="which is no file"):
            engine.start(PARENT, name="p")
        assert engine.list() == []


def test_a_flow_takes_no_sync_and_no_path(tmp_path: Path) -> None:
    for resource, words in (("flow:child.sync", "leave out .sync"), ("flow:../child", "is no flow")):
        flow = {"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": resource, "End": True}}}
        with Engine("memory:") as engine, pytest.raises(UnsupportedResource, match=words):
            engine.start(write(tmp_path, {"parent": flow}), name="p")


def test_a_parent_whose_driver_has_died_finds_what_its_child_left(url: str, tmp_path: Path) -> None:
    child = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:work", "End": True}}}
    parent, calls = write(tmp_path, {"parent": PARENT, "child": child}), []

    def work(payload: Any, ctx: Any) -> Any:
        calls.append(ctx.idempotency_key)
        if len(calls) == 1:
            raise KeyboardInterrupt  # as Ctrl-C: everything is given back as it is
        raise StepError("Boom")

    with Engine(url, steps={"work": work}, clock=VirtualClock(START)) as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.run(parent, name="p")
        assert engine.resume("p").error == "Boom"
        assert len(engine.list()) == 2, "the parent and one child, however often the call was made"
    assert calls[0] == calls[1]
