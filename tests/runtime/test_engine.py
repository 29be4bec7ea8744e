"""The durable front door: starting, resuming, stopping, callbacks, time-outs, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, StepError, StepRegistry, TaskTimeout, VirtualClock, on_start, step
from engine.errors import (
    ExecutionAlreadyExists,
    ExecutionNotFound,
    InvalidInput,
    InvalidToken,
    StepRegistrationError,
    StoreTooNew,
    StoreUnavailable,
    TaskDoesNotExist,
    TaskTimedOut,
    UnknownStep,
    UnsupportedResource,
)
from engine.runtime.worker import Worker

START = 1_767_225_600.0


def one(resource: str = "step:work", **fields: Any) -> dict[str, Any]:
    return {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, **fields, "End": True}}}


def echo(payload: Any, ctx: Any) -> Any:
    return payload


def registry(*handlers: Any) -> StepRegistry:
    found = StepRegistry()
    found.add(*(handler.__step__ for handler in handlers))
    return found


# -- starting ------------------------------------------------------------------------------------------------------


def test_start_returns_at_once_and_resume_runs_it() -> None:
    with Engine("memory:", steps={"work": echo}) as engine:
        assert engine.start(one(), {"a": 1}, name="x").status == "RUNNING"
        assert engine.unfinished() == ["x"]
        assert engine.resume("x").output == {"a": 1}
        assert engine.unfinished() == []


def test_a_first_run_after_start_is_no_second_delivery() -> None:
    attempts = []

    @step("work", idempotency="none")
    def work(payload: Any, ctx: Any) -> Any:
        attempts.append(ctx.attempt)
        return {}

    with Engine("memory:", steps=registry(work)) as engine:
        engine.start(one(), name="x")
        assert engine.resume("x").status == "SUCCEEDED"
    assert attempts == [1]


def test_the_same_name_and_input_is_the_same_execution() -> None:
    calls = []
    with Engine("memory:", steps={"work": lambda payload, ctx: calls.append(1) or payload}) as engine:
        first = engine.run(one(), {"a": 1}, name="x")
        again = engine.run(one(), {"a": 1}, name="x")
        assert (first.output, again.output, len(calls)) == ({"a": 1}, {"a": 1}, 1)
        with pytest.raises(ExecutionAlreadyExists):
            engine.run(one(), {"a": True}, name="x")


def test_a_running_execution_keeps_the_definition_it_started_with(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with Engine(url, steps={"work": echo}) as engine:
        engine.start({"StartAt": "P", "States": {"P": {"Type": "Wait", "Seconds": 0, "Next": "Q"}, "Q": {"Type": "Pass",
                     "Result": "old", "End": True}}}, name="x")  # fmt: skip
    with Engine(url, steps={"work": echo}) as engine:
        assert engine.resume("x").output == "old"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "x" * 81, "a\nb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with Engine("memory:") as engine, pytest.raises(InvalidInput):
        engine.start({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}, name=name or " ")


@pytest.mark.parametrize("value", [float("nan"), {"a": object()}, {1: 2}, {"x": "y" * 300_000}])
def test_an_input_that_is_no_acceptable_json_is_refused_and_nothing_is_written(value: Any) -> None:
    with Engine("memory:") as engine:
        with pytest.raises(InvalidInput):
            engine.start({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}, value, name="x")
        assert engine.list() == []


def test_resources_are_checked_before_anything_starts() -> None:
    with Engine("memory:", steps={"work": echo}) as engine:
        with pytest.raises(UnsupportedResource, match="arn:aws:states:::batch:submitJob"):
            engine.start(one("arn:aws:states:::batch:submitJob"), name="x")
        from engine import load_flow

        with pytest.raises(UnknownStep, match="wokr"):
            engine.start(load_flow(one("step:wokr")), name="x")
        assert engine.list() == []


# -- steps ---------------------------------------------------------------------------------------------------------


def test_a_step_knows_its_call() -> None:
    seen: list[Any] = []

    def work(payload: Any, ctx: Any) -> Any:
        seen.append((ctx.execution, ctx.state, ctx.attempt, ctx.idempotency_key, ctx.settings["A"], ctx.remaining(3)))
        if len(seen) < 2:
            raise StepError("Busy")
        ctx.note("second try")
        return {"at": ctx.now().isoformat()}

    with Engine("memory:", steps={"work": work}, settings={"A": "b"}, clock=VirtualClock(START)) as engine:
        outcome = engine.run(one(Retry=[{"ErrorEquals": ["Busy"]}]), name="x")
        notes = [event[4]["note"] for event in engine.events("x") if event[4] and "note" in event[4]]
    assert outcome.output == {"at": "2026-01-01T00:00:01+00:00"}
    assert [call[2] for call in seen] == [1, 2]
    assert seen[0][3] == seen[1][3] != ""
    assert notes == ["second try"]
    assert "note" not in str(outcome.history), "notes are ours; GetExecutionHistory does not know them"


def test_async_steps_run() -> None:
    async def work(payload: Any, ctx: Any) -> Any:
        await asyncio.sleep(0)
        return payload

    with Engine("memory:", steps={"work": work}) as engine:
        assert engine.run(one(), {"a": 1}).output == {"a": 1}


def test_branches_with_slow_steps_run_side_by_side() -> None:
    together = threading.Barrier(2, timeout=10)

    def work(payload: Any, ctx: Any) -> Any:
        together.wait()
        return {}

    branch = one()
    flow = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [branch, _renamed(branch)], "End": True}}}
    with Engine("memory:", steps={"work": work}) as engine:
        assert engine.run(flow).output == [{}, {}]


def _renamed(branch: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "U", "States": {"U": branch["States"]["T"]}}


def test_a_step_that_hangs_times_out_and_its_late_answer_is_ignored() -> None:
    release = threading.Event()

    def work(payload: Any, ctx: Any) -> Any:
        release.wait(10)
        return "late"

    flow = one(TimeoutSeconds=1, Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "After"}])
    flow["States"]["After"] = {"Type": "Wait", "Seconds": 0, "End": True}
    with Engine("memory:", steps={"work": work}) as engine:
        began = time.monotonic()
        outcome = engine.run(flow, name="x")
        release.set()
        assert outcome.status == "SUCCEEDED"
        assert outcome.output["Error"] == "States.Timeout"
        assert 0.9 < time.monotonic() - began < 5


def test_a_heartbeat_keeps_a_call_alive() -> None:
    def work(payload: Any, ctx: Any) -> Any:
        for _ in range(3):
            ctx.sleep(4)
            ctx.heartbeat()
        ctx.sleep(payload)
        if payload > 5:
            raise TaskTimeout
        return "done"

    clock = VirtualClock(START)
    with Engine("memory:", steps={"work": work}, clock=clock) as engine:
        assert engine.run(one(HeartbeatSeconds=5), 1, name="a").output == "done"
        assert engine.run(one(HeartbeatSeconds=5), 9, name="b").error == "States.Timeout"


def test_a_crashing_step_says_where_and_not_what() -> None:
    def work(payload: Any, ctx: Any) -> Any:
        raise ValueError("+447700900123")

    with Engine("memory:", steps={"work": work}) as engine:
        outcome = engine.run(one())
    assert outcome.error == "ValueError"
    assert outcome.cause is not None
    assert "test_engine.py" in outcome.cause
    assert "7700" not in outcome.cause


def test_arguments_and_results_are_held_against_their_schemas() -> None:
    @step("work", input={"type": "object", "required": ["n"]}, output={"type": "integer", "maximum": 5})
    def work(payload: Any, ctx: Any) -> Any:
        return payload["n"]

    with Engine("memory:", steps=registry(work)) as engine:
        assert engine.run(one(), {"n": 5}).output == 5
        wrong_input, wrong_output = engine.run(one(), {}), engine.run(one(), {"n": 6})
    assert (wrong_input.error, wrong_output.error) == ("Step.InvalidInput", "Step.InvalidOutput")
    assert "missing n" in str(wrong_input.cause)


def test_a_result_that_is_no_json_is_an_error() -> None:
    with Engine("memory:", steps={"work": lambda payload, ctx: {1, 2}}) as engine:
        assert engine.run(one()).error == "Step.InvalidOutput"


def test_what_a_failing_transactional_step_wrote_is_undone() -> None:
    @step("work", transactional=True)
    def work(payload: Any, ctx: Any) -> Any:
        with ctx.transaction() as db:
            db.execute("CREATE TABLE mine (n INTEGER)")
        raise StepError("No")

    with Engine("memory:", steps=registry(work)) as engine:
        assert engine.run(one()).error == "No"
        with engine.host.transaction() as db:
            assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'mine'").fetchone() == (0,)


def test_a_hook_decides_what_is_stored_of_an_input() -> None:
    def hide(host: Any, name: str, given: Any) -> Any:
        return {"name": name, "length": len(given["secret"])}

    steps = registry(step("work")(lambda payload, ctx: payload))
    steps.hooks["start"].append(on_start(hide))
    with Engine("memory:", steps=steps) as engine:
        assert engine.run(one(), {"secret": "1234"}, name="x").output == {"name": "x", "length": 4}
        assert engine.run(one(), {"secret": "5678"}, name="x").output == {"name": "x", "length": 4}  # the same one
        assert "1234" not in str(engine.history("x"))
        crew = Worker(engine)
        future = crew.submit(one(), {"secret": "12345"}, name="y")
        crew.run_until_idle()
        assert future.result().output == {"name": "y", "length": 5}


def test_hooks_run_when_the_store_opens_and_when_a_run_is_idle() -> None:
    seen: list[str] = []
    steps = StepRegistry.of({"work": echo})
    steps.hooks["open"].append(lambda host: seen.append("open"))
    steps.hooks["idle"].append(lambda host: seen.append("idle"))

    def breaks(host: Any) -> None:
        raise RuntimeError("the bus is down")

    steps.hooks["idle"].append(breaks)
    with Engine("memory:", steps=steps) as engine:
        assert engine.run(one()).status == "SUCCEEDED"
    assert seen == ["open", "idle"]


@pytest.mark.parametrize("name", ["Book", "", "a..b", "a-b"])
def test_a_bad_step_name_is_refused(name: str) -> None:
    with pytest.raises(StepRegistrationError):
        step(name)(echo)


def test_a_name_is_registered_once_or_nothing_is() -> None:
    @step("b")
    def second(payload: Any, ctx: Any) -> Any:
        return {}

    steps = registry(second)

    @step("a")
    def first(payload: Any, ctx: Any) -> Any:
        return {}

    with pytest.raises(StepRegistrationError):
        steps.add(first.__step__, second.__step__)  # type: ignore[attr-defined]
    assert "a" not in steps


# -- callbacks and stopping ----------------------------------------------------------------------------------------


def test_a_call_that_waits_for_its_token_goes_on_with_it() -> None:
    tokens = []

    def ask(payload: Any, ctx: Any) -> Any:
        tokens.append(ctx.token)
        return {"asked": True}

    with Engine("memory:", steps={"work": ask}) as engine:
        waiting = engine.run(one("step:work.waitForTaskToken"), name="x")
        assert waiting.status == "RUNNING"
        assert engine.describe("x")["waiting"][0]["for"] == "TASK"
        assert engine.resume("x").status == "RUNNING", "a callback that is out is not asked for again"
        assert engine.send_task_success(tokens[0], {"yes": 1}).output == {"yes": 1}
        with pytest.raises(TaskTimedOut, match="has ended as SUCCEEDED"):
            engine.send_task_success(tokens[0], {})
        kinds = [event["type"] for event in engine.history("x")]
    assert len(tokens) == 1
    assert kinds[3:5] == ["TaskStarted", "TaskSubmitted"]


def test_a_token_can_bring_a_failure_and_a_wrong_one_nothing() -> None:
    tokens = []
    with Engine("memory:", steps={"work": lambda payload, ctx: tokens.append(ctx.token)}) as engine:
        engine.run(one("step:work.waitForTaskToken"), name="x")
        _, path, number, code = tokens[0].split("~")
        forged = "A" * len(code)
        for wrong in ("", "x", "x:0#1", "x~0~1~", f"x~0~{number}~{forged}", f"x~{path}~99~{code}", f"x~0.1~1~{code}"):
            with pytest.raises(InvalidToken):
                engine.send_task_failure(wrong)
        with pytest.raises(TaskDoesNotExist, match="no execution 'y'"):
            engine.send_task_failure(f"y~{path}~{number}~{code}")
        assert engine.send_task_heartbeat(tokens[0]).status == "RUNNING"
        assert engine.send_task_failure(tokens[0], "No", "never").error == "No"


def test_stop_ends_an_execution() -> None:
    with Engine("memory:", steps={"work": echo}) as engine:
        engine.start(one(), name="x")
        outcome = engine.stop("x", error="Changed", cause="the member changed their mind")
        assert (outcome.status, outcome.error) == ("ABORTED", "Changed")
        assert engine.resume("x").status == "ABORTED"
        with pytest.raises(ExecutionNotFound):
            engine.stop("y")


# -- stores --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["bookings.db", "mysql://x", "sqlite://x", ""])
def test_an_unknown_store_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="sqlite:///"):
        Engine(url)


def test_a_store_of_a_newer_version_or_another_application_is_left_alone(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "new.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE theirs (a)")
    (tmp_path / "text.db").write_text("this is no database, but a text that is long enough to be read as one " * 20)
    with pytest.raises(StoreTooNew):
        Engine(f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(StoreUnavailable, match="another application"):
        Engine(f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(StoreUnavailable):
        Engine(f"sqlite:///{tmp_path}/text.db")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="Create the folder"):
        Engine(f"sqlite:///{tmp_path}/no/such/runs.db")


def test_a_read_only_database_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        Engine(f"sqlite:///{folder}/runs.db").close()
        (folder / "runs.db").chmod(0o444)
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(StoreUnavailable, match="writable"):
            Engine(f"sqlite:///{folder}/runs.db")
        folder.chmod(0o755)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to write to everything; for any other user nothing changes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_locked_database_is_named_and_nothing_is_half_written(tmp_path: Path, monkeypatch: Any) -> None:
    import sqlite3
    from contextlib import closing

    monkeypatch.setattr("engine.stores.sqlite_connection.BUSY_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path}/runs.db"
    with Engine(url, steps={"work": echo}) as engine, closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked"):
            engine.start(one(), name="x")
        other.rollback()
        assert engine.list() == []
        assert engine.run(one(), name="x").status == "SUCCEEDED"


def test_lists_are_filtered_and_ordered() -> None:
    clock = VirtualClock(START)
    with Engine("memory:", steps={"work": echo}, clock=clock) as engine:
        for name in ("a", "b", "c"):
            engine.run(one(), name=name)
            clock.advance(60)
        engine.start(one(), name="d")
        assert [found.name for found in engine.list()] == ["d", "c", "b", "a"]
        assert [found.name for found in engine.list(status="RUNNING")] == ["d"]
        assert [found.name for found in engine.list(limit=1)] == ["d"]
        assert engine.list()[0].state == "T"
