"""Arguments that mean more than their JSON: times, time zones and points on the earth."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.query.jmespath.evaluation import is_number
from engine.values import JSON


class NotOne(Exception):
    """The value is none of what was asked for; the message says what ails it, empty when its type is simply wrong."""


_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def time(value: JSON) -> datetime:
    """An RFC 3339 date-time with its offset; seconds finer than microseconds are cut. Raises NotOne."""
    if not isinstance(value, str):
        raise NotOne
    moment = _moment(value) if len(value) <= 64 else None
    if moment is None:
        raise NotOne("that is not one")
    return moment


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zone(value: JSON) -> ZoneInfo:
    """A time zone by its IANA name, from the zone data that Python finds; read once and kept. Raises NotOne."""
    if not isinstance(value, str):
        raise NotOne
    found = _zone(value) if len(value) <= 64 else None
    if found is None:
        raise NotOne("that is not one")
    return found


def point(value: JSON) -> tuple[float, float]:
    """`{"lat", "lon"}` in degrees as a pair. Raises NotOne."""
    if not isinstance(value, dict):
        raise NotOne
    latitude: JSON = value.get("lat")
    longitude: JSON = value.get("lon")
    if not (is_number(latitude) and is_number(longitude)):
        raise NotOne("without numbers lat and lon")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise NotOne("outside the range of degrees")
    return latitude, longitude
