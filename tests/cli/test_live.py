"""The live view on a real engine with a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from engine import Engine, StepError, VirtualClock
from engine.cli.live import LiveView
from engine.cli.trace import Trace
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
        engine.start(FLAKY, name="o1")
        view = LiveView(engine, "o1")
        view.catch_up(aloud=True)
        assert engine.resume("o1", observer=view).output == "booked"
    retry, booked, waits, napped = capsys.readouterr().err.splitlines()
    assert retry.startswith("↻ Book")
    assert "try 1 failed: Taxi.Unavailable: HTTP 503; tries again at " in retry
    assert retry.endswith("(in 30.0 s)")
    assert booked == "✓ Book                                 30.0 s  2 tries"
    assert waits.startswith("… Nap                                          waits until ")
    assert napped == "✓ Nap                              1 min 30 s"


def unreliable(seed: int) -> Callable[[Any, Any], None]:
    chance = random.Random(seed)

    def step(payload: Any, ctx: Any) -> None:
        if chance.random() < 0.3:
            raise StepError("Random.Failure", "chance")

    return step


def test_what_was_watched_is_what_the_history_says() -> None:
    for seed in range(60):
        with Engine("memory:", steps={"any": unreliable(seed)}, clock=VirtualClock(1_000_000.0)) as engine:
            engine.start(RandomMachine(seed).machine(), {"items": [1, 2]}, name="r")
            view = LiveView(engine, "r")
            view.catch_up(aloud=True)
            engine.resume("r", observer=view)
            # The history does not say of a fork whether it waited for its retry when it was aborted; the view knew.
            same = picture(view.trace.root) == picture(Trace.of(engine.events("r")).root)
            assert same, f"seed {seed}"
