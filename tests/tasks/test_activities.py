"""Activities on every store: handed out once, in order, with the time limits of AWS."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, VirtualClock
from engine.errors import TaskTimedOut
from engine.runtime.worker import Worker
from tests.cli.conftest import Project, project
from tests.core.drivers import START

__all__ = ["project"]
PACK = "arn:aws:states:us-east-1:111111111111:activity:pack"


def flow(**fields: Any) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": PACK, **fields, "End": True}}}


def engine_of(url: str) -> Engine:
    return Engine(url, clock=VirtualClock(START))


def kinds(engine: Engine, name: str) -> list[str]:
    return [event["type"] for event in engine.history(name)]


def test_work_is_taken_and_answered_with_its_token(url: str) -> None:
    with engine_of(url) as engine:
        assert engine.run(flow(), {"box": 1}, name="x").status == "RUNNING"
        task = engine.get_activity_task(PACK, worker="robot", wait=0)
        assert task is not None
        assert task.input == {"box": 1}
        assert engine.get_activity_task(PACK, wait=0) is None, "it is handed out once"
        assert engine.send_task_success(task.token, {"done": True}).output == {"done": True}
        assert kinds(engine, "x") == [
            *("ExecutionStarted", "TaskStateEntered", "ActivityScheduled", "ActivityStarted", "ActivitySucceeded"),
            *("TaskStateExited", "ExecutionSucceeded"),
        ]
        assert engine.history("x")[3]["activityStartedEventDetails"] == {"workerName": "robot"}


def test_the_oldest_work_comes_first_and_what_nobody_waits_for_is_left_out(url: str) -> None:
    with engine_of(url) as engine:
        for name in ("a", "b", "c"):
            engine.start(flow(), {"n": name}, name=name)
            Worker(engine).run_until_idle()
            engine.host.clock.sleep(1)
        engine.stop("a")
        taken = [engine.get_activity_task("pack", wait=0) for _ in range(3)]
        assert [task.input["n"] if task else None for task in taken] == ["b", "c", None]


def test_a_failure_can_be_retried_and_is_queued_again(url: str) -> None:
    with engine_of(url) as engine:
        engine.start(flow(Retry=[{"ErrorEquals": ["Broken"], "IntervalSeconds": 5}]), name="x")
        Worker(engine).run_until_idle()
        first = engine.get_activity_task("pack", wait=0)
        assert first is not None
        engine.send_task_failure(first.token, "Broken", "a dent", drive=False)
        Worker(engine).run_until_idle()
        second = engine.get_activity_task("pack", wait=0)
        assert second is not None
        assert second.token != first.token
        with pytest.raises(TaskTimedOut, match="answered before"):
            engine.send_task_success(first.token, 1)
        assert engine.send_task_success(second.token, 2).output == 2


def test_heartbeats_are_counted_from_the_moment_the_work_is_taken(url: str) -> None:
    with engine_of(url) as engine:
        engine.start(flow(HeartbeatSeconds=10), name="x")
        Worker(engine).run_until_idle()
        engine.host.clock.sleep(1000)
        task = engine.get_activity_task("pack", wait=0)
        assert task is not None
        Worker(engine).run_until_idle()  # nobody sends a heartbeat: 10 s pass
        found = engine.describe("x")
        assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
        assert kinds(engine, "x")[2:5] == ["ActivityScheduled", "ActivityStarted", "ActivityTimedOut"]
        times = [event["timestamp"].timestamp() - START for event in engine.history("x")]
        assert times[3:5] == [1000, 1010]


def test_a_time_out_counts_from_the_beginning_taken_or_not(url: str) -> None:
    with engine_of(url) as engine:
        assert engine.run(flow(TimeoutSeconds=60), name="x").error == "States.Timeout"
        assert engine.host.clock.now() == START + 60
        assert engine.get_activity_task("pack", wait=0) is None


def test_several_who_ask_share_the_work_and_nobody_gets_the_same(shared_url: str) -> None:
    with Engine(shared_url) as engine:
        for number in range(30):
            engine.start(flow(), {"n": number})
        Worker(engine).run_until_idle()
    taken: list[int] = []

    def poll() -> None:
        with Engine(shared_url) as engine:
            while (task := engine.get_activity_task(PACK, wait=0)) is not None:
                taken.append(task.input["n"])
                engine.send_task_success(task.token, task.input, drive=False)

    pollers = [threading.Thread(target=poll) for _ in range(4)]
    for poller in pollers:
        poller.start()
    for poller in pollers:
        poller.join()
    assert sorted(taken) == list(range(30))
    with Engine(shared_url) as engine:
        Worker(engine).run_until_idle()
        assert {found.status for found in engine.list(limit=100)} == {"SUCCEEDED"}


def test_whoever_asks_waits_until_there_is_work(shared_url: str) -> None:
    found: list[Any] = []

    def poll() -> None:
        with Engine(shared_url) as engine:
            found.append(engine.get_activity_task("pack", wait=30))

    with Engine(shared_url) as engine:
        poller = threading.Thread(target=poll)
        poller.start()
        engine.run(flow(), {"late": True}, name="x")
        poller.join()
    assert found[0].input == {"late": True}


def test_the_commands_take_and_answer(project: Project, tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text(json.dumps(flow()), encoding="utf-8")
    assert project("run", "pack.yaml", "--input", '{"box": 1}', "--name", "x").exit_code == 0
    task = json.loads(project("activity", "take", "pack", "--wait", "0", "--json").stdout)
    assert task["input"] == {"box": 1}
    none = project("activity", "take", "pack", "--wait", "0")
    assert (none.exit_code, none.stderr) == (1, "no work for pack has come in 0 s\n")
    assert project("send", "success", task["taskToken"], "--output", "[1]").exit_code == 0
    assert json.loads(project("resume", "x").stdout) == [1]
