"""Nested executions: a flow as the Resource of another one.

`flow:cancel` is the flow file `cancel.yaml` beside the running one. It runs as a durable execution of its own; its
output is the call's result, its error and cause are the call's. `arn:aws:states:::states:startExecution` is AWS's own
way, with AWS's answers; its StateMachineArn ends in the name of such a file. What lay beside the flow when it was
started is what runs: files are pinned by their content.

Starting happens in the transaction that records it, under a name made of the call's own token: however often the call
is delivered, there is one child.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, Protocol

from engine.core.events import TaskFailed, TaskSucceeded
from engine.core.execution import SUCCEEDED, TIMED_OUT, Execution
from engine.core.scope import ARN, execution_arn
from engine.errors import EngineError, ExecutionAlreadyExists, InvalidInput
from engine.outcomes import Resource
from engine.step import Step, StepError, TaskReceipt
from engine.values import JSON, dump, read_json

DEEPEST: Final = 20
"""How many flows may stand inside one another."""
FLOW: Final = re.compile(r"[\w.-]+")
STATE_MACHINE: Final = re.compile(r"(?:arn:[^:]+:states:[^:]*:[^:]*:stateMachine:)?([\w.-]+)(?::[\w-]+)?")


class Starter(Protocol):
    """Starts executions inside the transaction of a call."""

    def start(self, parent: Execution, flow: str, input: JSON, name: str, link: dict[str, JSON]) -> Execution:
        """The execution of that name, started now or found as it was started before.

        Raises ExecutionAlreadyExists, InvalidInput, and EngineError when there is no such flow.
        """


def starts(resource: Resource) -> bool:
    """Whether a service integration is startExecution."""
    return resource.service == "states" and resource.action.partition(".")[0] == "startExecution"


def unsupported(resource: Resource) -> str | None:
    """What is wrong with a `flow:` resource."""
    if not FLOW.fullmatch(resource.name):
        return f"{resource.name!r} is no flow; write the name of a file beside this one without its ending, flow:cancel"
    if resource.pattern.startswith("sync"):
        return f"flow:{resource.name} waits for its output by itself; leave out .{resource.pattern}"
    return None


def step(resource: Resource, starter: Starter) -> Step:
    """The call of a nested execution."""

    def start(arguments: JSON, ctx: Any) -> TaskReceipt | JSON:
        return _start(resource, starter, arguments, ctx)

    made = Step("flow", start, idempotency="keyed", transactional=True)
    made.name = f"flow:{resource.name}" if resource.scheme == "flow" else "states:startExecution"
    return made


def _start(resource: Resource, starter: Starter, arguments: JSON, ctx: Any) -> TaskReceipt | JSON:
    parent: Execution = ctx.running
    flow, data, name = _request(resource, arguments)
    depth = 1 + (parent.parent or {}).get("depth", 0)
    if depth > DEEPEST:
        raise StepError("States.Runtime", f"more than {DEEPEST} flows stand inside one another; {flow} was not started")
    waits = "flow" if resource.scheme == "flow" and not resource.pattern else resource.pattern
    link = {"name": parent.name, "token": ctx.call, "as": waits, "depth": depth}
    try:
        child = starter.start(parent, flow, data, name or child_name(parent, ctx.call, flow), link)
    except ExecutionAlreadyExists:
        arn = f"{ARN}:execution:{flow}:{name}"
        raise _refused("ExecutionAlreadyExists", "Execution Already Exists", arn) from None
    except InvalidInput as problem:
        raise _bad_input(str(problem)) from None
    except EngineError as problem:
        if type(problem) is not EngineError:
            raise
        if resource.scheme == "flow":
            raise StepError("StepFunctions.StateMachineDoesNotExistException", str(problem)) from None
        arn = f"{ARN}:stateMachine:{flow}"
        raise _refused("StateMachineDoesNotExist", "State Machine Does Not Exist", arn) from None
    receipt = {"ExecutionArn": execution_arn(child), "StartDate": _milliseconds(child.started)}
    if not waits:
        return receipt
    return TaskReceipt(receipt, child.name if waits in ANSWERS else None)


def _request(resource: Resource, arguments: JSON) -> tuple[str, JSON, str | None]:
    """What is to be started: flow, input, name. Raises StepError."""
    if resource.scheme == "flow":
        return resource.name, arguments, None
    if not isinstance(arguments, dict) or not isinstance(arguments.get("StateMachineArn"), str):
        raise StepError("States.Runtime", "startExecution needs the parameter StateMachineArn")
    unknown = set(arguments) - {"StateMachineArn", "Input", "Name", "TraceHeader"}
    if unknown:
        raise StepError("States.Runtime", f"startExecution has no parameter {min(unknown)}")
    flow = STATE_MACHINE.fullmatch(arguments["StateMachineArn"])
    if flow is None:
        raise _refused("InvalidArn", "Invalid Arn", f"Invalid ARN prefix: {arguments['StateMachineArn']}")
    name = arguments.get("Name")
    return flow[1], _input(arguments.get("Input")), name if isinstance(name, str) else None


def _input(given: JSON) -> JSON:
    """AWS takes the input as a JSON text; of any other value its text is sent. Raises StepError."""
    if not isinstance(given, str):
        return {} if given is None else given
    try:
        return read_json(given)
    except ValueError as wrong:
        raise _bad_input(str(wrong)) from None


def _bad_input(why: str) -> StepError:
    return _refused("InvalidExecutionInput", "Invalid State Machine Execution Input", why)


def _refused(code: str, subject: str, what: str) -> StepError:
    """An error of StartExecution in AWS's words."""
    return StepError(f"StepFunctions.{code}Exception", f"{subject}: '{what}'")


