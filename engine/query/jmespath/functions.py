"""The functions that business rules need and JMESPath lacks, and the table of all functions.

Nothing here reads a clock: "now" always comes as an argument. Null in gives null out wherever a rule must fail closed
(`?` in the signature); a wrong type is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from engine.query.jmespath.evaluation import EvaluationError, Run, finite, truthy
from engine.query.jmespath.registry import Function, register
from engine.query.jmespath.standard import STANDARD
from engine.values import JSON

HOUSE: dict[str, Function] = {}

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the earth (IUGG)."""

_T1, _T2 = "2026-05-04T11:30:00Z", "2026-05-04T12:15:00Z"


# --- Time ---------------------------------------------------------------------------------------------------------


def _seconds(start: datetime, end: datetime, unit: int) -> JSON:
    return finite((end - start) / timedelta(seconds=unit))


@register(
    HOUSE, "seconds_between(start: time?, end: time?) -> number", (f"seconds_between('{_T1}', '{_T2}')", None, 2700)
)
def seconds_between(run: Run, start: datetime, end: datetime) -> JSON:
    """Seconds from the first moment to the second, with fractions; negative when the second is earlier."""
    return _seconds(start, end, 1)


@register(
    HOUSE, "minutes_between(start: time?, end: time?) -> number", (f"minutes_between('{_T1}', '{_T2}')", None, 45)
)
def minutes_between(run: Run, start: datetime, end: datetime) -> JSON:
    """Minutes from the first moment to the second, with fractions; negative when the second is earlier."""
    return _seconds(start, end, 60)


@register(HOUSE, "hours_between(start: time?, end: time?) -> number", (f"hours_between('{_T1}', '{_T2}')", None, 0.75))
def hours_between(run: Run, start: datetime, end: datetime) -> JSON:
    """Hours from the first moment to the second, with fractions; negative when the second is earlier."""
    return _seconds(start, end, 3600)


@register(
    HOUSE, "days_between(start: time?, end: time?) -> number", (f"days_between('{_T2}', '{_T1}')", None, -0.03125)
)
def days_between(run: Run, start: datetime, end: datetime) -> JSON:
    """Days of 24 hours from the first moment to the second, with fractions; negative when the second is earlier."""
    return _seconds(start, end, 86_400)


def _later(moment: datetime, amount: Any, unit: int) -> JSON:
    try:
        return _rfc3339(moment + timedelta(seconds=unit * amount))
    except OverflowError:
        raise EvaluationError("The result lies outside the years 1 to 9999.") from None


def _rfc3339(moment: datetime) -> str:
    if moment.microsecond:
        whole, _, fraction = moment.isoformat(timespec="microseconds").partition(".")
        text = f"{whole}.{fraction[:6].rstrip('0')}{fraction[6:]}"
    else:
        text = moment.isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


@register(
    HOUSE,
    "add_seconds(moment: time?, seconds: number?) -> string",
    (f"add_seconds('{_T1}', `90`)", None, "2026-05-04T11:31:30Z"),
)
def add_seconds(run: Run, moment: datetime, seconds: Any) -> JSON:
    """The moment that many seconds later; it keeps its offset."""
    return _later(moment, seconds, 1)


@register(HOUSE, "add_minutes(moment: time?, minutes: number?) -> string", (f"add_minutes('{_T1}', `45`)", None, _T2))
def add_minutes(run: Run, moment: datetime, minutes: Any) -> JSON:
    """The moment that many minutes later; it keeps its offset."""
    return _later(moment, minutes, 60)


@register(
    HOUSE,
    "add_hours(moment: time?, hours: number?) -> string",
    (f"add_hours('{_T1}', `-1`)", None, "2026-05-04T10:30:00Z"),
)
def add_hours(run: Run, moment: datetime, hours: Any) -> JSON:
    """The moment that many hours later; it keeps its offset."""
    return _later(moment, hours, 3600)


@register(
    HOUSE, "add_days(moment: time?, days: number?) -> string", (f"add_days('{_T1}', `1`)", None, "2026-05-05T11:30:00Z")
)
def add_days(run: Run, moment: datetime, days: Any) -> JSON:
    """The moment that many times 24 hours later; it keeps its offset."""
    return _later(moment, days, 86_400)


@register(HOUSE, "is_before(a: time?, b: time?) -> boolean", (f"is_before('{_T1}', '{_T2}')", None, True))
def is_before(run: Run, a: datetime, b: datetime) -> JSON:
    """Whether the first moment lies before the second."""
    return a < b


@register(
    HOUSE,
    "local_time(moment: time?, zone: zone?) -> string",
    (f"local_time('{_T1}', 'Europe/London')", None, "2026-05-04T12:30:00+01:00"),
)
def local_time(run: Run, moment: datetime, zone: ZoneInfo) -> JSON:
    """The same moment with the offset that holds in the zone then."""
    return _rfc3339(_in_zone(moment, zone))


