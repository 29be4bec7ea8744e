"""Every case of tests/cases, in every way a flow can run. See tests/cases/README.md for their form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from engine import Outcome, StateMachine, load_flow
from engine.core.decide import HANDLERS
from engine.core.events import Event
from engine.values import equal
from tests.core import drivers

FOLDER = Path(__file__).resolve().parents[1] / "cases"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]
WAYS: dict[str, Callable[[StateMachine, Any, Any, str], Outcome]] = {
    "in memory": drivers.in_memory,
    "with adversaries": drivers.with_adversaries,
    "on sqlite": drivers.on_store("memory:"),
}


def test_decide_knows_every_event() -> None:
    assert set(HANDLERS) == set(get_args(Event))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any], way: str) -> None:
    machine = load_flow(case["flow"])
    outcome = WAYS[way](machine, case.get("input", {}), case.get("tasks"), "case")
    expect = case["expect"]
    assert outcome.status == expect["status"], outcome
    for field in ("output", "error", "cause"):
        if field in expect:
            assert equal(getattr(outcome, field), expect[field]), getattr(outcome, field)
    history = outcome.history
    if "events" in expect:
        assert [event["type"] for event in history] == expect["events"]
    if "seconds" in expect:
        assert (history[-1]["timestamp"] - history[0]["timestamp"]).total_seconds() == pytest.approx(expect["seconds"])
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))


@pytest.mark.parametrize("case", CASES)
def test_every_way_ends_the_same(case: dict[str, Any]) -> None:
    machine = load_flow(case["flow"])
    outcomes = [run(machine, case.get("input", {}), case.get("tasks"), "case") for run in WAYS.values()]
    ends = [(found.status, found.output, found.error, found.cause) for found in outcomes]
    assert ends[0] == ends[1] == ends[2]
