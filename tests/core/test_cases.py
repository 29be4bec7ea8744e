"""Every case of tests/cases, in every way a flow can run. See tests/cases/README.md for their form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from engine import Outcome, StateMachine, load_flow, simulate
from engine.core.decide import HANDLERS, decide
from engine.core.events import Event, ExecutionStarted, TimerFired
from engine.core.execution import Execution
from engine.errors import TransitionLimitExceeded
from engine.values import MAX_PAYLOAD_BYTES, TOO_LARGE, equal
from tests.core import drivers

FOLDER = Path(__file__).resolve().parents[1] / "cases"
CASES = [
    (path.stem, case)
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


RUNS = [
    pytest.param(case, way, id=f"{stem}: {case['name']}, {way}")
    for stem, case in CASES
    for way in case.get("only", WAYS)
]


@pytest.mark.parametrize(("case", "way"), RUNS)
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


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{stem}: {case['name']}") for stem, case in CASES])
def test_every_way_ends_the_same(case: dict[str, Any]) -> None:
    machine = load_flow(case["flow"])
    runs = [WAYS[way](machine, case.get("input", {}), case.get("tasks"), "case") for way in case.get("only", WAYS)]
    ends = [(found.status, found.output, found.error, found.cause) for found in runs]
    assert all(end == ends[0] for end in ends)


def test_a_history_that_is_full_ends_the_execution() -> None:
    circle = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}}
    circle["States"]["C"] = {"Type": "Succeed"}
    circle["States"]["B"] = {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "C"}],
                             "Default": "A"}  # fmt: skip
    outcome = simulate(load_flow(circle), {}, history_limit=1000)
    assert (outcome.status, outcome.error) == ("FAILED", "States.Runtime")
    assert outcome.cause == "The execution reached the maximum number of history events (1000)."
    last = outcome.history[-2:]
    assert [(event["id"], event["previousEventId"]) for event in last] == [(999, 998), (1000, 999)]
    assert [event["type"] for event in last] == ["PassStateExited", "ExecutionFailed"]


def test_a_flow_without_an_end_and_without_a_limit_blows_the_last_fuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.core.advance.MAX_EVENTS", 100)
    flow = {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True,
            "Next": "C"}], "Default": "A"}, "C": {"Type": "Succeed"}}}  # fmt: skip
    with pytest.raises(TransitionLimitExceeded):
        simulate(flow, {}, history_limit=10**9)


def test_a_child_execution_that_runs_in_circles_fails_for_its_own_history() -> None:
    circle = {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 0,
              "Next": "C"}], "Default": "A"}, "C": {"Type": "Succeed"}},
              "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}  # fmt: skip
    flow = {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": circle, "ToleratedFailureCount": 1,
            "End": True}}}  # fmt: skip
    outcome = simulate(flow, [1, 0], history_limit=60)
    cause = "The execution reached the maximum number of history events (60)."
    assert outcome.output == [{"Error": "States.Runtime", "Cause": cause}, 0]


def test_a_history_that_fills_up_while_children_wait_ends_the_execution() -> None:
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}
    flow = {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": wait, "End": True}}}
    for limit in range(2, 86):
        outcome = simulate(flow, list(range(20)), history_limit=limit)
        assert (outcome.status, outcome.error) == ("FAILED", "States.Runtime")
        assert (len(outcome.history), outcome.history[-1]["id"]) == (limit, limit)


def test_an_execution_that_runs_out_of_time_says_so_in_its_history_only() -> None:
    wait = {"StartAt": "W", "TimeoutSeconds": 3, "States": {"W": {"Type": "Wait", "Seconds": 9, "End": True}}}
    outcome = simulate(wait, {})
    assert (outcome.status, outcome.error, outcome.cause) == ("TIMED_OUT", None, None)
    assert outcome.history[-1]["previousEventId"] == 0
    assert outcome.history[-1]["executionTimedOutEventDetails"] == {"error": "States.Timeout"}


def test_half_a_surrogate_pair_from_a_text_is_a_named_error() -> None:
    flow = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": {"r.$": "States.StringToJson($.s)"},
            "End": True}}}  # fmt: skip
    assert simulate(flow, {"s": '"\\ud800"'}).error == "States.IntrinsicFailure"


def test_half_a_surrogate_pair_from_a_task_can_be_written_down() -> None:
    flow = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:t", "End": True}}}
    outcome = simulate(flow, {}, tasks=lambda call: "\ud800é")
    assert outcome.history[-1]["executionSucceededEventDetails"]["output"] == '"\\ud800\\u00e9"'


def test_what_is_drawn_twice_in_a_state_differs_and_is_the_same_in_the_same_execution() -> None:
    draw = {"a.$": "States.UUID()", "b.$": "States.UUID()"}
    flow = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": draw, "End": True}}}
    drawn = simulate(flow, {}, name="one").output
    assert drawn["a"] != drawn["b"]
    assert simulate(flow, {}, name="one").output == drawn
    assert simulate(flow, {}, name="two").output != drawn


def test_a_task_that_waits_is_given_the_token_by_which_it_is_answered() -> None:
    task = {"Type": "Task", "Resource": "step:t.waitForTaskToken", "Parameters": {"token.$": "$$.Task.Token"}}
    calls = []
    simulate({"StartAt": "T", "States": {"T": {**task, "End": True}}}, {}, tasks=calls.append)
    assert [call.arguments for call in calls] == [{"token": call.token} for call in calls]
    plain = {"Type": "Task", "Resource": "step:t", "Parameters": {"token.$": "$$.Task.Token"}, "End": True}
    assert simulate({"StartAt": "T", "States": {"T": plain}}, {}).error == "States.Runtime"


def test_the_id_of_an_express_execution_has_a_part_of_its_own_for_each_run() -> None:
    flow = {"StartAt": "P", "States": {"P": {"Type": "Pass", "InputPath": "$$.Execution.Id", "End": True}}}
    found = simulate(flow, {}, name="one", type="EXPRESS").output
    named, _, run = found.rpartition(":")
    assert named == "arn:aws:states:us-east-1:111111111111:express:flow:one"
    assert run


def test_an_activity_that_nobody_takes_up_times_out_without_having_started() -> None:
    arn = "arn:aws:states:us-east-1:111111111111:activity:look"
    task = {"Type": "Task", "Resource": arn, "TimeoutSeconds": 3, "End": True}
    machine = load_flow({"StartAt": "A", "States": {"A": task}})
    started = decide(machine, Execution("x", {}), ExecutionStarted(0.0))
    ended = decide(machine, started.apply(), TimerFired("0#1", 3.0))
    assert [event[3] for event in started.history[-1:] + ended.history] == [
        "ActivityScheduled",
        "ActivityTimedOut",
        "ExecutionFailed",
    ]


@pytest.mark.parametrize(
    "fields",
    [{"ToleratedFailurePercentagePath": "$.n"}, {"ToleratedFailureCountPath": "$.n"}, {"MaxConcurrencyPath": "$.n"}],
)
def test_a_limit_that_no_machine_number_holds_fails_the_flow_and_not_the_engine(fields: dict[str, str]) -> None:
    processor = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True, **fields}
    for number in (10**400, -(10**400)):
        outcome = simulate({"StartAt": "M", "States": {"M": state}}, {"items": [1], "n": number})
        assert (outcome.status, outcome.error) == ("FAILED", "States.Runtime")


LONG = "x" * MAX_PAYLOAD_BYTES


def limited(flow: dict[str, Any], answer: Any = None) -> Outcome:
    return simulate({"StartAt": "T", **flow}, {"n": 1}, tasks=lambda call: answer)


def test_a_result_that_is_too_large_fails_the_task_not_the_state() -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    outcome = limited({"States": {"T": task}}, LONG)
    assert (outcome.error, outcome.history[4]["type"]) == ("States.DataLimitExceeded", "TaskFailed")
    assert outcome.cause is not None
    assert outcome.cause.startswith("The state/task 'lambda' returned a result with a size exceeding")
    caught = limited({"States": {"T": {**task, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]}, "C": {
        "Type": "Succeed"}}}, LONG)  # fmt: skip
    assert caught.output["Error"] == "States.DataLimitExceeded"


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Task", "Resource": "step:t", "QueryLanguage": "JSONata", "Arguments": "{% $pad('', 262144, 'x') %}"},
        {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $pad('', 262144, 'x') %}"},
        {"Type": "Pass", "QueryLanguage": "JSONata", "Assign": {"a": "{% $pad('', 262144, 'x') %}"}},
        {"Type": "Pass", "Result": LONG},
        {"Type": "Parallel", "Branches": [{"StartAt": f"B{n}", "States": {f"B{n}": {
            "Type": "Pass", "Result": "x" * 150_000, "End": True}}} for n in range(2)]},
    ],
)  # fmt: skip
def test_what_a_state_makes_must_not_be_too_large(state: dict[str, Any]) -> None:
    outcome = limited({"States": {"T": {**state, "End": True}}})
    assert (outcome.error, outcome.cause) == ("States.DataLimitExceeded", TOO_LARGE.format("T"))


def test_the_variables_of_a_scope_must_not_be_too_large_together() -> None:
    add = {"Type": "Pass", "QueryLanguage": "JSONata", "Next": "C"}
    states = {
        "T": {**add, "Assign": {"all": []}},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.n", "IsPresent": True, "Next": "A0"}]},
        **{
            f"A{n}": {**add, "Assign": {f"v{n}": "{% $pad('', 250000, 'x') %}"}, "Next": f"A{n + 1}"} for n in range(50)
        },
        "A50": {"Type": "Succeed"},
    }
    outcome = limited({"States": states})
    assert (outcome.error, outcome.history[-1]["id"]) == ("States.DataLimitExceeded", outcome.history[-1]["id"])
    assert outcome.cause == TOO_LARGE.format("A41")
