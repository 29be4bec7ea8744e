"""JMESPath's own functions, as its specification has them; nulls are wrong types here unless `any` lets them in."""

from __future__ import annotations

import math
import re
from typing import Any

from engine.query.jmespath.evaluation import EvaluationError, Run, finite, is_number
from engine.query.jmespath.registry import Callback, Function, register
from engine.values import JSON, type_name

STANDARD: dict[str, Function] = {}

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def _sorting(run: Run, items: list[Any]) -> None:
    run.charge(len(items) * len(items).bit_length())


def _keys(run: Run, items: list[JSON], expression: Callback, name: str) -> list[Any]:
    """The key of each item: all numbers or all strings."""
    keys = list(map(expression.bind(run, len(items)), items))
    if all(map(is_number, keys)) or all(isinstance(key, str) for key in keys):
        return keys
    raise EvaluationError(f"{name}(): the argument 'by' must give a number for every item, or a string for every item.")


@register(STANDARD, "abs(value: number) -> number", ("abs(`-3`)", None, 3))
def absolute(run: Run, value: Any) -> JSON:
    """The number without its sign."""
    return abs(value)


@register(STANDARD, "avg(values: array[number]) -> number", ("avg(list)", {"list": [1, 2]}, 1.5))
def average(run: Run, values: list[Any]) -> JSON:
    """The mean; null for an empty array."""
    return finite(sum(values) / len(values)) if values else None


@register(STANDARD, "ceil(value: number) -> number", ("ceil(`1.2`)", None, 2))
def ceil(run: Run, value: Any) -> JSON:
    """The next whole number upwards."""
    return math.ceil(value)


@register(
    STANDARD,
    "contains(subject: array|string, search: any) -> boolean",
    ("contains(list, 'b')", {"list": ["a", "b"]}, True),
)
def contains(run: Run, subject: Any, search: JSON) -> JSON:
    """Whether an array holds a value, or a string holds a text."""
    if isinstance(subject, list):
        run.charge(len(subject))
        return any(run.equal(item, search) for item in subject)
    if not isinstance(search, str):
        raise EvaluationError(
            f"contains(): a string can only contain a string, not a value of type {type_name(search)}."
        )
    run.charge_text(len(subject))
    return search in subject


@register(STANDARD, "ends_with(subject: string, suffix: string) -> boolean", ("ends_with('abc', 'bc')", None, True))
def ends_with(run: Run, subject: str, suffix: str) -> JSON:
    """Whether a string ends with another."""
    return subject.endswith(suffix)


@register(STANDARD, "floor(value: number) -> number", ("floor(`1.8`)", None, 1))
def floor(run: Run, value: Any) -> JSON:
    """The next whole number downwards."""
    return math.floor(value)


@register(
    STANDARD, "join(glue: string, parts: array[string]) -> string", ("join('-', list)", {"list": ["a", "b"]}, "a-b")
)
def join(run: Run, glue: str, parts: list[str]) -> JSON:
    """The strings as one, with the glue between them."""
    run.charge_text(sum(map(len, parts)) + len(glue) * len(parts))
    return glue.join(parts)


@register(STANDARD, "keys(object: object) -> array[string]", ("keys(object)", {"object": {"a": 1, "b": 2}}, ["a", "b"]))
def keys(run: Run, mapping: dict[str, JSON]) -> JSON:
    """The names of an object's fields."""
    run.charge(len(mapping))
    return list(mapping)


@register(STANDARD, "length(subject: array|object|string) -> number", ("length(list)", {"list": [7, 8]}, 2))
def length(run: Run, subject: Any) -> JSON:
    """How many items, fields or characters there are."""
    return len(subject)


@register(
    STANDARD,
    "map(each: expression, items: array) -> array",
    ("map(&a, list)", {"list": [{"a": 1}, {}]}, [1, None]),
    multiplies=True,
)
def map_(run: Run, each: Callback, items: list[JSON]) -> JSON:
    """The expression's result for each item; unlike a projection it keeps nulls."""
    return list(map(each.bind(run, len(items)), items))


@register(STANDARD, "max(values: array[number]|array[string]) -> any", ("max(list)", {"list": [3, 9, 4]}, 9))
def maximum(run: Run, values: list[Any]) -> JSON:
    """The largest number or last string; null for an empty array."""
    return max(values, default=None)


@register(
    STANDARD,
    "max_by(items: array, by: expression) -> any",
    ("max_by(list, &n)", {"list": [{"n": 1}, {"n": 2}]}, {"n": 2}),
)
def max_by(run: Run, items: list[JSON], by: Callback) -> JSON:
    """The item with the largest key; null for an empty array."""
    keys = _keys(run, items, by, "max_by")
    return items[keys.index(max(keys))] if keys else None


