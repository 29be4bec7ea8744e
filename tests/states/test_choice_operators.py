"""The comparison operators: the recordings of AWS, and the corners that nothing records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import UNSET
from engine.query.jsonpath import path
from engine.states.choice_operators import OPERATORS, compile_comparison

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "aws-recordings" / "choice_operators"


class PlainScope:
    """What the comparisons may see besides the data."""

    input = result = error_output = UNSET

    def __init__(self) -> None:
        self.context = {"Execution": {"Id": "x"}}
        self.variables = {"known": 5}


def compare(operator: str, value: Any, operand: Any) -> bool:
    """The comparison both ways: straight from the table, and compiled."""
    entry = OPERATORS[operator]
    if entry.by_path:
        compiled = compile_comparison(path("$.v"), operator, "$.o")
    else:
        compiled = compile_comparison(path("$.v"), operator, operand)
    answer = compiled({"v": value, "o": operand}, PlainScope())
    assert entry.compare(value, operand) is answer
    return answer


def test_every_recorded_comparison_comes_out_as_on_aws() -> None:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of AWS are not beside this checkout (../shared/conformance)")
    checked, wrong = 0, []
    for file in sorted(RECORDINGS.glob("*.json")):
        case = json.loads(file.read_text(encoding="utf-8"))
        (state,) = (state for state in case["definition"]["States"].values() if state["Type"] == "Choice")
        (rule,) = state["Choices"]
        (operator,) = set(rule) - {"Variable", "Next"}
        holds = compile_comparison(path(rule["Variable"]), operator, rule[operator])(case["input"], PlainScope())
        checked += 1
        if case["expect"]["output"] != {"TestResult.$": "ConditionTrue" if holds else "ConditionFalse"}:
            wrong.append((file.name, rule, case["input"]))
    assert wrong == []
    assert checked >= 269


def test_there_are_39_operators_and_each_has_a_schema() -> None:
    assert len(OPERATORS) == 39
    for name, entry in OPERATORS.items():
        assert entry.name == name
        assert entry.operand["type"] in ("string", "number", "boolean")
        assert entry.by_path is name.endswith("Path")
    assert repr(OPERATORS["IsNull"]) == "Operator('IsNull')"


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "any\nthing", True),
        ("a*", "abc", True),
        ("a*", "ba", False),
        ("*c", "abc", True),
        ("a*c", "ac", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("*a*a*", "aba", True),
        ("*a*a*", "ab", False),
        ("log-*.txt", "log-2026.txt", True),
        ("log-*.txt", "log-2026.txt.gz", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"a\\*", r"a\bc", True),
        (r"a\b", r"a\b", True),
        ("a.c", "abc", False),
        ("a*", 5, False),
        ("*", None, False),
    ],
)
def test_string_matches_knows_only_the_asterisk(pattern: str, text: Any, holds: bool) -> None:
    assert compare("StringMatches", text, pattern) is holds


@pytest.mark.parametrize(
    ("value", "is_timestamp"),
    [
        ("2016-03-14T01:59:00Z", True),
        ("2016-03-14T01:59:00.123456789Z", True),
        ("2016-03-14T01:59:00+02:00", True),
        ("2016-03-14T01:59:00-11:30", True),
        ("2016-03-14T01:59:00", False),
        ("2016-03-14 01:59:00Z", False),
        ("2016-03-14t01:59:00Z", False),
        ("2016-03-14T01:59:00z", False),
        ("2016-03-14", False),
        ("2016-13-14T01:59:00Z", False),
        ("2016-03-14T25:59:00Z", False),
        ("", False),
        (1457920740, False),
        (None, False),
    ],
)
def test_a_timestamp_is_rfc_3339_with_capital_letters_and_a_zone(value: Any, is_timestamp: bool) -> None:
    assert compare("IsTimestamp", value, True) is is_timestamp
    assert compare("IsTimestamp", value, False) is not is_timestamp
    assert compare("TimestampGreaterThan", value, "1970-01-01T00:00:00Z") is is_timestamp


@pytest.mark.parametrize(
    ("operator", "value", "operand", "holds"),
    [
        ("TimestampEquals", "2026-05-04T12:00:00+02:00", "2026-05-04T10:00:00Z", True),
        ("TimestampEquals", "2026-05-04T10:00:00.500Z", "2026-05-04T10:00:00.5Z", True),
        ("TimestampLessThan", "2026-05-04T10:00:00.123456788Z", "2026-05-04T10:00:00.123456789Z", True),
        ("TimestampLessThan", "2026-05-04T10:00:00.9Z", "2026-05-04T10:00:01Z", True),
        ("TimestampGreaterThanEquals", "2026-05-04T10:00:00.10Z", "2026-05-04T10:00:00.1Z", True),
        ("TimestampGreaterThan", "2026-05-04T10:00:00.12Z", "2026-05-04T10:00:00.1Z", True),
        ("TimestampEqualsPath", "2026-05-04T10:00:00Z", "not a timestamp", False),
        ("StringLessThan", "a", "b", True),
        ("StringLessThan", "Z", "a", True),
        ("StringGreaterThan", "\uffff", "\U0001f695", True),
        ("StringGreaterThanEqualsPath", "b", "b", True),
        ("StringEqualsPath", "5", 5, False),
        ("StringEquals", "e\u0301", "\xe9", False),
        ("NumericEquals", 1, 1.0, True),
        ("NumericEquals", "1", 1, False),
        ("NumericLessThanPath", 1, True, False),
        ("NumericLessThan", -1, -0.5, True),
        ("NumericEquals", 9007199254740993, 9007199254740992, False),
        ("NumericLessThanEquals", 2, 2, True),
        ("BooleanEquals", True, True, True),
        ("BooleanEquals", 1, True, False),
        ("BooleanEqualsPath", True, "true", False),
        ("IsNull", None, True, True),
        ("IsNull", None, False, False),
        ("IsNumeric", True, True, False),
        ("IsPresent", None, True, True),
        ("IsPresent", None, False, False),
    ],
)
def test_comparisons_that_nothing_records(operator: str, value: Any, operand: Any, holds: bool) -> None:
    assert compare(operator, value, operand) is holds


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "IsPresent"])
def test_a_missing_variable_fails_the_state(operator: str) -> None:
    operand = {"string": "2026-05-04T10:00:00Z", "number": 1, "boolean": True}[OPERATORS[operator].operand["type"]]
    evaluate = compile_comparison(path("$.no"), operator, "$.v" if operator.endswith("Path") else operand)
    with pytest.raises(ExecutionFailure) as failed:
        evaluate({"v": 1}, PlainScope())
    assert (failed.value.error, failed.value.cause) == (
        "States.Runtime",
        "Invalid path '$.no': The choice state's condition path references an invalid value.",
    )


def test_a_missing_operand_fails_the_state_too() -> None:
    with pytest.raises(ExecutionFailure, match=r"Invalid path '\$\.no\.where'"):
        compile_comparison(path("$.v"), "NumericEqualsPath", "$.no.where")({"v": 1}, PlainScope())


@pytest.mark.parametrize("variable", ["$.no", "$.v.no", "$.v[0]", "$$.Execution.No", "$unknown", "$known.no"])
def test_is_present_answers_for_what_is_missing(variable: str) -> None:
    assert compile_comparison(path(variable), "IsPresent", False)({"v": 1}, PlainScope()) is True
    assert compile_comparison(path(variable), "IsPresent", True)({"v": 1}, PlainScope()) is False


@pytest.mark.parametrize("variable", ["$.v", "$", "$$.Execution.Id", "$known"])
def test_is_present_answers_for_what_is_there(variable: str) -> None:
    assert compile_comparison(path(variable), "IsPresent", True)({"v": None}, PlainScope()) is True
    assert compile_comparison(path(variable), "IsPresent", False)({"v": None}, PlainScope()) is False


@pytest.mark.parametrize(
    ("operator", "operand", "message"),
    [
        ("StringEquals", 5, "StringEquals takes a string, not a value of type number"),
        ("StringMatches", None, "StringMatches takes a string, not a value of type null"),
        ("NumericEquals", "5", "NumericEquals takes a number, not a value of type string"),
        ("NumericEquals", True, "NumericEquals takes a number, not a value of type boolean"),
        ("BooleanEquals", "true", "BooleanEquals takes a boolean, not a value of type string"),
        ("IsNull", "yes", "IsNull takes a boolean, not a value of type string"),
        ("TimestampEquals", "2026-05-04", "String does not match RFC3339 timestamp"),
        ("TimestampEquals", 5, "TimestampEquals takes a string, not a value of type number"),
        ("StringEqualsPath", 5, "StringEqualsPath takes a string, not a value of type number"),
        ("StringEqualsPath", "$.a[*]", "Value is not a Reference Path"),
        ("StringEqualsPath", "a", "A path starts with $"),
    ],
)
def test_a_wrong_operand_is_an_author_s_mistake(operator: str, operand: Any, message: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_comparison(path("$.v"), operator, operand)
    assert caught.value.message == message
