"""The service as an object: threads, steps, waiting workers, and what goes wrong."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine import StepError, TaskTimeout, VirtualClock
from engine.errors import StoreUnavailable
from engine.service import ApiError, StepFunctionsApi
from tests.service.playing import PATIENCE, START

GREET = {"StartAt": "Greet", "States": {"Greet": {"Type": "Task", "Resource": "step:greet", "End": True}}}


def create(api: StepFunctionsApi, definition: Any, name: str = "flow", **more: Any) -> str:
    made = api.call("CreateStateMachine", {"name": name, "roleArn": "role", "definition": definition, **more})
    arn: str = made["stateMachineArn"]
    return arn


def start(api: StepFunctionsApi, machine: str, **params: Any) -> str:
    arn: str = api.call("StartExecution", {"stateMachineArn": machine, **params})["executionArn"]
    return arn


def outcome(api: StepFunctionsApi, execution: str) -> dict[str, Any]:
    assert api.join(execution, PATIENCE)
    return api.call("DescribeExecution", {"executionArn": execution})


def test_steps_are_called_where_no_function_answers() -> None:
    def greet(payload: Any, ctx: Any) -> Any:
        if not payload:
            raise StepError("Nobody", "there is nobody to greet")
        return f"hello {payload['name']}, from {ctx.execution}"

    with StepFunctionsApi(steps={"greet": greet}, clock=VirtualClock(START)) as api:
        machine = create(api, GREET)
        found = outcome(api, start(api, machine, name="one", input={"name": "Ada"}))
        assert json.loads(found["output"]) == "hello Ada, from one"
        found = outcome(api, start(api, machine))
        assert (found["error"], found["cause"]) == ("Nobody", "there is nobody to greet")


def test_a_step_that_waits_for_its_token_is_answered_from_outside() -> None:
    tokens = []

    def ask(payload: Any, ctx: Any) -> Any:
        ctx.heartbeat()
        tokens.append(ctx.token)
        asked.set()
        return {"asked": payload}

    asked = threading.Event()
    state = {"Type": "Task", "Resource": "step:ask.waitForTaskToken", "End": True}
    with StepFunctionsApi(steps={"ask": ask}) as api:
        execution = start(api, create(api, {"StartAt": "A", "States": {"A": state}}))
        assert asked.wait(PATIENCE)
        api.call("SendTaskSuccess", {"taskToken": tokens[0], "output": '"yes"'})
        assert outcome(api, execution)["output"] == '"yes"'


def test_many_threads_start_executions_at_once() -> None:
    with StepFunctionsApi(tasks=lambda call: call.arguments, clock=VirtualClock(START)) as api:
        machine = create(api, GREET)
        with ThreadPoolExecutor(8) as threads:
            executions = list(threads.map(lambda number: start(api, machine, input=str(number)), range(64)))
        outputs = {outcome(api, execution)["output"] for execution in executions}
        assert outputs == {str(number) for number in range(64)}
        listed = api.call("ListExecutions", {"stateMachineArn": machine})["executions"]
        assert len(listed) == len(set(executions)) == 64


def test_one_name_is_started_once_however_many_ask() -> None:
    def never(call: Any) -> Any:
        raise TaskTimeout

    with StepFunctionsApi(tasks=never) as api:
        machine = create(api, GREET)
        with ThreadPoolExecutor(8) as threads:
            executions = set(threads.map(lambda _: start(api, machine, name="one"), range(32)))
        assert len(executions) == 1


def test_a_worker_that_asks_for_work_waits_until_there_is_some() -> None:
    with StepFunctionsApi(poll_seconds=PATIENCE) as api, ThreadPoolExecutor(1) as threads:
        activity = api.call("CreateActivity", {"name": "pack"})["activityArn"]
        work = threads.submit(api.call, "GetActivityTask", {"activityArn": activity})
        state = {"Type": "Task", "Resource": activity, "End": True}
        execution = start(api, create(api, {"StartAt": "A", "States": {"A": state}}), input={"box": 1})
        found = work.result(PATIENCE)
        assert json.loads(found["input"]) == {"box": 1}
        api.call("SendTaskSuccess", {"taskToken": found["taskToken"], "output": "1"})
        assert outcome(api, execution)["status"] == "SUCCEEDED"


def test_a_function_that_breaks_leaves_its_call_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def broken(call: Any) -> Any:
        raise ZeroDivisionError

    machine = {"StartAt": "A", "States": {"A": {**GREET["States"]["Greet"], "TimeoutSeconds": 60}}}  # type: ignore[index]
    with caplog.at_level(logging.CRITICAL, "engine"), StepFunctionsApi(tasks=broken, clock=VirtualClock(START)) as api:
        found = outcome(api, start(api, create(api, machine)))
        assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
        assert (found["stopDate"] - found["startDate"]).total_seconds() == 60


def test_two_state_machines_may_have_executions_of_one_name() -> None:
    def never(call: Any) -> Any:
        raise TaskTimeout

    state = {"Type": "Task", "Resource": "step:ask.waitForTaskToken", "End": True}
    with StepFunctionsApi(tasks=never) as api:
        definition = {"StartAt": "A", "States": {"A": state}}
        first, second = (start(api, create(api, definition, name), name="same") for name in ("a", "b"))
        for _ in range(2):
            api.call("SendTaskSuccess", {"taskToken": "same:0#1", "output": "1"})
        assert [outcome(api, execution)["status"] for execution in (first, second)] == ["SUCCEEDED"] * 2


def test_state_is_kept_in_memory_only() -> None:
    with pytest.raises(StoreUnavailable, match="keeps its state in memory"):
        StepFunctionsApi("sqlite:///machines.db")


def test_an_unknown_operation_is_refused() -> None:
    with StepFunctionsApi() as api, pytest.raises(ApiError) as refused:
        api.call("StartStateMachine")
    assert refused.value.code == "UnknownOperationException"


def test_documents_are_bounded_in_bytes() -> None:
    with StepFunctionsApi() as api:
        machine = create(api, {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        start(api, machine, input=json.dumps("é" * 100_000, ensure_ascii=False))
        with pytest.raises(ApiError) as refused:
            start(api, machine, input=json.dumps("é" * 140_000, ensure_ascii=False))
        said = "Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 262144"
        assert refused.value.message == f"1 validation error detected: {said}"


@pytest.mark.parametrize("bucket", [{"Bucket": "b"}, {"Bucket.$": "$.nope"}])
def test_results_of_a_stopped_map_run_that_cannot_be_written_are_told_of(
    bucket: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()
    caplog.handler.addFilter(lambda record: told.set() or True)

    def answer(call: Any) -> Any:
        raise StepError("S3.NoSuchBucket") if call.resource.endswith("putObject") else TaskTimeout

    with StepFunctionsApi(tasks=answer, clock=VirtualClock(START)) as api:
        execution = start(api, create(api, {**many(bucket), "TimeoutSeconds": 60}), input=["slow"])
        assert outcome(api, execution)["status"] == "TIMED_OUT"
        assert told.wait(PATIENCE)
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("way", ["stop", "timeout"])
def test_what_has_come_of_the_children_is_written_when_a_map_run_is_stopped(way: str) -> None:
    written: dict[str, Any] = {}
    done = threading.Event()

    def answer(call: Any) -> Any:
        if call.resource.endswith("putObject"):
            written[call.arguments["Key"].rpartition("/")[2]] = json.loads(call.arguments["Body"])
            if call.arguments["Key"].endswith("manifest.json"):
                done.set()
            return {}
        if call.arguments == "slow":
            raise TaskTimeout
        return call.arguments

    definition = many({"Bucket": "b"})
    if way == "timeout":
        definition["TimeoutSeconds"] = 60

    with StepFunctionsApi(tasks=answer, clock=VirtualClock(START)) as api:
        execution = start(api, create(api, definition), input=["quick", "slow", "never"])
        if way == "stop":
            while not api.call("ListExecutions", {"mapRunArn": map_run(api, execution)})["executions"][1:]:
                threading.Event().wait(0.01)
            api.call("StopExecution", {"executionArn": execution})
        assert done.wait(PATIENCE)
        found = outcome(api, execution)
        assert found["status"] == {"stop": "ABORTED", "timeout": "TIMED_OUT"}[way]
        named = written.pop("manifest.json")["ResultFiles"]
        assert {group: len(files) for group, files in named.items()} == {"FAILED": 1, "PENDING": 1, "SUCCEEDED": 1}
        kept = {name: [child["Status"] for child in value] for name, value in written.items()}
        assert kept == {"SUCCEEDED_0.json": ["SUCCEEDED"], "FAILED_0.json": ["ABORTED"], "PENDING_0.json": ["PENDING"]}
        assert api.call("DescribeMapRun", {"mapRunArn": map_run(api, execution)})["status"] == "ABORTED"


def map_run(api: StepFunctionsApi, execution: str) -> str:
    arn: str = api.call("ListMapRuns", {"executionArn": execution})["mapRuns"][0]["mapRunArn"]
    return arn


def many(bucket: dict[str, str]) -> dict[str, Any]:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "T",
        "States": {"T": {"Type": "Task", "Resource": "step:t", "End": True}},
    }
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": bucket}
    state = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": processor, "ResultWriter": writer, "End": True}
    return {"StartAt": "M", "States": {"M": state}}
