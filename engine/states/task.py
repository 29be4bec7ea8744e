"""Task: call something outside the flow."""

from __future__ import annotations

from typing import ClassVar

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.machine import Fields, State, state_type
from engine.outcomes import Call, Outcome, Resource
from engine.query import Expression, Scope
from engine.states.resource import parse_resource
from engine.states.results import QUERY_ERROR, an_object, language_of, numeric
from engine.states.stages import (
    CATCH_SCHEMA,
    FLOW_SCHEMA,
    OUTPUT,
    PATH,
    PATH_IO,
    RETRY_SCHEMA,
    read_catchers,
    read_flow,
    read_retriers,
    state_stages,
)
from engine.values import JSON, dump

MAX_SECONDS = 99_999_999
SECONDS: JSON = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_SECONDS}, {"type": "string", "pattern": r"^\{%"}]
}
Limits = tuple[int | None, int | None]
NO_RESOURCE = Resource("", "step", "", "step", "", "")


@state_type
class Task(State):
    """Calls the Resource with the state's arguments and goes on with its result."""

    __slots__ = ("by_path", "credentials", "fixed", "heartbeat", "resource", "timeout")

    retries = calls = True
    TYPE = "Task"
    REQUIRED = ("Resource",)
    SCHEMA: ClassVar[dict[str, JSON]] = {
        **FLOW_SCHEMA,
        **PATH_IO,
        **OUTPUT,
        "Resource": {"type": "string", "minLength": 1, "description": "step:NAME, flow:NAME or an ARN."},
        "Arguments": {"description": "Expression languages only."},
        "Parameters": {"description": "JSONPath only."},
        "ResultSelector": {"type": "object", "description": "JSONPath only."},
        "ResultPath": PATH,
        "TimeoutSeconds": SECONDS,
        "TimeoutSecondsPath": {"type": "string", "description": "JSONPath only."},
        "HeartbeatSeconds": SECONDS,
        "HeartbeatSecondsPath": {"type": "string", "description": "JSONPath only."},
        "Credentials": {"type": "object"},
        "Retry": RETRY_SCHEMA,
        "Catch": CATCH_SCHEMA,
    }
    EXAMPLE = """
        Type: Task
        Resource: step:echo
        TimeoutSeconds: 9
        Retry:
          - {ErrorEquals: [Taxi.NotSent], IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2, JitterStrategy: FULL}
        Catch:
          - {ErrorEquals: [States.ALL], Next: Done}
        Next: Done
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = read_flow(fields)
        self.by_path = fields.by_path
        self.resource = self._resource(fields)
        self.stages = state_stages(fields, arguments=True, selector=True, result_path=True)
        self.retriers = read_retriers(fields)
        self.catchers = read_catchers(fields)
        self.timeout = _limit(fields, "TimeoutSeconds")
        self.heartbeat = _limit(fields, "HeartbeatSeconds")
        if isinstance(self.timeout, int) and isinstance(self.heartbeat, int) and self.heartbeat >= self.timeout:
            fields.problem("out-of-range", "HeartbeatSeconds must be smaller than TimeoutSeconds", "HeartbeatSeconds")
        given = fields.template("Credentials")
        self.credentials = None if given is None else an_object(language_of(fields), given, fields.place("Credentials"))
        self.fixed = None if self.credentials else _fixed(self.timeout, self.heartbeat)

    @staticmethod
    def _resource(fields: Fields) -> Resource:
        uri = fields.text("Resource", required=True)
        if uri is None:
            return NO_RESOURCE
        try:
            return parse_resource(uri)
        except ExpressionSyntaxError as wrong:
            fields.problem("bad-resource", wrong.message, "Resource", hint=wrong.hint)
            return NO_RESOURCE

    def looks(self) -> bool:
        return self.fixed is None

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        if self.fixed is not None:
            return Call(self.resource, data, *self.fixed, None)
        timeout, heartbeat, credentials = self.timeout, self.heartbeat, None
        if isinstance(timeout, Expression):
            timeout = self._seconds("TimeoutSeconds", timeout, scope)
        if isinstance(heartbeat, Expression):
            heartbeat = self._seconds("HeartbeatSeconds", heartbeat, scope)
        if self.credentials is not None:
            credentials = self.credentials.evaluate(scope.input, scope)
        return Call(self.resource, data, timeout, heartbeat, credentials)

    def _seconds(self, field: str, expression: Expression, scope: Scope) -> int:
        found = expression.evaluate(scope.input, scope)
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found <= MAX_SECONDS:
            return found
        if isinstance(found, float) and found.is_integer() and 0 < found <= MAX_SECONDS:
            return int(found)
        shown = found if isinstance(found, str) else dump(found)
        if not self.by_path:
            said = f"The {field} field must be a whole number from 1 to {MAX_SECONDS}: {shown}"
            raise ExecutionFailure(QUERY_ERROR, said, kind="value", location=field)
        raise ExecutionFailure(
            "States.Runtime",
            f'The {field}Path field refers to value "{shown}" which is not a valid integer: {expression.source}',
        )


def _fixed(timeout: int | Expression | None, heartbeat: int | Expression | None) -> Limits | None:
    """The limits, if both are known before the flow runs."""
    return None if isinstance(timeout, Expression) or isinstance(heartbeat, Expression) else (timeout, heartbeat)


def _limit(fields: Fields, name: str) -> int | Expression | None:
    """A time limit in its fixed, path or expression form."""
    fixed = fields.integer_or_expression(name, minimum=1)
    if isinstance(fixed, Expression):
        fixed = numeric(language_of(fields), fixed, fields.place(name))
    by_path = fields.path(f"{name}Path")
    if fixed is not None and by_path is not None:
        fields.problem("both-forms", f"{name} and {name}Path exclude each other", f"{name}Path")
    return fixed if fixed is not None else by_path
