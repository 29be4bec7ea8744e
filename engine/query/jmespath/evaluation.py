"""One evaluation under way: its scope, its budget, and the comparisons that every expression shares.

The budget counts steps, not time, because the pure rooms have no clock and a repeated decision must end in the same
way. Only what grows with the data is counted: the text of an expression is bounded when it is compiled, so everything
outside a loop is bounded too. A loop is charged its number of items times the number of nodes in its body.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from engine.query import UNSET
from engine.values import JSON, dump
from engine.values import equal as equal_scalars

MAX_STEPS = 500_000
"""Steps that one evaluation may take. Eight characters of produced text count as one."""

MAX_EXACT = 2**53
"""Largest whole number that a double holds exactly."""


class Names(Protocol):
    """The part of a `engine.query.Scope` that expressions of this language read."""

    @property
    def input(self) -> JSON: ...
    @property
    def result(self) -> JSON: ...
    @property
    def error_output(self) -> JSON: ...
    @property
    def context(self) -> JSON: ...
    @property
    def variables(self) -> Mapping[str, JSON]: ...


class EvaluationError(Exception):
    """An expression cannot give a value; the message is the reason, and never holds data."""


class Run:
    """The scope and what is left of the budget of one evaluation."""

    __slots__ = ("_root", "left", "scope")

    def __init__(self, scope: Names) -> None:
        self.scope = scope
        self.left = MAX_STEPS
        self._root: dict[str, JSON] | None = None

    @property
    def root(self) -> dict[str, JSON]:
        """The whole scope as one object, made when an expression asks for it (`$`, or `@` outside a projection)."""
        if self._root is None:
            self._root = whole(self.scope)
        return self._root

    def charge(self, steps: int) -> None:
        """Take steps off the budget. Raises EvaluationError when it is spent."""
        self.left -= steps
        if self.left < 0:
            raise EvaluationError(f"It takes more than {MAX_STEPS:,} steps.")

    def charge_text(self, characters: int) -> None:
        """Charge for text about to be produced or searched."""
        self.charge(characters >> 3)

    def measure(self, value: JSON) -> None:
        """Charge for every value inside `value`, shared ones as often as they would be written."""
        waiting = [value]
        while waiting:
            found = waiting.pop()
            if isinstance(found, str):
                self.charge_text(len(found))
            elif isinstance(found, dict | list):
                self.charge(len(found))
                waiting.extend(found.values() if isinstance(found, dict) else found)

    def text(self, value: JSON) -> str:
        """A string as it is, any other value as JSON text."""
        if isinstance(value, str):
            return value
        self.measure(value)
        return dump(value)

    def equal(self, left: JSON, right: JSON) -> bool:
        """JSON equality at any depth, charged by what it compares."""
        if isinstance(left, dict) and isinstance(right, dict):
            self.charge(len(left))
            return left.keys() == right.keys() and all(self.equal(value, right[key]) for key, value in left.items())
        if isinstance(left, list) and isinstance(right, list):
            self.charge(len(left))
            return len(left) == len(right) and all(map(self.equal, left, right))
        return equal_scalars(left, right)


def states_object(scope: Names) -> dict[str, JSON]:
    """`states` as an object: what does not exist at this place is left out, and so reads as null."""
    members = {"input": scope.input, "result": scope.result, "errorOutput": scope.error_output}
    found = {name: value for name, value in members.items() if value is not UNSET}
    found["context"] = scope.context
    return found


def whole(scope: Names) -> dict[str, JSON]:
    """The scope as one object: `states` and every variable."""
    return {**scope.variables, "states": states_object(scope)}


def truthy(value: JSON) -> bool:
    """Truth in JMESPath: all but null, false, "", [] and {}; zero is true."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


def is_number(value: JSON) -> bool:
    """Whether a value is a JSON number; Python counts booleans among its integers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(number: Any) -> JSON:
    """A computed number as JSON: whole ones as integers. Raises EvaluationError when it leaves the range of doubles."""
    try:
        if not math.isfinite(number):
            raise EvaluationError("The result is not a number.")
    except OverflowError:
        raise EvaluationError("The result is too large.") from None
    if isinstance(number, float) and number.is_integer() and abs(number) <= MAX_EXACT:
        return int(number)
    return number