def child_name(parent: Execution, call: str, flow: str) -> str:
    """The name of the execution that a call starts: the same for every delivery of it, and for no other call."""
    code = hashlib.sha256(f"{parent.name}/{call}".encode()).hexdigest()[:16]
    return f"{parent.name[:44]}-{flow[:18]}-{code}"


def nested_flows(source: JSON) -> Iterator[str]:
    """The names of the flows that a definition starts, as far as it says them."""
    if isinstance(source, list):
        for part in source:
            yield from nested_flows(part)
    if not isinstance(source, dict):
        return
    resource = source.get("Resource")
    if source.get("Type") == "Task" and isinstance(resource, str):
        if resource.startswith("flow:"):
            yield resource.removeprefix("flow:").removesuffix(".waitForTaskToken")
        elif ":states:startExecution" in resource:
            given = source.get("Arguments") or source.get("Parameters")
            arn = given.get("StateMachineArn") if isinstance(given, dict) else None
            found = STATE_MACHINE.fullmatch(arn) if isinstance(arn, str) else None
            if found:
                yield found[1]
    for part in source.values():
        yield from nested_flows(part)


# -- the end of a child --------------------------------------------------------------------------------------------


def answer(child: Execution) -> TaskSucceeded | TaskFailed | None:
    """What the call that has started an execution is told of its end; None when it does not wait."""
    link = child.parent
    if link is None or link["as"] not in ANSWERS:
        return None
    if link["as"] == "flow":
        token, now = link["token"], child.stopped or child.started
        if child.status == SUCCEEDED:
            return TaskSucceeded(token, child.output, now)
        error = "States.Timeout" if child.status == TIMED_OUT else child.error or "States.TaskFailed"
        return TaskFailed(token, error, child.cause or f"execution {child.name} has ended as {child.status}", now)
    return described(child, link["token"], link["as"])


def described(child: Execution, token: str, waits: str) -> TaskSucceeded | TaskFailed:
    """What a call of AWS's `startExecution` that waits (`sync`, `sync:2`) is told of the end."""
    now, answer = child.stopped or child.started, _description(child, as_text=waits == "sync")
    if child.status == SUCCEEDED:
        return TaskSucceeded(token, answer, now)
    return TaskFailed(token, "States.TaskFailed", dump(answer), now)


def _description(child: Execution, *, as_text: bool) -> dict[str, JSON]:
    """DescribeExecution's answer, as `.sync` gives it: input and output as text, or as values for `.sync:2`."""
    ended_well = child.status == SUCCEEDED
    answer: dict[str, JSON] = {
        "ExecutionArn": execution_arn(child),
        "Input": dump(child.input) if as_text else child.input,
        "InputDetails": {"Included": True},
        "Name": child.name,
        "RedriveCount": child.redrives,
        "RedriveStatus": "NOT_REDRIVABLE" if ended_well else "REDRIVABLE",
        "StartDate": _milliseconds(child.started),
        "StateMachineArn": f"{ARN}:stateMachine:{child.machine_id}",
        "Status": child.status,
        "StopDate": _milliseconds(child.stopped or child.started),
    }
    if ended_well:
        answer["Output"] = dump(child.output) if as_text else child.output
        answer["OutputDetails"] = {"Included": True}
        answer["RedriveStatusReason"] = "Execution is SUCCEEDED and cannot be redriven"
    else:
        answer |= {name: value for name, value in (("Error", child.error), ("Cause", child.cause)) if value is not None}
    return dict(sorted(answer.items()))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


ANSWERS: Final = ("flow", "sync", "sync:2")
"""The ways to wait for the end of a child."""
