"""Pausing: of one execution, and of what steps call. Nothing is lost, nothing is in doubt, and all of it is durable."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, VirtualClock, step
from engine.errors import ExecutionEnded, ExecutionNotFound, ExecutionPaused, InvalidInput
from engine.runtime.worker import Worker
from engine.step import StepRegistry
from tests.stores.servers import schema

START = 1_767_225_600.0
PATIENCE = 20.0
WAITS = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "Next": "T"}, "T": {"Type": "Succeed"}}}


def chain(*names: str, **fields: Any) -> dict[str, Any]:
    states: dict[str, Any] = {}
    for number, name in enumerate(names):
        last = number + 1 == len(names)
        after = {"End": True} if last else {"Next": names[number + 1]}
        states[name] = {"Type": "Task", "Resource": f"step:{name}", **after, **fields}
    return {"StartAt": names[0], "States": states}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgresql":
        with schema(request.getfixturevalue("server")) as found:
            yield found
    else:
        yield f"sqlite:///{tmp_path}/runs.db"


class Steps:
    """Steps that must not run twice, and remember what was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def registry(self, *names: str) -> StepRegistry:
        found = StepRegistry()
        for name in names:
            found.add(step(name, idempotency="none")(self.handler(name)).__step__)  # type: ignore[attr-defined]
        return found

    def handler(self, name: str) -> Any:
        def work(payload: Any, ctx: Any) -> Any:
            self.calls.append((ctx.execution, name))
            return payload

        return work


@contextmanager
def working(url: str, registry: StepRegistry) -> Iterator[None]:
    with Engine(url, steps=registry) as engine:
        worker = Worker(engine)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield
        finally:
            worker.stop(patience=PATIENCE)
            thread.join(PATIENCE)
            assert not thread.is_alive()


def until(found: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)


# -- one execution -------------------------------------------------------------------------------------------------


def test_a_paused_execution_is_run_by_nobody_and_goes_on_when_it_is_unpaused(url: str) -> None:
    steps = Steps()
    registry = steps.registry("a", "b")
    with Engine(url, steps=registry, clock=VirtualClock(START)) as engine:
        engine.start(chain("a", "b"), name="x")
        engine.start(chain("a", "b"), name="y")
        assert engine.pause("x")
        assert not engine.pause("x")
        with pytest.raises(ExecutionPaused, match="engine unpause x"):
            engine.resume("x")
        assert Worker(engine).run_until_idle() == 1
        assert {name for name, _ in steps.calls} == {"y"}
        assert [found.name for found in engine.list(paused=True)] == ["x"]
        assert engine.describe("x")["paused"] is not None
        assert engine.unpause("x")
        assert not engine.unpause("x")
        assert Worker(engine).run_until_idle() == 1
        assert [name for who, name in steps.calls if who == "x"] == ["a", "b"]
        with pytest.raises(ExecutionEnded, match="SUCCEEDED"):
            engine.pause("x")
        with pytest.raises(ExecutionNotFound):
            engine.unpause("nobody")


def test_the_process_that_runs_it_gives_it_back_when_the_calls_that_are_out_have_ended(url: str) -> None:
    inside, go_on = threading.Event(), threading.Event()
    steps = Steps()
    registry = steps.registry("b")

    @step("a", idempotency="none")
    def slow(payload: Any, ctx: Any) -> Any:
        inside.set()
        assert go_on.wait(PATIENCE)
        return payload

    registry.add(slow.__step__)  # type: ignore[attr-defined]
    with Engine(url, steps=registry) as front, working(url, registry):
        front.start(chain("a", "b"), name="x")
        assert inside.wait(PATIENCE)
        front.pause("x")
        time.sleep(1.0)  # a worker hears of it within a moment
        go_on.set()
        until(lambda: [found.parked for found in front.list()] == ["b"])
        assert front.describe("x")["waiting"][0]["parked"] == "b"
        assert steps.calls == []
        front.unpause("x")
        until(lambda: front.describe("x")["status"] != "RUNNING")
        assert front.describe("x")["status"] == "SUCCEEDED"
        assert steps.calls == [("x", "b")]


def test_timers_and_answers_that_come_while_it_is_paused_are_heeded_afterwards_and_it_can_be_stopped(url: str) -> None:
    clock = VirtualClock(START)
    with Engine(url, steps={"ask": lambda payload, ctx: ctx.token}, clock=clock) as engine:
        engine.start(WAITS, name="x")
        engine.start(WAITS, name="y")
        Worker(engine)._scheduler.store.enter(10.0)
        for name in ("x", "y"):
            engine.pause(name)
        clock.advance(100)
        assert Worker(engine).run_until_idle() == 0
        assert engine.stop("y").status == "ABORTED"
        engine.unpause("x")
        assert Worker(engine).run_until_idle() == 1
        assert engine.describe("x")["status"] == "SUCCEEDED"
        outcome = engine.run(
            {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "step:ask.waitForTaskToken", "End": True}}},
            name="z",
        )
        token = outcome.history[-1]["taskSubmittedEventDetails"]["output"].strip('"')
        engine.pause("z")
        assert engine.send_task_success(token, 7).status == "RUNNING"
        engine.unpause("z")
        assert engine.resume("z").output == 7


