"""Filters, compiled: `[?(@.price < 10 && @.kind == 'book')]`.

The rules are those of Jayway JsonPath 1.2.0, which AWS's answers agree with:

* a literal is text, quoted or not, and is read as the type of the value that it is compared with (`@.n == '5'` finds
  the number 5); values that cannot be compared are neither equal nor unequal;
* a comparison with a member that does not exist is false, `!=` too;
* `[?(@.a)]` asks for a member that exists and is not null, `[?(!@.a)]` for the opposite.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence

from engine.query.jsonpath.steps import MISSES, Accept, Definite, follow
from engine.values import JSON

Read = Callable[[JSON, JSON], JSON]
"""An operand: (the candidate, the root) -> its value, or MISSING."""

Test = Callable[[int, int], bool]

MISSING = object()
EQUALITY: dict[str, Test] = {"==": operator.eq, "!=": operator.ne}
ORDER: dict[str, Test] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
TESTS = EQUALITY | ORDER
MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NUMBER = re.compile(r"[+-]?(?:\d{1,300}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def reader(root: str, steps: Sequence[Definite]) -> Read:
    """What `@.a.b` or `$.a.b` stands for inside a filter."""
    at_root = root == "$"

    def read(value: JSON, document: JSON) -> JSON:
        try:
            return follow(steps, document if at_root else value)
        except MISSES:
            return MISSING

    return read


def either(parts: Sequence[Accept]) -> Accept:
    """`a || b`."""
    return lambda value, root: any(part(value, root) for part in parts)


def both(parts: Sequence[Accept]) -> Accept:
    """`a && b`."""
    return lambda value, root: all(part(value, root) for part in parts)


def exists(read: Read, wanted: bool) -> Accept:
    """`@.a` and `!@.a`; null counts as absent."""

    def accept(value: JSON, root: JSON) -> bool:
        found = read(value, root)
        return (found is not MISSING and found is not None) is wanted

    return accept


def matches(read: Read, pattern: re.Pattern[str]) -> Accept:
    """`@.a =~ /…/`: the whole text must match."""

    def accept(value: JSON, root: JSON) -> bool:
        found = read(value, root)
        return isinstance(found, str) and pattern.fullmatch(found) is not None

    return accept


def compare(left: Read | str, symbol: str, right: Read | str) -> Accept:
    """A comparison of two operands; a `str` is a literal."""
    if isinstance(left, str):
        if isinstance(right, str):
            fixed = _holds(symbol, left, right)
            return lambda value, root: fixed
        return compare(right, MIRROR.get(symbol, symbol), left)
    if isinstance(right, str):
        return _with_literal(left, symbol, right)

    def accept(value: JSON, root: JSON) -> bool:
        first, second = left(value, root), right(value, root)
        return first is not MISSING and second is not MISSING and _holds(symbol, first, second)

    return accept


def _with_literal(read: Read, symbol: str, text: str) -> Accept:
    test, against, ordering = TESTS[symbol], _against(text), symbol in ORDER

    def accept(value: JSON, root: JSON) -> bool:
        found = read(value, root)
        if found is MISSING or (found is None and ordering):
            return False
        sign = against(found)
        return sign is not None and test(sign, 0)

    return accept


def _holds(symbol: str, left: JSON, right: JSON) -> bool:
    if symbol in ORDER and (left is None) is not (right is None):
        return False
    sign = _sign(left, right)
    return sign is not None and TESTS[symbol](sign, 0)


def _sign(left: JSON, right: JSON) -> int | None:
    """-1, 0 or 1 as left is less than, equal to or greater than right; None when they cannot be compared."""
    if left is right:
        return 0
    if isinstance(right, str):
        return _against(right)(left)
    if isinstance(left, str):
        sign = _against(left)(right)
        return None if sign is None else -sign
    if left is None or right is None:
        return -1 if left is None else 1
    if isinstance(left, bool) is isinstance(right, bool) and isinstance(left, int | float):
        return _order(left, right) if isinstance(right, int | float) else None
    return None


def _against(text: str) -> Callable[[JSON], int | None]:
    """How a value compares with a literal, which takes the value's type."""
    absent = text == "null"
    truth = text.lower() == "true"
    number = float(text) if NUMBER.fullmatch(text) else None
    if number is not None and text.lstrip("+-").isdigit():
        number = int(text)

    def sign(value: JSON) -> int | None:
        if value is None or value == "null":
            return 0 if absent else -1
        if absent:
            return 1
        if isinstance(value, str):
            return (value > text) - (value < text)
        if isinstance(value, bool):
            return (value > truth) - (value < truth)
        if isinstance(value, int | float) and number is not None:
            return _order(value, number)
        return None

    return sign


def _order(left: float, right: float) -> int:
    return (left > right) - (left < right)
