"""What is a JSON value, and where a document stops being one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.values import MAX_DEPTH, check_json


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        "é",
        {"é": [{"b": [True, None, 1.5, "ü"]}, {}, []]},
        {"a": "é", "b": {"c": 2**70}},
        nested(MAX_DEPTH),
        {"é": nested(MAX_DEPTH - 1)},
    ],
)
def test_what_json_has_is_a_value(value: Any) -> None:
    assert check_json(value) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("\ud800", "$: half of a surrogate pair in a text"),
        ({"a": "\ud800"}, "$.a: half of a surrogate pair in a text"),
        ({"é": ["x", "\ud800"]}, "$.é[1]: half of a surrogate pair in a text"),
        ({"\ud800": 1}, "$: the key '\\ud800' is not a string of Unicode"),
        ({"a": {1: 2}}, "$.a: the key 1 is not a string of Unicode"),
        ({"a": [1, math.nan]}, "$.a[1]: nan is not a JSON number"),
        ([-math.inf], "$[0]: -inf is not a JSON number"),
        ({"a": {1, 2}}, "$.a: set is not a JSON type"),
        ((1, 2), "$: tuple is not a JSON type"),
        (nested(MAX_DEPTH + 1), f"${'[0]' * (MAX_DEPTH + 1)}: nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_json_has_not_is_named_with_its_place(value: Any, problem: str) -> None:
    assert check_json(value) == problem
