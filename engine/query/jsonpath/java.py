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
    whole = math.floor(number)
    return whole + (number - whole >= 0.5)


class JavaRandom:
    """`java.util.Random`: the numbers that AWS draws from a seed, of which the low 48 bits count."""

    MULTIPLIER, MASK = 0x5DEECE66D, (1 << 48) - 1

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ self.MULTIPLIER) & self.MASK

    def bits(self, count: int) -> int:
        """The next `count` bits, at most 32."""
        self._state = (self._state * self.MULTIPLIER + 0xB) & self.MASK
        return self._state >> (48 - count)

    def double(self) -> float:
        """`nextDouble`: from 0 up to but not 1."""
        return ((self.bits(26) << 27) + self.bits(27)) / 2**53

    def below(self, bound: int) -> int:
        """`nextInt(bound)`, for every bound: from 0 up to but not the bound, which must be positive."""
        if bound > 2**31:  # more than an int holds
            return int(self.double() * bound)
        if bound & -bound == bound:
            return bound * self.bits(31) >> 31
        while True:
            drawn = self.bits(31)
            found = drawn % bound
            if drawn - found + bound <= 2**31:
                return found


def to_string(value: JSON) -> str:
    """`Object.toString` of a parsed document: text as it is, `{a=1, b=[]}` for objects, `[1, x]` for arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={to_string(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_string, value)) + "]"
    return dump(value)
