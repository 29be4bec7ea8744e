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
        now = parse_timestamp(scope.now) or 0.0
        if self.form.startswith("Seconds"):
            return Sleep(now + self._seconds(found), data)
        until = parse_timestamp(found)
        if until is None:
            raise self._wrong(
                "does not reference a valid ISO-8601 extended offset date-time format string", found, "is not a valid"
            )
        return Sleep(until, data)

    def _seconds(self, found: JSON) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._wrong("cannot be parsed as a long value", found, "must be a number")
        if isinstance(found, float) and not found.is_integer():
            raise self._wrong("cannot be parsed as a long value", found, "must be an integer")
        if found < 0:
            raise self._wrong("references a negative value", found, "must not be negative")
        if found > MAX_SECONDS:
            raise self._wrong("references a value that is too large", found, f"must be at most {MAX_SECONDS}")
        return float(found)

    def _wrong(self, by_path: str, found: JSON, otherwise: str) -> ExecutionFailure:
        """AWS's words for a path, our words for an expression."""
        source = self.value.source if isinstance(self.value, Expression) else ""
        shown = found if isinstance(found, str) else dump(found)
        if self.form.endswith("Path"):
            return ExecutionFailure("States.Runtime", f"The {self.form} parameter {by_path}: {source} == {shown}")
        return ExecutionFailure(
            "States.QueryEvaluationError",
            f"The value of the field '{self.form}' {otherwise}: {shown}",
            kind="evaluation",
            location=self.form,
        )
