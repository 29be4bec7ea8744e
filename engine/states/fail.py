"""Fail: end this machine with an error."""

from __future__ import annotations

from typing import ClassVar

from engine.errors import ExecutionFailure
from engine.machine import Fields, State, state_type
from engine.outcomes import Failed, Outcome, Stages
from engine.query import Expression, Scope
from engine.states.results import language_of, unexpected
from engine.values import JSON, type_name


@state_type
class Fail(State):
    """Ends the machine, or the branch or iteration it stands in, with an error name and a cause."""

    __slots__ = ("by_path", "cause", "error", "language")

    TYPE = "Fail"
    SCHEMA: ClassVar[dict[str, JSON]] = {
        "Error": {"type": "string"},
        "Cause": {"type": "string"},
        "ErrorPath": {"type": "string", "description": "JSONPath only: a path or an intrinsic function."},
        "CausePath": {"type": "string", "description": "JSONPath only: a path or an intrinsic function."},
    }
    EXAMPLE = """
        Type: Fail
        Error: Booking.Impossible
        Cause: No car can be had.
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = None, True
        self.stages = Stages()
        self.retriers = self.catchers = ()
        self.by_path, self.language = fields.by_path, language_of(fields)
        self.error = self._field(fields, "Error")
        self.cause = self._field(fields, "Cause")

    @staticmethod
    def _field(fields: Fields, name: str) -> str | Expression | None:
        """Error or Cause: fixed, by path, or an expression."""
        fixed = fields.text_or_expression(name)
        by_path = fields.path(f"{name}Path")
        if fixed is not None and by_path is not None:
            fields.problem("both-forms", f"{name} and {name}Path exclude each other", f"{name}Path")
        return fixed if fixed is not None else by_path

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        return Failed(self._value("Error", self.error, data, scope), self._value("Cause", self.cause, data, scope))

    def _value(self, field: str, value: str | Expression | None, data: JSON, scope: Scope) -> str | None:
        if not isinstance(value, Expression):
            return value
        found = value.evaluate(data, scope)
        if isinstance(found, str):
            return found
        if self.by_path:
            raise ExecutionFailure(
                "States.Runtime", f"The field '{field}' must be a string but was: {type_name(found)}"
            )
        raise unexpected(self.language, value, field, "string", found)
