"""Bodies: bytes become JSON, strictly. What two readers could read differently is refused."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from engine.values import JSON

MOST_DEPTH: Final = 40
BIGGEST: Final = 2**53 - 1
"""Integers beyond it are not the same number to every reader (RFC 8259, RFC 8785)."""


class Unreadable(Exception):
    """The body is not JSON as it is understood here; the message says why and repeats nothing of it."""


def read_json(body: bytes) -> JSON:
    """The body as JSON. Raises Unreadable: not UTF-8, not JSON, a key given twice, NaN, too deep, NUL or half
    characters in texts, numbers that are not exact."""
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
        _check(value, 0)
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8") from None
    except RecursionError:
        raise Unreadable(f"the body is nested more than {MOST_DEPTH} levels deep") from None
    except json.JSONDecodeError as problem:
        raise Unreadable(f"the body is not JSON: {problem.msg} at character {problem.pos}") from None
    except ValueError as problem:
        if isinstance(problem, _Unwanted):
            raise Unreadable(str(problem)) from None
        raise Unreadable("the body is not JSON: a number has too many digits") from None
    return value


class _Unwanted(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unwanted("the body is not acceptable: a key stands twice in one object")
    return found


def _constant(name: str) -> float:
    raise _Unwanted(f"the body is not JSON: {name} is no number")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Unwanted("the body is not acceptable: a number is too large")
    return value


def _check(value: Any, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise _Unwanted(f"the body is nested more than {MOST_DEPTH} levels deep")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > BIGGEST:
        raise _Unwanted("the body is not acceptable: an integer is beyond 2^53")


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _Unwanted("the body is not acceptable: a text holds half a character")
    if "\x00" in text:
        raise _Unwanted("the body is not acceptable: a text holds the character NUL")
