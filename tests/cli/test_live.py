"""The live view on a real engine with a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, StepError, VirtualClock
from engine.cli.live import LiveView
from engine.cli.trace import Trace
from engine.core.events import HistoryEvent
from engine.errors import ExecutionBusy
from tests.cli.test_trace import RandomMachine, picture

FLAKY = {
    "StartAt": "Book",
    "States": {
        "Book": {
            "Type": "Task",
            "Resource": "step:book",
            "Retry": [{"ErrorEquals": ["Taxi.Unavailable"], "IntervalSeconds": 30}],
            "Next": "Nap",
        },
        "Nap": {"Type": "Wait", "Seconds": 90, "End": True},
    },
}


def test_retries_and_waits_are_told_when_they_begin(capsys: pytest.CaptureFixture[str]) -> None:
    def book(payload: Any, ctx: Any) -> Any:
        if ctx.attempt == 1:
            raise StepError("Taxi.Unavailable", "HTTP 503")
        return "booked"

    with Engine("memory:", steps={"book": book}, clock=VirtualClock(1_777_896_000.0)) as engine:
        view = LiveView(engine, "o1", flow="flaky.yaml")
        assert engine.run(FLAKY, name="o1", observer=view).output == "booked"
    head, retry, booked, waits, napped = capsys.readouterr().err.splitlines()
    assert head == "o1  flaky.yaml"
    assert retry.startswith("↻ Book")
    assert "try 1 failed: Taxi.Unavailable: HTTP 503; tries again at " in retry
    assert retry.endswith("(in 30.0 s)")
    assert booked == "✓ Book                                 30.0 s  2 tries"
    assert waits.startswith("… Nap                                          waits until ")
    assert napped == "✓ Nap                              1 min 30 s"


def test_whoever_sees_the_first_event_sees_an_execution_that_nobody_else_can_take(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    refused: list[str] = []

    def look(events: list[HistoryEvent]) -> None:
        if events[0][0] > 1:
            return
        with Engine(url) as another, pytest.raises(ExecutionBusy) as busy:
            another.resume("o1")
        refused.append(str(busy.value))

    with Engine(url, clock=VirtualClock(1_777_896_000.0)) as engine:
        engine.run(
            {"StartAt": "Nap", "States": {"Nap": {"Type": "Wait", "Seconds": 90, "End": True}}},
            name="o1",
            observer=look,
        )
    assert len(refused) == 1


def unreliable(seed: int) -> Callable[[Any, Any], None]:
    chance = random.Random(seed)

    def step(payload: Any, ctx: Any) -> None:
        if chance.random() < 0.3:
            raise StepError("Random.Failure", "chance")

    return step


def test_what_was_watched_is_what_the_history_says() -> None:
    for seed in range(60):
        with Engine("memory:", steps={"any": unreliable(seed)}, clock=VirtualClock(1_000_000.0)) as engine:
            view = LiveView(engine, "r")
            engine.run(RandomMachine(seed).machine(), {"items": [1, 2]}, name="r", observer=view)
            # The history does not say of a fork whether it waited for its retry when it was aborted; the view knew.
            same = picture(view.trace.root) == picture(Trace.of(engine.events("r")).root)
            assert same, f"seed {seed}"