@register(HOUSE, "utc_time(moment: time?) -> string", ("utc_time('2026-05-04T12:30:00+01:00')", None, _T1))
def utc_time(run: Run, moment: datetime) -> JSON:
    """The same moment in UTC."""
    return _rfc3339(_in_zone(moment, UTC))


def _in_zone(moment: datetime, zone: Any) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        raise EvaluationError("The result lies outside the years 1 to 9999.") from None


@register(
    HOUSE,
    "format_time(moment: time?, zone: zone?, pattern: string?) -> string",
    (f"format_time('{_T1}', 'Europe/London', 'DD.MM.YYYY HH:mm')", None, "04.05.2026 12:30"),
)
def format_time(run: Run, moment: datetime, zone: ZoneInfo, pattern: str) -> JSON:
    """The moment as the zone's clocks show it; the pattern's YYYY MM DD HH mm ss are replaced."""
    run.charge_text(6 * len(pattern))
    local = _in_zone(moment, zone)
    parts = {"YYYY": f"{local.year:04}", "MM": f"{local.month:02}", "DD": f"{local.day:02}"}
    parts |= {"HH": f"{local.hour:02}", "mm": f"{local.minute:02}", "ss": f"{local.second:02}"}
    for name, digits in parts.items():
        pattern = pattern.replace(name, digits)
    return pattern


# --- Numbers ------------------------------------------------------------------------------------------------------


@register(HOUSE, "add(a: number?, b: number?, *more: number?) -> number", ("add(`1`, `2`, `3.5`)", None, 6.5))
def add(run: Run, *numbers: Any) -> JSON:
    """The sum."""
    return finite(sum(numbers))


@register(HOUSE, "subtract(a: number?, b: number?) -> number", ("subtract(`10`, `4`)", None, 6))
def subtract(run: Run, a: Any, b: Any) -> JSON:
    """The first number less the second."""
    return finite(a - b)


@register(HOUSE, "multiply(a: number?, b: number?) -> number", ("multiply(`3`, `1.5`)", None, 4.5))
def multiply(run: Run, a: Any, b: Any) -> JSON:
    """The product."""
    return finite(a * b)


@register(HOUSE, "divide(a: number?, b: number?) -> number", ("divide(`7`, `2`)", None, 3.5))
def divide(run: Run, a: Any, b: Any) -> JSON:
    """The first number over the second. Dividing by zero is an error."""
    if b == 0:
        raise EvaluationError("divide(): division by zero.")
    return finite(a / b)


@register(HOUSE, "round(value: number?, digits: integer = 0) -> number", ("round(`2.345`, `1`)", None, 2.3))
def round_(run: Run, value: Any, digits: int = 0) -> JSON:
    """Rounded to that many digits after the point (0 to 15); a half goes to the even neighbour."""
    if not 0 <= digits <= 15:
        raise EvaluationError("round(): the argument 'digits' must be from 0 to 15.")
    if isinstance(value, int) or abs(value) >= 2**53:
        return finite(value)
    return finite(float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)))


@register(HOUSE, "min_of(first: number?, *rest: number?) -> number", ("min_of(`3`, `1`, `2`)", None, 1))
def min_of(run: Run, *numbers: Any) -> JSON:
    """The smallest of the arguments."""
    return min(numbers)


@register(HOUSE, "max_of(first: number?, *rest: number?) -> number", ("max_of(`3`, `1`, `2`)", None, 3))
def max_of(run: Run, *numbers: Any) -> JSON:
    """The largest of the arguments."""
    return max(numbers)


@register(
    HOUSE, "between(value: number?, low: number?, high: number?) -> boolean", ("between(`5`, `1`, `5`)", None, True)
)
def between(run: Run, value: Any, low: Any, high: Any) -> JSON:
    """Whether the number lies between the two, both included."""
    return low <= value <= high


# --- Distance -----------------------------------------------------------------------------------------------------

_AIRPORT, _PARK = {"lat": 51.47, "lon": -0.4543}, {"lat": 51.5136, "lon": -0.1586}


def _haversine(a: tuple[float, float], b: tuple[float, float]) -> float:
    lat_a, lon_a, lat_b, lon_b = map(math.radians, chain(a, b))
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


@register(
    HOUSE, "distance_m(a: point?, b: point?) -> number", ("distance_m(a, b)", {"a": _AIRPORT, "b": _PARK}, 21038.4)
)
def distance_m(run: Run, a: tuple[float, float], b: tuple[float, float]) -> JSON:
    """Metres between two points along the surface of the earth (haversine), to a tenth."""
    return finite(round(_haversine(a, b), 1))


