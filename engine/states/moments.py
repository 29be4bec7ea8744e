"""Timestamps as the States Language takes them: RFC 3339 with capital T and a zone, any number of fraction digits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d(?::\d\d)?)",
    re.ASCII,
)

LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)


def parse_timestamp(text: object) -> float | None:
    """Seconds since the epoch, or None when the value is no timestamp."""
    found = TIMESTAMP.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=_zone(zone))
    except ValueError:
        return None
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def moment(seconds: float) -> datetime:
    """The time of so many seconds since the epoch; the last one that can be told for all that come later."""
    return datetime.fromtimestamp(seconds, UTC) if seconds < LATEST.timestamp() else LATEST


def format_timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds, as AWS writes times in the context object."""
    return f"{moment(seconds).isoformat(timespec='milliseconds')[:-6]}Z"
