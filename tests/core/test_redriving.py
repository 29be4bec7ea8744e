"""What a redrive does that no runtime has to be asked for: refusals, and children that had not begun.

tests/runtime/test_redrive.py has what users see of it, on every store.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine import load_flow
from engine.core.decide import decide
from engine.core.events import (
    Decision,
    ExecutionRedriven,
    ExecutionStarted,
    ExecutionStopped,
    ScheduleTask,
    StartTimer,
    TaskSucceeded,
    TimerFired,
)
from engine.core.execution import ABORTED, FAILED, RETRY, SUCCEEDED, Execution
from engine.core.forks import START
from engine.core.redrive import MAX_REDRIVES, refusal
from engine.machine import StateMachine

STOP = ExecutionStopped(1.0)
REDRIVE = ExecutionRedriven(60.0)


def begun(machine: StateMachine, data: Any = None) -> Execution:
    return decide(machine, Execution("x", data), ExecutionStarted(0.0)).apply()


def each(selector: dict[str, Any], **fields: Any) -> StateMachine:
    """A Map that waits a second for each of its items."""
    processor = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}
    state = {"Type": "Map", "ItemProcessor": processor, "ItemSelector": selector, "End": True, **fields}
    return load_flow({"StartAt": "M", "States": {"M": state}})


def started(decision: Decision) -> list[Any]:
    return [(details or {})["index"] for *_, kind, details in decision.history if kind == "MapIterationStarted"]


def test_after_a_thousand_redrives_there_is_no_other() -> None:
    execution = begun(load_flow({"StartAt": "F", "States": {"F": {"Type": "Fail"}}}))
    execution.redrives = MAX_REDRIVES - 1
    assert refusal(execution) is None
    execution.redrives = MAX_REDRIVES
    assert refusal(execution) == "Execution redrive limit of 1000 exceeded"


def test_an_execution_that_has_left_no_frames_cannot_go_on() -> None:
    execution = Execution("x", {})
    execution.status = FAILED
    assert refusal(execution) == "Execution has no state to go on from"


def test_children_that_had_not_begun_begin_when_their_input_can_be_made() -> None:
    machine = each({"again.$": "$$.Execution.RedriveTime"})
    failed = begun(machine, [7, 8])
    assert (failed.status, failed.error) == (FAILED, "States.Runtime")
    redriven = decide(machine, failed, REDRIVE)
    assert started(redriven) == [0, 1]
    execution = redriven.apply()
    for path in ("0.0", "0.1"):
        execution = decide(machine, execution, TimerFired(f"{path}#{execution.frames[path].token}", 61.0)).apply()
    assert (execution.status, execution.output) == (SUCCEEDED, [{"again": "1970-01-01T00:01:00.000Z"}] * 2)


def test_a_redrive_leaves_the_limit_of_a_map_to_those_that_have_begun() -> None:
    machine = each({"n.$": "$$.Map.Item.Value"}, MaxConcurrency=2)
    stopped = decide(machine, begun(machine, [7, 8, 9]), STOP).apply()
    assert stopped.status == ABORTED
    redriven = decide(machine, stopped, REDRIVE)
    assert started(redriven) == []
    execution = redriven.apply()
    next_one = decide(machine, execution, TimerFired(f"0.0#{execution.frames['0.0'].token}", 61.0))
    assert started(next_one) == [2]


def test_a_map_whose_first_child_cannot_begin_again_starts_no_other_and_is_retried() -> None:
    retry = [{"ErrorEquals": ["States.QueryEvaluationError"], "MaxAttempts": 1}]
    machine = each({"n": "{% $none %}"}, QueryLanguage="JSONata", Retry=retry)
    waiting = begun(machine, [7, 8])
    assert waiting.frames["0"].wait == RETRY
    failed = decide(machine, waiting, TimerFired(f"0#{waiting.frames['0'].token}", 1.0)).apply()
    assert failed.status == FAILED
    redriven = decide(machine, failed, REDRIVE)
    assert started(redriven) == [0]
    assert redriven.apply().frames["0"].wait == RETRY


def test_a_state_that_needs_nothing_from_outside_runs_on_with_its_new_input() -> None:
    rule = {"Variable": "$.go", "BooleanEquals": True, "Next": "Z"}
    machine = load_flow({"StartAt": "C", "States": {"C": {"Type": "Choice", "Choices": [rule]},
                         "Z": {"Type": "Succeed"}}})  # fmt: skip
    failed = begun(machine, {"go": False})
    assert failed.error == "States.Runtime"
    redriven = decide(machine, failed, ExecutionRedriven(60.0, {"0": {"go": True}}))
    assert (redriven.execution.status, redriven.execution.output) == (SUCCEEDED, {"go": True})


def test_a_branch_that_fails_at_once_and_is_caught_takes_the_others_with_it() -> None:
    branches = [
        {"StartAt": name, "States": {name: {"Type": "Wait", "Seconds": "{% $states.input.s %}", "End": True}}}
        for name in "AB"
    ]
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Z"}]
    parallel = {"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True}
    states = {"P": parallel, "Z": {"Type": "Pass", "Output": "caught", "End": True}}
    machine = load_flow({"QueryLanguage": "JSONata", "StartAt": "P", "States": states})
    stopped = decide(machine, begun(machine, {"s": 9}), STOP).apply()
    redriven = decide(machine, stopped, ExecutionRedriven(60.0, {"0.0": {"s": -1}}))
    assert (redriven.execution.status, redriven.execution.output) == (SUCCEEDED, "caught")
    assert not any(isinstance(command, StartTimer) for command in redriven.commands), "B waits for nothing"


def test_a_map_run_whose_results_were_too_large_is_run_again_as_a_whole() -> None:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P",
                 "States": {"P": {"Type": "Pass", "End": True}}}  # fmt: skip
    machine = load_flow({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}})
    asked = decide(machine, Execution("x", [1, 2], spreads=True), ExecutionStarted(0.0))
    answers: list[dict[str, Any]] = [{"status": SUCCEEDED}, {"results": None}]
    for answer in answers:
        (call,) = asked.commands
        assert isinstance(call, ScheduleTask)
        asked = decide(machine, asked.apply(), TaskSucceeded(call.token, answer, 1.0))
    assert asked.execution.error == "States.DataLimitExceeded"
    execution = decide(machine, asked.apply(), REDRIVE).apply()
    assert execution.frames["0"].call["spread"] == START, "no child is taken over from the first run"


@pytest.mark.parametrize("spreads", [False, True])
def test_a_map_run_whose_results_could_not_be_used_is_run_again_as_a_whole(spreads: bool) -> None:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P",
                 "States": {"P": {"Type": "Pass", "End": True}}}  # fmt: skip
    state = {"Type": "Map", "ItemProcessor": processor, "OutputPath": "$.none", "End": True}
    machine = load_flow({"StartAt": "M", "States": {"M": state}})
    asked = decide(machine, Execution("x", [1, 2], spreads=spreads), ExecutionStarted(0.0))
    answers: list[dict[str, Any]] = [{"status": SUCCEEDED}, {"results": [["SUCCEEDED", 1], ["SUCCEEDED", 2]]}]
    for answer in answers if spreads else ():
        (call,) = asked.commands
        assert isinstance(call, ScheduleTask)
        asked = decide(machine, asked.apply(), TaskSucceeded(call.token, answer, 1.0))
    assert asked.execution.error == "States.Runtime"
    runs = [details for *_, kind, details in asked.history if kind == "MapRunStarted"]
    redriven = decide(machine, asked.apply(), REDRIVE)
    kinds = [kind for *_, kind, _ in redriven.history]
    assert "MapRunStarted" in kinds
    assert "MapRunRedriven" not in kinds
    assert runs != [details for *_, kind, details in redriven.history if kind == "MapRunStarted"], "it is another one"


@pytest.mark.parametrize(("kind", "again"), [("STANDARD", "B"), ("EXPRESS", "A")])
def test_an_express_child_begins_again_with_its_first_state(kind: str, again: str) -> None:
    states = {
        "A": {"Type": "Task", "Resource": "step:a", "Next": "B"},
        "B": {"Type": "Task", "Resource": "step:b", "End": True},
    }
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}, "StartAt": "A", "States": states}
    machine = load_flow({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}})
    execution = begun(machine, [7])
    execution = decide(machine, execution, TaskSucceeded(f"0.0#{execution.frames['0.0'].token}", 8, 1.0)).apply()
    redriven = decide(machine, decide(machine, execution, STOP).apply(), REDRIVE)
    assert [command.state for command in redriven.commands if isinstance(command, ScheduleTask)] == [again]
    assert [kind for *_, kind, _ in redriven.history] == ["ExecutionRedriven", "MapRunRedriven"]


def test_an_execution_that_begins_anew_keeps_nothing_but_its_input_and_its_history() -> None:
    branch = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}
    states = {
        "A": {"Type": "Pass", "Assign": {"v": 1}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [branch], "End": True},
    }
    machine = load_flow({"QueryLanguage": "JSONata", "StartAt": "A", "States": states})
    stopped = decide(machine, begun(machine, {"n": 1}), STOP).apply()
    redriven = decide(machine, stopped, ExecutionRedriven(60.0, anew=True))
    assert [kind for *_, kind, _ in redriven.history][:3] == [
        "ExecutionRedriven",
        "PassStateEntered",
        "PassStateExited",
    ]
    execution = redriven.apply()
    assert sorted(execution.frames) == ["0", "0.0"]
    done = decide(machine, execution, TimerFired(f"0.0#{execution.frames['0.0'].token}", 61.0)).execution
    assert (done.status, done.output, done.redrives) == (SUCCEEDED, [{"n": 1}], 1)


def test_a_map_run_counts_its_own_redrives() -> None:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "W",
                 "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}  # fmt: skip
    states = {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.go", "BooleanEquals": True, "Next": "M"}]},
        "M": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True},
    }
    machine = load_flow({"StartAt": "C", "States": states})
    execution = begun(machine, {"go": False})
    execution = decide(machine, execution, ExecutionRedriven(2.0, {"0": {"go": True, "items": [1]}})).apply()
    execution = decide(machine, execution, ExecutionStopped(3.0)).apply()
    redriven = decide(machine, execution, ExecutionRedriven(4.0))
    counts = [
        details["redriveCount"] for *_, kind, details in redriven.history if kind.endswith("Redriven") and details
    ]
    assert counts == [2, 1], "of the execution, and of its map run"
