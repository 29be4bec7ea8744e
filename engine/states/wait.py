"""Wait: pause until a moment, or for some seconds."""

from __future__ import annotations

from typing import ClassVar

from engine.errors import ExecutionFailure
from engine.machine import Fields, State, state_type
from engine.outcomes import Outcome, Sleep
from engine.query import Expression, Scope
from engine.states.moments import parse_timestamp
from engine.states.stages import FLOW_SCHEMA, OUTPUT, PATH_IO, read_flow, state_stages
from engine.values import JSON, dump

MAX_SECONDS = 99_999_999
NO_TIMESTAMP = "does not reference a valid ISO-8601 extended offset date-time format string"
FORMS = ("Seconds", "Timestamp", "SecondsPath", "TimestampPath")


@state_type
class Wait(State):
    """Pauses until a moment, or for some seconds. A waiting execution is a row in the store, nothing else."""

    __slots__ = ("form", "value")

    TYPE = "Wait"
    SCHEMA: ClassVar[dict[str, JSON]] = {
        **FLOW_SCHEMA,
        **PATH_IO,
        **OUTPUT,
        "Seconds": {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_SECONDS}, {"type": "string", "pattern": r"^\{%"}]
        },
        "Timestamp": {"type": "string"},
        "SecondsPath": {"type": "string", "description": "JSONPath only."},
        "TimestampPath": {"type": "string", "description": "JSONPath only."},
    }
    EXAMPLE = """
        Type: Wait
        Seconds: 900
        End: true
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = read_flow(fields)
        self.stages = state_stages(fields)
        self.retriers = self.catchers = ()
        values: dict[str, int | str | Expression | None] = {
            "Seconds": fields.integer_or_expression("Seconds"),
            "Timestamp": fields.text_or_expression("Timestamp"),
            "SecondsPath": fields.path("SecondsPath"),
            "TimestampPath": fields.path("TimestampPath"),
        }
        given = [form for form in FORMS if fields.has(form)]
        if len(given) != 1:
            fields.problem("wait-forms", f"Wait needs exactly one of {', '.join(FORMS)}; it has {len(given)}")
        self.form = given[0] if given else "Seconds"
        self.value = values[self.form]
        if self.form == "Timestamp" and isinstance(self.value, str) and parse_timestamp(self.value) is None:
            fields.problem(
                "bad-timestamp",
                f"{self.value!r} is no timestamp",
                "Timestamp",
                hint="write RFC 3339 with a zone, as 2026-05-04T12:30:00Z",
            )

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        found = self.value.evaluate(data, scope) if isinstance(self.value, Expression) else self.value
        if self.form.startswith("Seconds"):
            return Sleep((parse_timestamp(scope.now) or 0.0) + self._seconds(found), data)
        until = parse_timestamp(found)
        if until is None:
            raise self._wrong("Timestamp", found, NO_TIMESTAMP, "cannot be parsed as an ISO-8601 extended offset "
                              "date-time format string")  # fmt: skip
        return Sleep(until, data)

    def _seconds(self, found: JSON) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._wrong("Seconds", found, "cannot be parsed as a long value", "cannot be parsed as a long value")
        if isinstance(found, float) and not found.is_integer():
            raise self._wrong("Seconds", found, "cannot be parsed as a long value", "cannot be parsed as a long value")
        if found < 0:
            raise self._wrong("Seconds", found, "references a negative value", "has a negative value")
        if found > MAX_SECONDS:
            raise self._wrong("Seconds", found, "references a value that is too large", "has a value that is too large")
        return float(found)

    def _wrong(self, field: str, found: JSON, by_path: str, otherwise: str) -> ExecutionFailure:
        """AWS's words: a parameter for a path, a field for an expression."""
        shown = found if isinstance(found, str) else dump(found)
        if self.form.endswith("Path") and isinstance(self.value, Expression):
            cause = f"The {self.form} parameter {by_path}: {self.value.source} == {shown}"
            return ExecutionFailure("States.Runtime", cause)
        cause = f"The {field} field {otherwise}: {shown}"
        return ExecutionFailure("States.QueryEvaluationError", cause, kind="value", location=field)
