"""What a supplier's message says, without what we do not need: no personal field survives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steps.bookings.moments import parse, stamp

MOST_SEQUENCE = 2**53 - 1
FIELDS = ("type", "timestamp")
FIELDS_OF_DATA = ("ride_id", "client_reference", "sequence", "status", "reason", "redispatching")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")
"""A reason as a code has it. Whole sentences are not kept: they may tell of the passenger."""


class Unreadable(Exception):
    """The message does not have the fields of the contract."""


@dataclass(frozen=True, slots=True)
class Message:
    """A RideEvent of the Global Taxi contract. `occurred_at` is a stored moment."""

    type: str
    occurred_at: str
    ride_ref: str
    client_reference: str
    sequence: int
    status: str
    reason: str | None = None
    redispatching: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The normalised copy that is kept."""
        return asdict(self)


def known_fields(payload: Any) -> Any:
    """The body with the fields of the contract alone, as it may be stored before it is read; null for what is no
    message. Values that are no text, number or truth value are left out too, and so are reasons that are no code."""
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if not isinstance(payload, Mapping) or not isinstance(data, Mapping):
        return None
    kept = {name: data[name] for name in FIELDS_OF_DATA if isinstance(data.get(name), str | int)}
    if _code(kept.get("reason")) is None:
        kept.pop("reason", None)
    return {**{name: payload[name] for name in FIELDS if isinstance(payload.get(name), str)}, "data": kept}


def read(payload: Any) -> Message:
    """The message in a webhook's body. Raises Unreadable; its text repeats nothing of the body."""
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if not isinstance(payload, Mapping) or not isinstance(data, Mapping):
        raise Unreadable("the message is no ride event")
    sequence = data.get("sequence")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 <= sequence <= MOST_SEQUENCE:
        raise Unreadable("/data/sequence: must be a whole number")
    again = data.get("redispatching")
    try:
        occurred_at = stamp(parse(_text(payload, "timestamp", 40)))
    except (ValueError, OverflowError):
        raise Unreadable("/timestamp: must be a moment") from None
    return Message(
        type=_text(payload, "type", 60),
        occurred_at=occurred_at,
        ride_ref=_text(data, "ride_id", 64),
        client_reference=_text(data, "client_reference", 64),
        sequence=sequence,
        status=_text(data, "status", 40),
        reason=_code(data.get("reason")),
        redispatching=again if isinstance(again, bool) else None,
    )


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and WORD.fullmatch(value) else None


def _text(holder: Mapping[str, Any], name: str, most: int) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
        raise Unreadable(f"{name}: must be a text of 1 to {most} characters")
    return value
