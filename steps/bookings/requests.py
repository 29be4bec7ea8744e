"""The booking request on its way in: normalised, checked, completed, split into its personal part and the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import date, datetime
from functools import cache
from typing import Any

from engine import JsonSchema
from steps.bookings.moments import parse, stamp
from steps.bookings.settings import ROOT

UPPER = (
    ("direction",),
    ("airport_iata",),
    ("vehicle_class",),
    ("lounge_context", "kind"),
    ("lounge_context", "lounge_code"),
    ("pickup", "type"),
    ("dropoff", "country"),
    ("flight", "number"),
    ("price", "currency"),
)
PERSONAL = (
    ("lead_passenger",),
    ("pickup", "point"),
    ("pickup", "address"),
    ("pickup", "name_board"),
    ("dropoff", "point"),
    ("dropoff", "name"),
    ("dropoff", "address"),
    ("dropoff", "postal_code"),
    ("notes",),
)
CREATE, CHANGES = "booking-create.json", "booking-changes.json"
MOST_PROBLEMS = 20
POINT_DIGITS = 6
YEARS = range(1000, 9000)
"""Nearer to the calendar's ends, what is counted from a moment (the end of a ride, a local time) would not be on it."""
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")
"""What could be an e-mail address; above all, nothing that begins a line of its own in a message's head."""
MESSAGES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "pattern": "must match {}",
    "format": "must be a valid {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "maxItems": "must have at most {} items",
    "uniqueItems": "must not repeat an item",
    "additionalProperties": "has fields that are not known",
}


def normalise(request: Any) -> Any:
    """Trim all texts, write codes in capitals, take spaces out of the flight number, round points to 6 decimals."""
    request = _trimmed(request)
    if not isinstance(request, dict):
        return request
    for path in UPPER:
        holder = _holder(request, path)
        if holder is not None and isinstance(holder.get(path[-1]), str):
            holder[path[-1]] = holder[path[-1]].upper()
    flight = request.get("flight")
    if isinstance(flight, dict) and isinstance(flight.get("number"), str):
        flight["number"] = flight["number"].replace(" ", "")
    for stop in (request.get("pickup"), request.get("dropoff")):
        if isinstance(stop, dict) and isinstance(point := stop.get("point"), dict):
            stop["point"] = {
                key: round(value, POINT_DIGITS) if isinstance(value, float) else value for key, value in point.items()
            }
    return request


def problems(request: Any) -> list[str]:
    """What is wrong with a normalised request, as `/pointer: message` lines that repeat none of its values."""
    found = sorted({line for error in _validator().iter_errors(request) for line in _lines(error)})
    return found[:MOST_PROBLEMS]


def change_problems(changes: Any) -> list[str]:
    """What is wrong with normalised changes (schemas/booking-changes.json), as lines like those of `problems`."""
    found = sorted({line for error in _validator(CHANGES).iter_errors(changes) for line in _lines(error)})
    return found[:MOST_PROBLEMS]


def patched(value: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396): null takes a field away, objects are merged, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), change)
    return result


def complete(request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Fill the schema's defaults; a car as soon as possible is asked for now. Times become UTC."""
    filled: dict[str, Any] = deepcopy(dict(request))
    filled.setdefault("luggage", {})
    filled.setdefault("accessibility", [])
    _fill(filled, _schema())
    pickup = filled["pickup"]
    pickup["time"] = stamp(parse(pickup["time"]) if pickup["type"] == "SCHEDULED" else now)
    return filled


def split(request: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request without its personal fields, and the personal fields alone in the same shape."""
    rest, personal = deepcopy(dict(request)), dict[str, Any]()
    for path in PERSONAL:
        holder = _holder(rest, path)
        if holder is not None and path[-1] in holder:
            into = personal
            for key in path[:-1]:
                into = into.setdefault(key, {})
            into[path[-1]] = holder.pop(path[-1])
    return rest, personal


def merged(rest: Mapping[str, Any], personal: Mapping[str, Any]) -> dict[str, Any]:
    """The whole request again."""
    whole = dict(rest)
    for key, value in personal.items():
        whole[key] = {**whole[key], **value} if isinstance(whole.get(key), dict) else value
    return whole


def _trimmed(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [_trimmed(item) for item in value]
    return {key: _trimmed(item) for key, item in value.items()} if isinstance(value, dict) else value


def _holder(request: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    holder: Any = request
    for key in path[:-1]:
        holder = holder.get(key) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None


def _fill(value: dict[str, Any], schema: Mapping[str, Any]) -> None:
    for name, part in schema.get("properties", {}).items():
        if "default" in part:
            value.setdefault(name, part["default"])
        if isinstance(value.get(name), dict):
            _fill(value[name], part)


def _lines(error: Any) -> Iterator[str]:
    pointer = "".join(f"/{part}" for part in error.absolute_path)
    if error.validator == "required":
        yield from (f"{pointer}/{name}: is required" for name in error.validator_value if name not in error.instance)
        return
    limit = error.validator_value
    shown = ", ".join(map(str, limit)) if isinstance(limit, list) else str(limit).replace("True", "true")
    yield f"{pointer or '/'}: {MESSAGES.get(error.validator, 'is not valid').format(shown)}"


@cache
def _schema(file: str = CREATE) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / "schemas" / file).read_text(encoding="utf-8"))
    return schema


@cache
def _validator(file: str = CREATE) -> JsonSchema:
    return JsonSchema(_schema(file), formats={"date": _is_date, "email": _is_address, "date-time": _is_moment})


def _is_moment(text: str) -> bool:
    return parse(text).year in YEARS


def _is_date(text: str) -> bool:
    return DATE.fullmatch(text) is not None and date.fromisoformat(text).year in YEARS


def _is_address(text: str) -> bool:
    return ADDRESS.fullmatch(text) is not None
