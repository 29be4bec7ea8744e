"""Values and names in the messages of problems: in quotes, typed, and cut where they are long."""

from __future__ import annotations

import json
from typing import Final

from engine.values import JSON, type_name

LONGEST: Final = 80


def shorten(text: str) -> str:
    """A text in quotes."""
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def describe(value: JSON) -> str:
    """A value by its type, and itself where it is no list or object."""
    kind = type_name(value)
    if value is None:
        return kind
    if isinstance(value, list | dict):
        return f"an {kind}"
    text = json.dumps(value, ensure_ascii=False)
    return f"a {kind} ({text if len(text) <= LONGEST else text[:LONGEST] + '…'})"
