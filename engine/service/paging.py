"""Pages of a list. A token says where the next page begins, and of which list: it fits no other, and not for ever."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from engine.service.errors import ApiError, named
from engine.values import canonical

Item = TypeVar("Item")

DEFAULT: Final = 100
LIFETIME: Final = 24 * 3600
"""Seconds after which a token is no good any more (AWS)."""


def dated(answer: dict[str, Any], now: float) -> dict[str, Any]:
    """The answer to an operation; a token in it says when it was given."""
    return {**answer, "nextToken": f"{answer['nextToken']}.{int(now)}"} if "nextToken" in answer else answer


def undated(params: dict[str, Any], now: float) -> dict[str, Any]:
    """The parameters of an operation, with the token as `page` knows it. Raises InvalidToken when it is too old."""
    if "nextToken" not in params:
        return params
    token, _, given = params["nextToken"].rpartition(".")
    if not given.isdecimal() or now - int(given) > LIFETIME:
        raise _bad_token()
    return {**params, "nextToken": token}


def page(
    items: Sequence[Item], operation: str, params: Mapping[str, Any], *, growing: bool = False
) -> tuple[Sequence[Item], dict[str, str]]:
    """The page that the parameters ask for, and `{"nextToken"}` when there is more. Raises InvalidToken.

    `growing`: more items come at the front, which moves no page on.
    """
    most, start, size = params.get("maxResults") or DEFAULT, 0, len(items)
    if "nextToken" in params:
        start, size = _start(params["nextToken"], operation, params)
    new = max(0, len(items) - size) if growing else 0
    found = items[new + start : new + start + most]
    if new + start + most >= len(items):
        return found, {}
    return found, {"nextToken": _token(start + most, size, operation, params)}


def _mark(operation: str, params: Mapping[str, Any]) -> str:
    """What a token must fit: the operation and its parameters, but for the page itself."""
    rest = {name: value for name, value in params.items() if name not in ("nextToken", "maxResults")}
    return hashlib.sha256(canonical([operation, rest]).encode()).hexdigest()[:16]


def _token(start: int, size: int, operation: str, params: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, size, _mark(operation, params)]).encode()).decode()


def _start(token: str, operation: str, params: Mapping[str, Any]) -> tuple[int, int]:
    """Where a page begins in a list, and how long that was when its first page was told."""
    try:
        start, size, mark = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        raise _bad_token() from None
    numbers = isinstance(start, int) and isinstance(size, int) and start >= 0
    if mark != _mark(operation, params) or not numbers:
        raise _bad_token()
    return start, size


def _bad_token() -> ApiError:
    return named("InvalidToken", "Invalid Token", "Invalid token")