@register(
    HOUSE, "distance_km(a: point?, b: point?) -> number", ("distance_km(a, b)", {"a": _AIRPORT, "b": _PARK}, 21.0384)
)
def distance_km(run: Run, a: tuple[float, float], b: tuple[float, float]) -> JSON:
    """Kilometres between two points along the surface of the earth (haversine), to a tenth of a metre."""
    return finite(round(_haversine(a, b) / 1000, 4))


# --- Text ---------------------------------------------------------------------------------------------------------


@register(HOUSE, "upper(text: string?) -> string", ("upper('gate b')", None, "GATE B"))
def upper(run: Run, text: str) -> JSON:
    """The text in capitals."""
    run.charge_text(len(text))
    return text.upper()


@register(HOUSE, "lower(text: string?) -> string", ("lower('Gate B')", None, "gate b"))
def lower(run: Run, text: str) -> JSON:
    """The text in small letters."""
    run.charge_text(len(text))
    return text.lower()


@register(HOUSE, "trim(text: string?) -> string", ("trim('  a b ')", None, "a b"))
def trim(run: Run, text: str) -> JSON:
    """The text without white space around it."""
    run.charge_text(len(text))
    return text.strip()


@register(HOUSE, "split(text: string?, separator: string?) -> array[string]", ("split('a,b', ',')", None, ["a", "b"]))
def split(run: Run, text: str, separator: str) -> JSON:
    """The parts of the text between the separators; an empty separator gives its characters."""
    run.charge(text.count(separator) + 1)
    return text.split(separator) if separator else list(text)


@register(
    HOUSE, "replace(text: string?, old: string?, new: string?) -> string", ("replace('a-b', '-', '+')", None, "a+b")
)
def replace(run: Run, text: str, old: str, new: str) -> JSON:
    """The text with every `old` replaced by `new`; an empty `old` replaces nothing."""
    if not old:
        return text
    run.charge_text(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


@register(
    HOUSE, "format(pattern: string?, *values: any) -> string", ("format('{} of {}', `1`, 'two')", None, "1 of two")
)
def format_(run: Run, pattern: str, *values: JSON) -> JSON:
    """The pattern with each `{}` replaced by the next value: strings as they are, others as JSON text."""
    pieces = pattern.split("{}")
    if len(pieces) != len(values) + 1:
        raise EvaluationError(f"format(): the pattern has {len(pieces) - 1} places for {len(values)} values.")
    texts = [run.text(value) for value in values]
    run.charge_text(len(pattern) + sum(map(len, texts)))
    return "".join(chain.from_iterable(zip(pieces, [*texts, ""], strict=True)))


# --- Values, objects and lists ------------------------------------------------------------------------------------


@register(HOUSE, "exists(value: any) -> boolean", ("exists(a)", {"a": False}, True))
def exists(run: Run, value: JSON) -> JSON:
    """Whether the value is there: not null."""
    return value is not None


@register(HOUSE, "default(value: any, fallback: any) -> any", ("default(a, `7`)", {}, 7))
def default(run: Run, value: JSON, fallback: JSON) -> JSON:
    """The value, or the fallback when it is null; unlike `||` it keeps false and empty values."""
    return fallback if value is None else value


@register(HOUSE, "if(condition: any, then: lazy, otherwise: lazy) -> any", ("if(vip, `0`, `15`)", {"vip": True}, 0))
def if_(run: Run, condition: JSON, then: Callable[[], JSON], otherwise: Callable[[], JSON]) -> JSON:
    """`then` when the condition is true as in `&&`, else `otherwise`; the other one is not evaluated."""
    return then() if truthy(condition) else otherwise()


@register(HOUSE, "lookup(object: object?, key: string?) -> any", ("lookup(caps, 'GBP')", {"caps": {"GBP": 60}}, 60))
def lookup(run: Run, mapping: dict[str, JSON], key: str) -> JSON:
    """The field whose name is computed; null when there is none."""
    return mapping.get(key)


@register(HOUSE, "count(items: array?) -> number", ("count(list)", {"list": [1, 2]}, 2))
def count(run: Run, items: list[JSON]) -> JSON:
    """How many items there are."""
    return len(items)


@register(HOUSE, "one_of(value: any, items: array?) -> boolean", ("one_of('a', list)", {"list": ["a", "b"]}, True))
def one_of(run: Run, value: JSON, items: list[JSON]) -> JSON:
    """Whether the value is equal to one of the items."""
    run.charge(len(items))
    return any(run.equal(value, item) for item in items)


@register(
    HOUSE,
    "without(items: array?, others: array?) -> array",
    ("without(list, ['b'])", {"list": ["a", "b", "c"]}, ["a", "c"]),
)
def without(run: Run, items: list[JSON], others: list[JSON]) -> JSON:
    """The items that are equal to none of the others."""
    run.charge(len(items) * (len(others) + 1))
    return [item for item in items if not any(run.equal(item, other) for other in others)]


FUNCTIONS: dict[str, Function] = {**STANDARD, **HOUSE}
"""Every function of the language by name."""
