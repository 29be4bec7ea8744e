"""What a worker gives back: calls that have not begun are no second ones for whoever takes over; the others may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, VirtualClock, step
from engine.errors import UnknownStep
from engine.runtime.scheduler import SET_ASIDE_SECONDS
from engine.runtime.worker import Worker
from engine.step import StepRegistry
from tests.stores.servers import schema

START = 1_767_225_600.0
PATIENCE = 20.0


def branches(*names: str) -> dict[str, Any]:
    """Calls side by side; each says whether it is in doubt."""
    doubt = {"Type": "Pass", "Result": "in doubt", "End": True}
    found = []
    for number, name in enumerate(names):
        catch = [{"ErrorEquals": ["Step.InDoubt"], "Next": f"Doubt{number}"}]
        task = {"Type": "Task", "Resource": f"step:{name}", "Catch": catch, "End": True}
        found.append({"StartAt": f"T{number}", "States": {f"T{number}": task, f"Doubt{number}": doubt}})
    return {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": found, "End": True}}}


class Once:
    """A step that must not run twice, and waits at a gate."""

    def __init__(self) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()
        self.calls = 0

    def registry(self, *names: str) -> StepRegistry:
        def once(payload: Any, ctx: Any) -> Any:
            self.calls += 1
            self.begun.set()
            assert self.gate.wait(PATIENCE)
            return "done"

        found = StepRegistry()
        for name in names:
            found.add(step(name, idempotency="none")(once).__step__)  # type: ignore[attr-defined]
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgresql":
        with schema(request.getfixturevalue("server")) as found:
            yield found
    else:
        yield f"sqlite:///{tmp_path}/runs.db"


def until(found: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)


def drained(url: str, once: Once, patience: float) -> None:
    """A worker begins one of three calls, and is asked to end. `patience` above 0: it may wait for that call."""
    with Engine(url, steps=once.registry("once")) as engine:
        engine.start(branches("once", "once", "once"), name="x")
        worker = Worker(engine, limits={"once": 1})
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert once.begun.wait(PATIENCE)
        # The call keeps the thread in which it began; wait until another one is the scheduler and holds the others.
        until(lambda: "once" in worker._pool.paces and len(worker._pool.paces["once"].waiting) == 2)
        worker.stop(patience=patience)
        if patience:
            once.gate.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_drained_worker_leaves_nothing_in_doubt(url: str) -> None:
    once = Once()
    drained(url, once, PATIENCE)
    assert once.calls == 1
    with Engine(url, steps=once.registry("once")) as engine:
        Worker(engine).run_until_idle()
        assert engine.describe("x")["output"] == ["done"] * 3
    assert once.calls == 3


def test_a_call_that_was_not_waited_for_is_in_doubt_and_those_behind_it_are_not(url: str) -> None:
    once = Once()
    drained(url, once, 0.0)
    once.gate.set()
    with Engine(url, steps=once.registry("once")) as engine:
        Worker(engine).run_until_idle()
        assert sorted(engine.describe("x")["output"]) == ["done", "done", "in doubt"]
    assert once.calls == 3


def test_what_one_worker_does_not_know_another_calls_for_the_first_time(url: str) -> None:
    once, clock = Once(), VirtualClock(START)
    once.gate.set()
    with Engine(url, steps=once.registry("once", "new"), clock=clock) as engine:
        engine.start(branches("new", "once", "new"), name="x")
        with Engine(url, steps=once.registry("once"), clock=clock) as older:
            worker = Worker(older)
            older._store.enter(10.0)
            worker._scheduler.look_around(now=True)
            while worker._scheduler.busy:
                worker._scheduler.round(patient=False)
        assert once.calls == 0
        clock.advance(SET_ASIDE_SECONDS)
        Worker(engine).run_until_idle()
        assert engine.describe("x")["output"] == ["done"] * 3
    assert once.calls == 3


def test_a_run_that_breaks_off_before_a_call_leaves_it_undoubted(url: str) -> None:
    once = Once()
    once.gate.set()
    with Engine(url, steps=once.registry("once")) as engine:
        engine.start(branches("once", "once"), name="x")
        with Engine(url, steps=StepRegistry()) as empty, pytest.raises(UnknownStep):
            empty.resume("x")
        assert engine.resume("x").output == ["done"] * 2
    assert once.calls == 2