@register(
    STANDARD,
    "merge(first: object, *rest: object) -> object",
    ("merge(object, {b: `2`})", {"object": {"a": 1, "b": 1}}, {"a": 1, "b": 2}),
)
def merge(run: Run, *objects: dict[str, JSON]) -> JSON:
    """One object with the fields of all; later ones win."""
    merged: dict[str, JSON] = {}
    for mapping in objects:
        run.charge(len(mapping))
        merged.update(mapping)
    return merged


@register(STANDARD, "min(values: array[number]|array[string]) -> any", ("min(list)", {"list": [3, 9, 4]}, 3))
def minimum(run: Run, values: list[Any]) -> JSON:
    """The smallest number or first string; null for an empty array."""
    return min(values, default=None)


@register(
    STANDARD,
    "min_by(items: array, by: expression) -> any",
    ("min_by(list, &n)", {"list": [{"n": 1}, {"n": 2}]}, {"n": 1}),
)
def min_by(run: Run, items: list[JSON], by: Callback) -> JSON:
    """The item with the smallest key; null for an empty array."""
    keys = _keys(run, items, by, "min_by")
    return items[keys.index(min(keys))] if keys else None


@register(STANDARD, "not_null(first: any, *rest: any) -> any", ("not_null(a, b, c)", {"b": 5, "c": 6}, 5))
def not_null(run: Run, *values: JSON) -> JSON:
    """The first argument that is not null."""
    return next((value for value in values if value is not None), None)


@register(STANDARD, "reverse(subject: array|string) -> any", ("reverse(list)", {"list": [1, 2]}, [2, 1]))
def reverse(run: Run, subject: Any) -> JSON:
    """An array or string from its end to its start."""
    run.charge(len(subject))
    return subject[::-1]


@register(
    STANDARD, "sort(values: array[number]|array[string]) -> array", ("sort(list)", {"list": [3, 1, 2]}, [1, 2, 3])
)
def sort(run: Run, values: list[Any]) -> JSON:
    """The values in rising order."""
    _sorting(run, values)
    return sorted(values)


@register(
    STANDARD,
    "sort_by(items: array, by: expression) -> array",
    ("sort_by(list, &n)", {"list": [{"n": 2}, {"n": 1}]}, [{"n": 1}, {"n": 2}]),
)
def sort_by(run: Run, items: list[JSON], by: Callback) -> JSON:
    """The items in rising order of their keys; equal ones stay in order."""
    keys = _keys(run, items, by, "sort_by")
    _sorting(run, items)
    return [items[place] for place in sorted(range(len(items)), key=keys.__getitem__)]


@register(STANDARD, "starts_with(subject: string, prefix: string) -> boolean", ("starts_with('abc', 'ab')", None, True))
def starts_with(run: Run, subject: str, prefix: str) -> JSON:
    """Whether a string starts with another."""
    return subject.startswith(prefix)


@register(STANDARD, "sum(values: array[number]) -> number", ("sum(list)", {"list": [1, 2, 3]}, 6))
def total(run: Run, values: list[Any]) -> JSON:
    """All numbers added; 0 for an empty array."""
    return finite(sum(values))


@register(STANDARD, "to_array(value: any) -> array", ("to_array('a')", None, ["a"]))
def to_array(run: Run, value: JSON) -> JSON:
    """An array as it is; any other value as an array of one."""
    return value if isinstance(value, list) else [value]


@register(STANDARD, "to_number(value: any) -> number", ("to_number('1.5')", None, 1.5))
def to_number(run: Run, value: JSON) -> JSON:
    """A number as it is, a string that is a JSON number as that number; anything else is null."""
    if is_number(value):
        return value
    match = _NUMBER.fullmatch(value) if isinstance(value, str) and len(value) <= 400 else None
    if match is None:
        return None
    number = float(value) if match[2] or match[3] else int(value)
    return number if math.isfinite(number) else None


@register(
    STANDARD, "to_string(value: any) -> string", ("to_string(object)", {"object": {"a": [1, "é"]}}, '{"a":[1,"é"]}')
)
def to_string(run: Run, value: JSON) -> JSON:
    """A string as it is, any other value as JSON text."""
    return run.text(value)


@register(STANDARD, "type(value: any) -> string", ("type(`1`)", None, "number"))
def type_(run: Run, value: JSON) -> JSON:
    """The name of a value's type: null, boolean, number, string, array or object."""
    return type_name(value)


@register(STANDARD, "values(object: object) -> array", ("values(object)", {"object": {"a": 1, "b": 2}}, [1, 2]))
def values(run: Run, mapping: dict[str, JSON]) -> JSON:
    """The values of an object's fields."""
    run.charge(len(mapping))
    return list(mapping.values())
