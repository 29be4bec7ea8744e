"""JSON texts in parameters, refused in the words of the parser that AWS uses (Jackson)."""

from __future__ import annotations

import json
import re
from typing import Final

from engine.values import JSON, check_json

VALUES: Final = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
TOKEN: Final = re.compile(r"[\w$]+")


class NotJson(Exception):
    """The text is no JSON document; `.message` says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def read(text: str) -> JSON:
    """The value of a JSON text. Raises NotJson, also for what has no place in a flow (NaN, endless nesting)."""
    try:
        value = json.loads(text, parse_constant=_constant)
    except json.JSONDecodeError as wrong:
        raise NotJson(_explain(wrong)) from None
    except RecursionError:
        raise NotJson("Document nesting depth exceeds the maximum allowed") from None
    problem = check_json(value)
    if problem is not None:
        raise NotJson(problem)
    return value


def _constant(word: str) -> JSON:
    raise NotJson(f"Non-standard token '{word}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow")


def _explain(wrong: json.JSONDecodeError) -> str:
    rest = wrong.doc[wrong.pos :]
    if not rest:
        return "Unexpected end-of-input"
    character = f"Unexpected character ('{rest[0]}' (code {ord(rest[0])}))"
    token = TOKEN.match(rest)
    if "property name" in wrong.msg:
        return f"{character}: was expecting double-quote to start field name"
    if "':'" in wrong.msg:
        return f"{character}: was expecting a colon to separate field name and value"
    if "','" in wrong.msg:
        return f"{character}: was expecting comma to separate entries"
    if token is not None and not token[0][0].isdigit():
        return f"Unrecognized token '{token[0]}': was expecting {VALUES}"
    return f"{character}: expected a valid value {VALUES}"
