"""Values are judged as jsonschema judges them, whoever looks first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine import JsonSchema

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES,
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": st.integers(-5, 5),
        "maximum": st.integers(-5, 5),
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^[A-Z]{3}$", "^[0-9]+$", "a"]),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("abc"), unique=True),
        "minProperties": st.integers(0, 2),
    },
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner),
            "additionalProperties": inner | st.booleans(),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, VALUES)
def test_a_value_fits_exactly_when_jsonschema_says_so(schema: Any, value: Any) -> None:
    exact = Draft202012Validator(schema)
    assert [error.message for error in JsonSchema(schema).iter_errors(value)] == [
        error.message for error in exact.iter_errors(value)
    ]


def _even(text: str) -> bool:
    return int(text) % 2 == 0


@pytest.mark.parametrize(
    ("value", "fits"), [("12", True), ("13", False), ("no number", False), (13, True), ("\ud800", False), (None, True)]
)
def test_a_format_of_ones_own_is_asked_about_texts_alone(value: Any, fits: bool) -> None:
    assert JsonSchema({"format": "even"}, formats={"even": _even}).accepts(value) is fits


def test_a_format_of_ones_own_counts_instead_of_the_one_of_that_name() -> None:
    schema = JsonSchema({"format": "date-time"}, formats={"date-time": lambda text: text == "now"})
    assert schema.accepts("now")
    assert not schema.accepts("2024-01-01T00:00:00Z")


def test_formats_that_nobody_asked_for_are_not_checked() -> None:
    assert JsonSchema({"format": "date"}).accepts("no date")
    assert not JsonSchema({"format": "date"}, formats={"date": None}).accepts("no date")
    assert JsonSchema({"format": "uuid"}, formats={"date": None}).accepts("no uuid")


def test_references_lead_into_documents() -> None:
    documents = {"urn:doc": {"parts": {"count": {"type": "integer"}}}}
    schema = JsonSchema({"properties": {"n": {"$ref": "urn:doc#/parts/count"}}}, documents=documents)
    assert schema.accepts({"n": 1})
    (error,) = schema.iter_errors({"n": "1"})
    assert list(error.absolute_path) == ["n"]


@pytest.mark.parametrize(
    ("value", "fits"), [("ab", True), ("ba", False), ("ab\n", False)], ids=["fits", "other", "line break"]
)
def test_a_pattern_that_only_python_knows_is_matched_by_python(value: str, fits: bool) -> None:
    assert JsonSchema({"pattern": r"^(?P<first>a)b\Z"}).accepts(value) is fits


@pytest.mark.parametrize("value", ["\ud800", {1: 2}, 10**40, object()], ids=["half a pair", "no text", "long", "alien"])
def test_what_the_quick_check_cannot_read_is_judged_by_the_exact_one(value: Any) -> None:
    for kind in ("string", "integer", "object", "null"):
        exact = Draft202012Validator({"type": kind}).is_valid(value)
        assert JsonSchema({"type": kind}).accepts(value) is exact


def test_every_value_that_does_not_fit_is_worded() -> None:
    schema = JsonSchema({"type": "integer"})
    said = [[error.message for error in schema.iter_errors(value)] for value in ("a", 1, None)]
    assert said == [["'a' is not of type 'integer'"], [], ["None is not of type 'integer'"]]
