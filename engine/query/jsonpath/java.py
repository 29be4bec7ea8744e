"""Where the Java in which Step Functions is written shows through, recorded on AWS and kept here in one place."""

from __future__ import annotations

import math
from collections.abc import Collection

from engine.values import JSON, dump


def hash_order(names: Collection[str]) -> list[str]:
    """The names in the order in which a `java.util.HashMap` yields them when filled in the given order.

    AWS puts the `.$` keys of a payload template and the keys of States.JsonMerge out in this order.
    """
    size = 16
    while len(names) > size * 3 // 4:
        size *= 2
    return sorted(names, key=lambda name: _bucket(name, size))


def _bucket(name: str, size: int) -> int:
    spread = 0
    units = code_units(name)
    for high, low in zip(units[::2], units[1::2], strict=True):
        spread = (31 * spread + (high << 8 | low)) & 0xFFFFFFFF
    return (spread ^ spread >> 16) & size - 1


def code_units(text: str) -> bytes:
    """A sort key: `String.compareTo` goes by UTF-16 code units, which differs from code points beyond U+FFFF."""
    return text.encode("utf-16-be", "surrogatepass")


def half_up(number: float) -> int:
    """`Math.round`: halves go up, also below zero (-1.5 gives -1)."""
    return number if isinstance(number, int) else math.floor(number + 0.5)


def to_string(value: JSON) -> str:
    """`Object.toString` of a parsed document: text as it is, `{a=1, b=[]}` for objects, `[1, x]` for arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={to_string(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_string, value)) + "]"
    return dump(value)