def test_a_run_in_this_process_is_given_back_when_it_is_paused_from_another_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with Engine(url) as front:

        def first(payload: Any, ctx: Any) -> Any:
            front.pause("x")
            return payload

        def second(payload: Any, ctx: Any) -> Any:
            time.sleep(0.06)  # longer than it takes to look around
            return payload

        with Engine(url, steps={"a": first, "b": second, "c": second}) as engine:
            outcome = engine.run(chain("a", "b", "c"), name="x")
            assert outcome.status == "RUNNING"
            assert front.list()[0].paused is not None
            front.unpause("x")
            assert engine.resume("x").status == "SUCCEEDED"


# -- what steps call -----------------------------------------------------------------------------------------------


def test_executions_park_before_a_paused_step_and_go_on_at_a_rate(url: str) -> None:
    steps, clock = Steps(), VirtualClock(START)
    registry = steps.registry("shop.check", "taxi.book")
    with Engine(url, steps=registry, clock=clock) as engine:
        for number in range(10):
            engine.start(chain("shop.check", "taxi.book"), name=f"x{number}")
        engine.pause_step("taxi.*", reason="down")
        assert Worker(engine).run_until_idle() == 0
        assert {name for _, name in steps.calls} == {"shop.check"}
        (paused,) = engine.paused_steps()
        assert (paused.pattern, paused.reason, paused.parked) == ("taxi.*", "down", 10)
        assert {found.parked for found in engine.list()} == {"taxi.book"}
        assert engine.unpause_step("taxi.*", rate=2.0) == 10
        moments: list[float] = []
        steps.handler = lambda name: None  # type: ignore[method-assign, assignment, return-value]
        worker = Worker(engine)
        while len(moments) < 10:
            before = len(steps.calls)
            worker.run_until_idle()
            moments += [clock.now()] * (len(steps.calls) - before)
        assert clock.now() == START + 9 / 2
        assert {found.status for found in engine.list()} == {"SUCCEEDED"}
        assert [name for name, called in steps.calls if called == "taxi.book"] == [f"x{n}" for n in range(10)]


def test_the_time_out_of_a_parked_call_stands_still_and_it_is_not_in_doubt(url: str) -> None:
    steps, clock = Steps(), VirtualClock(START)
    registry = steps.registry("a")
    with Engine(url, steps=registry, clock=clock) as engine:
        engine.pause_step("a")
        outcome = engine.run(chain("a", TimeoutSeconds=30, HeartbeatSeconds=10), name="x")
        assert (outcome.status, steps.calls) == ("RUNNING", [])
        clock.advance(1000)
        assert engine.resume("x").status == "RUNNING"
        assert engine.unpause_step("a") == 1
        assert engine.resume("x").status == "SUCCEEDED"
        assert steps.calls == [("x", "a")]


def test_workers_heed_a_pause_within_seconds_and_branches_beside_it_go_on(url: str) -> None:
    steps = Steps()
    registry = steps.registry("a", "b", "c")
    flow = {
        "StartAt": "P",
        "States": {"P": {"Type": "Parallel", "Branches": [chain("a", "b"), chain("c")], "End": True}},
    }
    with Engine(url, steps=registry) as front:
        front.pause_step("b")
        with working(url, registry):
            front.start(flow, name="x")
            until(lambda: [found.parked for found in front.list()] == ["b"])
            assert sorted(name for _, name in steps.calls) == ["a", "c"]
            front.unpause_step("b")
            until(lambda: front.describe("x")["status"] == "SUCCEEDED")
            front.pause_step("a")
            time.sleep(1.6)  # what workers know may be more than a second old
            front.start(flow, name="y")
            until(lambda: front.list()[0].parked == "a")


def test_what_another_pause_still_holds_stays_parked() -> None:
    steps = Steps()
    with Engine("memory:", steps=steps.registry("taxi.book"), clock=VirtualClock(START)) as engine:
        engine.start(chain("taxi.book"), name="x")
        engine.pause_step("taxi.*")
        engine.pause_step("*.book")
        Worker(engine).run_until_idle()
        assert engine.unpause_step("taxi.*") == 0
        with pytest.raises(InvalidInput, match=r"'taxi.\*' is not paused; paused are: \*\.book"):
            engine.unpause_step("taxi.*")
        assert engine.unpause_step("*.book") == 1
        with pytest.raises(InvalidInput, match="no name of a step"):
            engine.pause_step("two words")
