"""JSON values: the only data that flows carry.

A JSON value is None, bool, int, float, str, list or dict with str keys. Values are treated as immutable everywhere:
whoever changes one makes a new one along the path of the change.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import math
from typing import Any, NoReturn

JSON = Any
"""A JSON value. Python's type system has no recursive alias that helps here, so the name carries the meaning."""

MAX_PAYLOAD_BYTES = 262_144
"""Largest input, output or variable set of a state, in bytes of UTF-8 JSON text (AWS: 256 KiB)."""

MAX_VARIABLES_BYTES = 10_485_760
"""Largest size of all variables in one scope (AWS: 10 MiB in an execution)."""

TOO_LARGE = "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit."
"""AWS's cause of States.DataLimitExceeded."""

MAX_DEPTH = 200
"""Deepest nesting of a JSON document that is read from outside."""


def dump(value: JSON) -> str:
    """JSON text in AWS's form: no spaces, non-ASCII characters as they are, key order kept.

    Half a surrogate pair, which UTF-8 cannot write, makes the whole text ASCII with escapes: still the same value.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text if text.isascii() or is_unicode(text) else json.dumps(value, separators=(",", ":"), allow_nan=False)


def read_json(text: str | bytes) -> JSON:
    """The value of a JSON text. Raises ValueError for one that is none, or that holds what no flow can carry: NaN, a
    number that no float holds, half a surrogate pair, nesting deeper than MAX_DEPTH."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    problem = check_json(value)
    if problem is not None:
        raise ValueError(problem)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def is_unicode(text: str) -> bool:
    """Whether a text can be written in UTF-8: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def canonical(value: JSON) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces. Used for hashes and comparisons."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def content_hash(value: JSON) -> str:
    """The SHA-256 of the canonical text, as hex: the name of a definition."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def exceeds(value: JSON, limit: int = MAX_PAYLOAD_BYTES) -> bool:
    """Whether the JSON text of `value` is longer than `limit` bytes of UTF-8.

    Turning every value into text would cost more than running the flow. marshal's format 2 is ten times faster and
    writes everything out in full; no value's JSON text is longer than six times that (a control character in a string,
    `\\u0000`, is the worst case). So only large values are looked at twice.
    """
    return 6 * len(marshal.dumps(value, 2)) > limit and len(dump(value).encode()) > limit


def type_name(value: JSON) -> str:
    """The JSON name of a value's type: null, boolean, number, string, array, object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def equal(left: JSON, right: JSON) -> bool:
    """JSON equality: like Python's, but true is not 1 and false is not 0, at any depth."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def check_json(value: object) -> str | None:
    """None when `value` is a JSON value, else one sentence saying what is wrong and where."""
    return None if _is_json(value, MAX_DEPTH) else _not_json(value, 0, "$")


def _is_json(value: object, room: int) -> bool:
    """Whether it surely is, not deeper than `room`: the quick way, taken for every input and result."""
    kind = type(value)
    if kind is str:
        return value.isascii() or is_unicode(value)  # type: ignore[attr-defined, arg-type]
    if kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str or not key.isascii():
                return False
            inner = type(item)
            if inner is str:
                if not item.isascii() and not is_unicode(item):
                    return False
            elif inner is not int and (not room or not _is_json(item, room - 1)):
                return False
        return True
    if kind is list:
        return bool(room) and all(_is_json(item, room - 1) for item in value)  # type: ignore[attr-defined]
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    return value is None or kind is bool or kind is int


def _not_json(value: object, depth: int, where: str) -> str | None:
    """What is wrong and where; None when nothing is."""
    if depth > MAX_DEPTH:
        return f"{where}: nested deeper than {MAX_DEPTH} levels"
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, str):
        return None if value.isascii() or is_unicode(value) else f"{where}: half of a surrogate pair in a text"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{where}: {value} is not a JSON number"
    if isinstance(value, list):
        found = (_not_json(item, depth + 1, f"{where}[{i}]") for i, item in enumerate(value))
        return next((problem for problem in found if problem), None)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not (key.isascii() or is_unicode(key)):
                return f"{where}: the key {key!r} is not a string of Unicode"
            problem = _not_json(item, depth + 1, f"{where}.{key}")
            if problem:
                return problem
        return None
    return f"{where}: {type(value).__name__} is not a JSON type"
