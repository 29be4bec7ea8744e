"""Every case of tests/cases through a worker: it ends as in memory, with the same kinds of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Engine, VirtualClock, load_flow
from engine.runtime.worker import Worker
from engine.values import equal
from tests.core.drivers import START, Script, scripted

FOLDER = Path(__file__).resolve().parents[1] / "cases"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
    if "on sqlite" in case.get("only", ["on sqlite"])
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    machine = load_flow(case["flow"])
    steps = scripted(machine, Script(case.get("tasks")))
    with Engine("memory:", steps=steps, clock=VirtualClock(START)) as engine:
        engine.start(machine, case.get("input", {}), name="case")
        Worker(engine).run_until_idle()
        described, history = engine.describe("case"), engine.history("case")
    expect = case["expect"]
    assert described["status"] == expect["status"], described
    for field in ("output", "error", "cause"):
        if field in expect:
            assert equal(described[field], expect[field])
    if "events" in expect and described["status"] != "RUNNING":
        assert sorted(event["type"] for event in history) == sorted(expect["events"])
    if "seconds" in expect:
        assert (history[-1]["timestamp"] - history[0]["timestamp"]).total_seconds() == pytest.approx(expect["seconds"])
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
