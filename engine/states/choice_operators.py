"""The comparison operators of JSONPath's choice rules: one table, and a comparison compiled from it.

A comparison with a value of another type is false. The variable must exist, except for IsPresent; so must the place
that a `…Path` operand points to.

Source: States Language specification, "Choice State"; details follow recordings of AWS.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Evaluate, Expression, NoMatch, Scope
from engine.query.jsonpath import path, reference
from engine.query.jsonpath.java import code_units
from engine.states.moments import parse_timestamp
from engine.values import JSON, type_name

Test = Callable[[JSON], bool]
Bind = Callable[[JSON], Test | None]
"""From an operand to the test of a value; None when the operand has the wrong type."""

FRACTION = re.compile(r"\.(\d+)")
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
PATH_OPERAND: dict[str, JSON] = {"type": "string", "pattern": r"^\$"}


class Operator:
    """One operator: its name, the JSON Schema of its operand, and whether the operand is a path to the real one."""

    __slots__ = ("bind", "by_path", "name", "operand")

    def __init__(self, name: str, operand: dict[str, JSON], by_path: bool, bind: Bind) -> None:
        self.name = name
        self.operand = operand
        self.by_path = by_path
        self.bind = bind

    def compare(self, value: JSON, operand: JSON) -> bool:
        """Whether the comparison holds; for a `…Path` operator, `operand` is what the path led to."""
        test = self.bind(operand)
        return test is not None and test(value)

    def __repr__(self) -> str:
        return f"Operator({self.name!r})"


def _number(value: JSON) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def _string(value: JSON) -> str | None:
    return value if isinstance(value, str) else None


def _collation(value: JSON) -> bytes | None:
    return code_units(value) if isinstance(value, str) else None


def _boolean(value: JSON) -> bool | None:
    return value if isinstance(value, bool) else None


def _moment(value: JSON) -> tuple[float, str] | None:
    """Whole seconds and the digits of the fraction, so that nothing is lost in a float."""
    if parse_timestamp(value) is None:
        return None
    fraction = FRACTION.search(value)
    digits = fraction.group(1).rstrip("0") if fraction else ""
    return parse_timestamp(FRACTION.sub("", value)) or 0.0, digits


def _comparing(read: Callable[[JSON], object], holds: Callable[[Any, Any], bool]) -> Bind:
    def bind(operand: JSON) -> Test | None:
        right = read(operand)
        if right is None:
            return None

        def test(value: JSON) -> bool:
            left = read(value)
            return left is not None and holds(left, right)

        return test

    return bind


def _being(is_so: Test) -> Bind:
    """IsNull and its like: the operand says which answer is wanted."""
    return lambda wanted: (lambda value: is_so(value) is wanted) if isinstance(wanted, bool) else None


def _matching(pattern: JSON) -> Test | None:
    r"""StringMatches: `*` stands for any characters, `\*` for an asterisk, `\\` for a backslash."""
    if not isinstance(pattern, str):
        return None
    parts = [""]
    for token in re.findall(r"\\[*\\]|.", pattern, re.DOTALL):
        if token == "*":
            parts.append("")
        else:
            parts[-1] += token[-1]
    return lambda value: isinstance(value, str) and _fits(value, parts)


def _fits(text: str, parts: list[str]) -> bool:
    """Whether the text is the parts in their order with anything in between; needs no backtracking."""
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _operators() -> dict[str, Operator]:
    found = []
    families: list[tuple[str, dict[str, JSON], Callable[[JSON], object], tuple[str, ...]]] = [
        ("String", {"type": "string"}, _string, ("Equals",)),
        ("String", {"type": "string"}, _collation, tuple(ORDERS)[1:]),
        ("Numeric", {"type": "number"}, _number, tuple(ORDERS)),
        ("Boolean", {"type": "boolean"}, _boolean, ("Equals",)),
        ("Timestamp", {"type": "string", "format": "date-time"}, _moment, tuple(ORDERS)),
    ]
    for family, operand, read, orders in families:
        for order in orders:
            bind = _comparing(read, ORDERS[order])
            found.append(Operator(f"{family}{order}", operand, False, bind))
            found.append(Operator(f"{family}{order}Path", PATH_OPERAND, True, bind))
    found.append(Operator("StringMatches", {"type": "string"}, False, _matching))
    kinds: dict[str, Test] = {
        "IsNull": lambda value: value is None,
        "IsPresent": lambda value: True,
        "IsNumeric": lambda value: _number(value) is not None,
        "IsString": lambda value: isinstance(value, str),
        "IsBoolean": lambda value: isinstance(value, bool),
        "IsTimestamp": lambda value: parse_timestamp(value) is not None,
    }
    found += [Operator(name, {"type": "boolean"}, False, _being(is_so)) for name, is_so in kinds.items()]
    return {entry.name: entry for entry in found}


OPERATORS: dict[str, Operator] = _operators()
"""The 39 comparison operators by name."""


def compile_comparison(variable: Expression, operator_name: str, operand: JSON) -> Evaluate:
    """A comparison as a closure (data, scope) -> bool.

    Raises KeyError for an unknown operator and ExpressionSyntaxError for an operand of the wrong type. At run time a
    variable or operand that does not exist raises ExecutionFailure (States.Runtime).
    """
    entry = OPERATORS[operator_name]
    read = path(variable.source).evaluate
    if entry.by_path:
        return _by_path(entry, variable.source, operand)
    test = entry.bind(operand)
    if test is None:
        raise ExpressionSyntaxError(_wrong_operand(entry, operand))
    if operator_name == "IsPresent":
        return _presence(read, wanted=operand)

    def evaluate(data: JSON, scope: Scope) -> bool:
        try:
            value = read(data, scope)
        except NoMatch:
            raise _no_value(variable.source) from None
        return test(value)

    return evaluate


def _by_path(entry: Operator, source: str, operand: JSON) -> Evaluate:
    if not isinstance(operand, str):
        raise ExpressionSyntaxError(_wrong_operand(entry, operand))
    other = reference(operand)
    read, read_other = path(source).evaluate, other.evaluate

    def evaluate(data: JSON, scope: Scope) -> bool:
        missing = source
        try:
            value = read(data, scope)
            missing = other.source
            return entry.compare(value, read_other(data, scope))
        except NoMatch:
            raise _no_value(missing) from None

    return evaluate


def _presence(read: Evaluate, wanted: JSON) -> Evaluate:
    def evaluate(data: JSON, scope: Scope) -> bool:
        try:
            read(data, scope)
        except NoMatch:
            return wanted is False
        return wanted is True

    return evaluate


def _no_value(source: str) -> ExecutionFailure:
    cause = f"Invalid path '{source}': The choice state's condition path references an invalid value."
    return ExecutionFailure("States.Runtime", cause)


def _wrong_operand(entry: Operator, operand: JSON) -> str:
    if entry.operand.get("format") == "date-time" and isinstance(operand, str):
        return "String does not match RFC3339 timestamp"
    return f"{entry.name} takes a {entry.operand['type']}, not a value of type {type_name(operand)}"
