"""Moments as text. Stored times have one width and one zone, so that comparing the texts compares the times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def stamp(moment: datetime) -> str:
    """`2026-05-04T09:10:03.250Z`: RFC 3339, UTC, milliseconds. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """The moment of an RFC 3339 text. Raises ValueError for anything else, a missing offset included."""
    if not RFC_3339.fullmatch(text):
        raise ValueError("not a date and time with an offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment beyond the calendar") from None


def later(text: str, seconds: float) -> str:
    """The stored moment `seconds` after a stored moment."""
    return stamp(parse(text) + timedelta(seconds=seconds))


def local(text: str, zone: str | None) -> str:
    """A stored moment as the airport's clock shows it, with its offset; UTC when the zone is not known."""
    try:
        place = ZoneInfo(zone) if zone else UTC
    except (ZoneInfoNotFoundError, ValueError):
        place = UTC
    return parse(text).astimezone(place).isoformat(timespec="seconds")
