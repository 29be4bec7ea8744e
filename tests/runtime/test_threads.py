"""What steps do to the thread in which they are called, and what threads do to each other."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, StepRegistry, step
from engine.definition import load
from engine.runtime import machines
from engine.runtime.pool import Pace
from engine.runtime.worker import Worker

PATIENCE = 20.0
FLOW: dict[str, Any] = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:work", "End": True}}}


def leaves(payload: Any, ctx: Any) -> Any:
    if payload:
        sys.exit("enough")
    return "done"


async def awaits_what_was_cancelled(payload: Any, ctx: Any) -> Any:
    if payload:
        other = asyncio.ensure_future(asyncio.sleep(PATIENCE))
        other.cancel()
        await other
    return "done"


@pytest.fixture(params=["here", "in a thread"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plain steps are called."""
    if request.param == "in a thread":
        made = Pace.__init__

        def slow(pace: Pace, limit: int | None, *, thread: bool) -> None:
            made(pace, limit, thread=thread)
            pace.quick = False

        monkeypatch.setattr(Pace, "__init__", slow)


@pytest.fixture
def work(tmp_path: Path) -> Any:
    """Runs the flow with that step in a worker with one thread: first so that it breaks, then again."""

    def run(step: Any) -> list[tuple[str, Any]]:
        with Engine(f"sqlite:///{tmp_path}/work.db", steps={"work": step}) as engine:
            worker = Worker(engine, concurrency=1)
            thread = threading.Thread(target=worker.run)
            thread.start()
            try:
                ends = [worker.submit(FLOW, given).result(PATIENCE) for given in (True, False)]
            finally:
                worker.stop(patience=0)
                thread.join(PATIENCE)
        return [(end.status, end.error or end.output) for end in ends]

    return run


def test_a_step_that_wants_to_end_the_process_fails_and_the_worker_goes_on(where: None, work: Any) -> None:
    assert work(leaves) == [("FAILED", "SystemExit"), ("SUCCEEDED", "done")]


def test_a_step_that_awaits_what_was_cancelled_fails_and_is_not_waited_for_ever(work: Any) -> None:
    assert work(awaits_what_was_cancelled) == [("FAILED", "Cancelled"), ("SUCCEEDED", "done")]


def test_a_step_that_cannot_be_checked_is_set_aside_and_the_worker_goes_on(
    where: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.json").write_text("{")

    @step("work", output="broken.json")
    def work(payload: Any, ctx: Any) -> Any:
        return payload

    @step("sound")
    def sound(payload: Any, ctx: Any) -> Any:
        return payload

    steps = StepRegistry()
    steps.add(*(getattr(declared, "__step__") for declared in (work, sound)))  # noqa: B009
    steps.schemas = tmp_path
    with Engine(f"sqlite:///{tmp_path}/work.db", steps=steps) as engine:
        worker = Worker(engine, concurrency=1)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            worker.submit(FLOW, "first", name="first")
            second = {"StartAt": "T", "States": {"T": {**FLOW["States"]["T"], "Resource": "step:sound"}}}
            assert worker.submit(second, "second").result(PATIENCE).output == "second"
        finally:
            worker.stop(patience=0)
            thread.join(PATIENCE)
        assert engine.describe("first")["status"] == "RUNNING"
    assert "execution first cannot go on here: JSONDecodeError" in caplog.text


def test_what_is_known_of_a_flow_may_be_forgotten_while_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that brings one flow too many clears the memory between another one's writing and reading."""
    monkeypatch.setattr(machines, "MOST_KEPT", 1)
    first, second = load(FLOW), load({**FLOW, "Comment": "another"})
    with Engine("memory:", steps={"work": leaves}) as engine:
        held = engine.machines

        class Interrupted(dict[int, Any]):
            """Right after one thread has written, another one clears."""

            def __setitem__(self, key: int, value: Any) -> None:
                super().__setitem__(key, value)
                with ThreadPoolExecutor(1) as threads:
                    threads.submit(self.clear).result(PATIENCE)

        held._digests, held._pinned = Interrupted(), Interrupted()
        assert held.digest(first) != held.digest(second)
        assert held.pins(first) == {}
