"""The functions that AWS adds to JSONata.

Source: AWS Step Functions, "Transforming data with JSONata", "JSONata functions provided by Step Functions". An
argument that is undefined arrives as None and makes the result undefined, which is None too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine.query.jsonata.program import MAX_ITEMS, TOO_MUCH, Chance, FunctionError
from engine.query.jsonpath.java import JavaRandom
from engine.values import JSON, read_json

Implementation = Callable[..., Any]

ALGORITHMS: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}

NULL: Final = object()
"""What a function returns for null, since None is undefined."""


class Function(NamedTuple):
    """A function: its JSONata signature, which the library checks, and what it does."""

    signature: str
    call: Implementation


def partition(array: list[JSON] | None, size: float | None) -> JSON:
    """`$partition([1, 2, 3], 2)` is `[[1, 2], [3]]`. A fraction is cut off; chunks of 0 are undefined (AWS)."""
    if array is None or size is None or int(size) == 0:
        return None
    step = int(size)
    if step < 0:
        raise FunctionError("$partition: the size of a chunk must be a positive integer")
    return [array[start : start + step] for start in range(0, len(array), step)]


def range_(first: float | None, last: float | None, step: float | None) -> JSON:
    """`$range(1, 9, 2)` is `[1, 3, 5, 7, 9]`. Fractions are cut off; a step of 0 is undefined (AWS).

    It is a sequence: one number stands alone, none is undefined (AWS).
    """
    if first is None or last is None or step is None or int(step) == 0:
        return None
    start, by = int(first), int(step)
    places = (int(last) - start) // by + 1
    if places > MAX_ITEMS:
        raise FunctionError(TOO_MUCH)
    numbers = [start + place * by for place in range(places)]
    return numbers if len(numbers) > 1 else next(iter(numbers), None)


def hash_(text: str | None, algorithm: str | None) -> JSON:
    """`$hash("data", "SHA-256")`: the digest of the text in UTF-8, in hexadecimal digits."""
    if text is None or algorithm is None:
        return None
    if algorithm not in ALGORITHMS:
        raise FunctionError(f"$hash: the algorithm must be one of {', '.join(ALGORITHMS)}")
    return hashlib.new(ALGORITHMS[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def parse(text: str | None) -> JSON:
    """`$parse("[1]")` is `[1]`: what stands in for `$eval` where JSON text is to be read."""
    if text is None:
        return None
    try:
        value = read_json(text)
    except ValueError as wrong:
        raise FunctionError(f"$parse: the text is not JSON: {wrong}") from None
    return NULL if value is None else value


FUNCTIONS: Final[Mapping[str, Function]] = {
    "partition": Function("<an>", partition),
    "range": Function("<nnn>", range_),
    "hash": Function("<ss>", hash_),
    "parse": Function("<s>", parse),
}
"""The functions whose result rests on their arguments alone."""

DRAWING: Final = frozenset({"random", "uuid", "shuffle"})
"""Names of the functions that draw random numbers."""

CLOCKED: Final = frozenset({"now", "millis", "toMillis"})
"""Names of the functions that read the clock. `$toMillis` takes the day from it when the text has only a time."""

ADDED: Final = frozenset(FUNCTIONS) | {"random", "uuid"}
"""Names of the functions that JSONata does not have, or not in that form."""


def drawing(chance: Chance) -> dict[str, Implementation]:
    """`$random` with an optional seed and `$uuid`, drawn from one generator; they check their arguments themselves."""

    def random_(seed: float | None = None, *more: JSON) -> JSON:
        if more or isinstance(seed, bool) or not isinstance(seed, int | float | None):
            place = 2 if more else 1
            raise FunctionError(f'T0410: Argument {place} of function "random" does not match function signature')
        if seed is None:
            return chance.random()
        return JavaRandom(int(seed)).double()  # recorded: $random(42) is 0.7275636800328681

    def uuid(*none: JSON) -> JSON:
        if none:
            raise FunctionError('T0410: Argument 1 of function "uuid" does not match function signature')
        bits = f"{chance.getrandbits(128):032x}"
        variant = "89ab"[int(bits[16], 16) & 3]
        return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-{variant}{bits[17:20]}-{bits[20:]}"

    return {"random": random_, "uuid": uuid}
