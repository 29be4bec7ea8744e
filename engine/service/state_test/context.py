"""The context object that a state under test sees: the one in the request, or one made up as AWS does."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from typing import Any, Final

from engine.machine import State
from engine.outcomes import Resource
from engine.query import UNSET
from engine.service import arns
from engine.service.errors import ApiError, invalid
from engine.states.moments import format_timestamp
from engine.values import JSON

ROLE: Final = "arn:aws:iam::111111111111:role/TestState"
"""The role of a mocked state that came without one."""

FIELDS: Final[dict[str, dict[str, type]]] = {
    "Execution": {
        "Id": str,
        "Input": object,
        "Name": str,
        "RoleArn": str,
        "StartTime": str,
        "RedriveCount": int,
        "RedriveTime": str,
    },
    "State": {"EnteredTime": str, "Name": str, "RetryCount": int},
    "StateMachine": {"Id": str, "Name": str},
    "Task": {"Token": str},
}
NO_TASK: Final = (
    "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' "
    "service integration pattern"
)


def check_context(context: dict[str, JSON], state: State) -> None:
    """Refuse a context object that no execution could have. Raises ValidationException."""
    for name, value in context.items():
        if name == "Map":
            raise _wrong("'Map' field is not supported when mocking a Context object")
        if name not in FIELDS:
            raise _wrong(f"Field '{name}' is not allowed")
        if not isinstance(value, dict):
            raise _wrong(f"{name} must be an object")
        _check_fields(name, value)
    resource = getattr(state, "resource", None)
    if "Task" in context and not (isinstance(resource, Resource) and resource.waits):
        raise _wrong(NO_TASK)


def _check_fields(name: str, value: dict[str, JSON]) -> None:
    for field, content in value.items():
        wanted = FIELDS[name].get(field)
        if wanted is None:
            raise _wrong(f"Field '{name}.{field}' is not allowed")
        if not isinstance(content, wanted) or (wanted is int and isinstance(content, bool)):
            raise _wrong(f"{name}.{field} must be a {'number' if wanted is int else 'string'}")


def _wrong(why: str) -> ApiError:
    return invalid(f"Invalid Context object provided: {why}")


def default_context(
    state: State, data: JSON, role: str | None, *, mocked: bool, retries: int, now: float
) -> dict[str, JSON]:
    """The context object of an Express execution that has just begun."""
    machine, execution, moment = str(uuid.uuid4()), str(uuid.uuid4()), format_timestamp(now)
    context: dict[str, Any] = {
        "Execution": {
            "Id": arns.make(arns.EXPRESS, machine, execution),
            "Input": data,
            "Name": execution,
            "RoleArn": role or (ROLE if mocked else None),
            "StartTime": moment,
        },
        "StateMachine": {"Id": arns.make(arns.STATE_MACHINE, machine), "Name": machine},
        "State": {"Name": "StateName", "EnteredTime": moment},
    }
    if state.retries:
        context["State"]["RetryCount"] = retries
    resource = getattr(state, "resource", None)
    if isinstance(resource, Resource) and resource.waits:
        context["Task"] = {"Token": str(uuid.uuid4())}
    return context


class TrialScope:
    """What expressions of a state under test see. Implements `engine.query.Scope`."""

    __test__ = False

    def __init__(self, data: JSON, context: JSON, variables: Mapping[str, JSON], now: float) -> None:
        self.input = data
        self.context = context
        self.variables = variables
        self.now = format_timestamp(now)
        self.result: JSON = UNSET
        self.error_output: JSON = UNSET
        self._random = random.Random()

    def random(self) -> random.Random:
        """Every test draws other numbers, as on AWS."""
        return self._random

    def with_item(self, index: int, value: JSON, keyed: bool, origin: str | None) -> TrialScope:
        """The same for one item of a Map (`engine.states.map_.ItemScope`)."""
        item = {"Index": index, **value} if keyed else {"Index": index, "Value": value}
        if origin is not None:
            item["Source"] = origin
        inner = TrialScope(self.input, {**self.context, "Map": {"Item": item}}, self.variables, 0.0)
        inner.now, inner._random = self.now, self._random
        return inner
