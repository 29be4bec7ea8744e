"""Events that come early, late, twice or together: each changes what it must, once, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from engine import TaskAnswer, load_flow, simulate
from engine.core.decide import decide
from engine.core.events import (
    CallsReturned,
    DeadlineReached,
    Decision,
    Event,
    ExecutionRedriven,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionStopped,
    ScheduleTask,
    StartTimer,
    TaskFailed,
    TaskHeartbeat,
    TaskHeld,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TimerFired,
    TimersFired,
)
from engine.core.execution import ABORTED, FAILED, RUNNING, SUCCEEDED, TIMED_OUT, Execution
from engine.core.history import render
from engine.machine import StateMachine

ACTIVITY = "arn:aws:states:us-east-1:111111111111:activity:look"
JOB = "arn:aws:states:::batch:submitJob.sync"


def one_task(resource: str, **fields: Any) -> StateMachine:
    return load_flow({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": True, **fields}}})


def kinds(decision: Decision) -> list[str]:
    return [kind for _, _, _, kind, _ in decision.history]


def after(machine: StateMachine, *events: Event) -> Execution:
    """A new execution to which these events have happened, taken through its snapshot each time."""
    execution = Execution("x", {})
    for event in events:
        execution = decide(machine, execution, event).apply()
        execution = Execution.from_json(execution.header(), [frame.to_json() for frame in execution.frames.values()])
    return execution


def changes_nothing(machine: StateMachine, execution: Execution, event: Event) -> bool:
    """Nothing at all: what has no frames, history or commands is not written."""
    decision = decide(machine, execution, event)
    return not (decision.frames or decision.history or decision.commands)


ONCE = [
    pytest.param(TaskHeartbeat("0#1", 2.0), id="a heartbeat"),
    pytest.param(TaskHeld("0#1", "t", 2.0), id="a call held back"),
    pytest.param(TaskStarted("0#1", 2.0), id="the start of work"),
    pytest.param(TaskSubmitted("0#1", {"JobId": "1"}, 2.0), id="a receipt"),
    pytest.param(TaskSucceeded("0#1", {}, 2.0), id="a result"),
    pytest.param(TaskFailed("0#1", "Boom", None, 2.0), id="a failure"),
    pytest.param(TimerFired("0#1", 99.0), id="a timer"),
    pytest.param(TimersFired(["0#1", "0.3#1"], 99.0), id="several timers"),
]


@pytest.mark.parametrize("event", ONCE)
def test_what_comes_when_nothing_waits_for_it_any_more_is_nothing(event: Event) -> None:
    wait = {"Type": "Wait", "Seconds": 1000, "End": True}
    machine = load_flow({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": JOB, "Next": "W"}, "W": wait}})
    execution = after(machine, ExecutionStarted(0.0), TaskSucceeded("0#1", {}, 1.0))
    assert changes_nothing(machine, execution, event)


@pytest.mark.parametrize(
    "event",
    [
        TaskStarted("0#1", 2.0),
        TaskSubmitted("0#1", {"JobId": "1"}, 2.0),
        TaskHeld("0#1", "t", 2.0),
        CallsReturned(["0#1"], 2.0),
    ],
)
def test_what_becomes_of_a_call_is_written_once_however_often_it_comes(event: Event) -> None:
    machine = one_task(JOB)
    begun = after(machine, ExecutionStarted(0.0))
    assert not changes_nothing(machine, begun, event)
    assert changes_nothing(machine, after(machine, ExecutionStarted(0.0), event), event)


@pytest.mark.parametrize("resource", [JOB, "step:t", ACTIVITY])
def test_a_heartbeat_that_nobody_counts_changes_nothing(resource: str) -> None:
    machine = one_task(resource)
    assert changes_nothing(machine, after(machine, ExecutionStarted(0.0)), TaskHeartbeat("0#1", 2.0))


def test_a_call_that_is_held_back_twice_keeps_the_time_it_had_left() -> None:
    machine = one_task("step:t", TimeoutSeconds=10)
    held = [TaskHeld("0#1", "t", 4.0), TaskHeld("0#1", "t", 9.0)]
    execution = after(machine, ExecutionStarted(0.0), *held, ExecutionResumed(100.0))
    assert execution.frames["0"].due == 106.0


def test_a_heartbeat_moves_the_time_out_of_heartbeats_on() -> None:
    machine = one_task("step:t", HeartbeatSeconds=5)
    beaten = after(machine, ExecutionStarted(0.0), TaskHeartbeat("0#1", 4.0))
    assert changes_nothing(machine, beaten, TimerFired("0#1", 5.0))
    assert decide(machine, beaten, TimerFired("0#1", 9.0)).execution.status == FAILED
    endless = one_task("step:t")
    assert after(endless, ExecutionStarted(0.0), TaskHeartbeat("0#1", 4.0)).frames["0"].wakes is None


def test_the_heartbeats_of_an_activity_count_from_when_somebody_has_taken_it() -> None:
    machine = one_task(ACTIVITY, HeartbeatSeconds=5)
    queued = after(machine, ExecutionStarted(0.0), TaskSubmitted("0#1", None, 1.0))
    assert queued.frames["0"].wakes is None
    taken = decide(machine, queued, TaskStarted("0#1", 100.0, worker="Ann"))
    (timer,) = taken.commands
    assert isinstance(timer, StartTimer)
    assert (timer.token, timer.due) == ("0#1", 105.0)
    (written,) = render(taken.history)
    assert written["activityStartedEventDetails"] == {"workerName": "Ann"}
    assert kinds(decide(machine, taken.apply(), TimerFired("0#1", 105.0))) == ["ActivityTimedOut", "ExecutionFailed"]


def test_a_receipt_is_written_between_the_start_and_the_result() -> None:
    outcome = simulate(one_task(JOB), {}, tasks=lambda call: TaskAnswer({"Status": "DONE"}, submitted={"JobId": "1"}))
    assert outcome.output == {"Status": "DONE"}
    assert [event["type"] for event in outcome.history[2:-2]] == [
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
    ]
    details = outcome.history[4]["taskSubmittedEventDetails"]
    assert (details["resourceType"], details["output"]) == ("batch", '{"JobId":"1"}')


READING = load_flow({"StartAt": "M", "States": {"M": {
    "Type": "Map",
    "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}},
    "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P",
                      "States": {"P": {"Type": "Pass", "End": True}}},
    "End": True,
}}})  # fmt: skip


def test_a_receipt_for_what_a_map_reads_is_none_of_a_task() -> None:
    begun = after(READING, ExecutionStarted(0.0))
    token = f"0#{begun.frames['0'].token}"
    assert changes_nothing(READING, begun, TaskSubmitted(token, {}, 1.0))
    assert decide(READING, begun, TaskSucceeded(token, "[1, 2]", 2.0)).execution.output == [1, 2]


def test_what_a_map_reads_is_asked_for_again_by_the_process_that_goes_on() -> None:
    begun = decide(READING, Execution("x", {}), ExecutionStarted(0.0))
    (first,) = begun.commands
    (again,) = decide(READING, begun.apply(), ExecutionResumed(1.0)).commands
    assert isinstance(first, ScheduleTask)
    assert isinstance(again, ScheduleTask)
    assert (again.token, again.arguments, again.key) == (first.token, {"Bucket": "b", "Key": "k"}, first.key)
    assert again.resource.uri == "arn:aws:states:::s3:getObject"


def test_the_deadline_of_before_a_redrive_ends_nothing() -> None:
    wait = {"StartAt": "W", "TimeoutSeconds": 10, "States": {"W": {"Type": "Wait", "Seconds": 99, "End": True}}}
    machine = load_flow(wait)
    ended = after(machine, ExecutionStarted(0.0), DeadlineReached(10.0))
    assert ended.status == TIMED_OUT
    again = decide(machine, ended, ExecutionRedriven(12.0)).apply()
    assert changes_nothing(machine, again, DeadlineReached(12.0))
    assert decide(machine, again, DeadlineReached(22.0)).execution.status == TIMED_OUT


def test_of_timers_that_fire_together_one_may_end_what_the_others_wait_for() -> None:
    branches = [
        {"StartAt": name, "States": {name: {"Type": "Task", "Resource": "step:t", "TimeoutSeconds": 5, "End": True}}}
        for name in "AB"
    ]
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Z"}]
    parallel = {"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True}
    machine = load_flow({"StartAt": "P", "States": {"P": parallel, "Z": {"Type": "Succeed"}}})
    begun = after(machine, ExecutionStarted(0.0))
    tokens = [f"{frame.path}#{frame.token}" for frame in begun.frames.values() if frame.path != "0"]
    fired = decide(machine, begun, TimersFired([*tokens, "0.7#9"], 5.0))
    assert fired.execution.status == SUCCEEDED
    assert kinds(fired).count("TaskTimedOut") == 2, "both are written, though the first ends the other"
    assert kinds(fired).count("ParallelStateExited") == 1


def test_a_child_that_is_stopped_before_it_has_begun_begins_when_it_is_redriven() -> None:
    state = {"Type": "Pass", "Parameters": {"n.$": "$.n", "began.$": "$$.Execution.StartTime"}, "End": True}
    machine = load_flow({"StartAt": "P", "States": {"P": state}})
    stopped = decide(machine, Execution("x", {"n": 1}), ExecutionStopped(1.0, "Enough", "of it"))
    assert (stopped.execution.status, kinds(stopped)) == (ABORTED, ["ExecutionAborted"])
    redriven = decide(machine, stopped.apply(), ExecutionRedriven(60.0))
    assert redriven.execution.output == {"n": 1, "began": "1970-01-01T00:00:01.000Z"}


def test_a_second_redrive_of_what_runs_again_is_nothing() -> None:
    machine = one_task("step:t")
    redriven = after(machine, ExecutionStarted(0.0), TaskFailed("0#1", "Boom", None, 1.0), ExecutionRedriven(2.0))
    assert redriven.status == RUNNING
    assert changes_nothing(machine, redriven, ExecutionRedriven(3.0))


@pytest.mark.parametrize(
    "answer",
    [TaskSucceeded("0#1", {}, 1.0, note="done twice"), TaskFailed("0#1", "Boom", None, 1.0, note="done twice")],
)
def test_a_note_for_people_is_kept_beside_the_history_and_not_shown_in_it(answer: Event) -> None:
    machine = one_task("step:t")
    decision = decide(machine, after(machine, ExecutionStarted(0.0)), answer)
    assert {"note": "done twice"}.items() <= (decision.history[1][4] or {}).items()
    assert "done twice" not in str(render(decision.history))
