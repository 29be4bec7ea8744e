"""JMESPath as a query language: delimiters, templates, scope, references, causes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import TemplateSyntaxError, language
from engine.query.jmespath import LANGUAGE
from tests.query.jmespath.scope import FakeScope

SCOPE = FakeScope(
    input={"a": {"b": 3}, "items": [{"n": 1}, {"n": 2}]},
    result={"ok": True},
    context={"Execution": {"Id": "x"}},
    variables={"limit": 1},
)


def value(text: str, scope: FakeScope = SCOPE) -> Any:
    return LANGUAGE.expression(text, "Output").evaluate(None, scope)


def test_the_language_is_found_by_its_name() -> None:
    assert language("JMESPath") is LANGUAGE
    assert (LANGUAGE.name, LANGUAGE.exportable) == ("JMESPath", False)


def test_jmespath_is_imported_only_with_the_language() -> None:
    code = "import engine.query, sys; assert 'jmespath' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% states.input.a.b %}", True),
        ("{%limit%}", True),
        (" \n{% limit %}\t", True),
        ("{%%}", True),
        ("{%}", False),
        ("{% open", False),
        ("limit", False),
        ("say {% limit %}", False),
        ("", False),
        (5, False),
        (None, False),
        (["{% limit %}"], False),
    ],
)
def test_an_expression_is_a_whole_string_between_delimiters(text: Any, expected: bool) -> None:
    assert LANGUAGE.is_expression(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% states.input.a.b %}", 3),
        ("{% states.result.ok %}", True),
        ("{% states.context.Execution.Id %}", "x"),
        ("{% states.errorOutput.Error %}", None),
        ("{% states.errorOutput %}", None),
        ("{% limit %}", 1),
        ("{% states.input.items[?n > $.limit] %}", [{"n": 2}]),
        ("{% states.input.items[?n > $.states.result.ok] %}", []),
        ("{% keys(states) %}", ["input", "result", "context"]),
        ("{% keys($) %}", ["limit", "states"]),
        ("{% length(@) == length($) %}", True),
        ("{% states.input.items[*].n | sum(@) %}", 3),
    ],
)
def test_the_scope_is_one_object(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_states_alone_is_an_object_without_what_does_not_exist() -> None:
    assert value("{% states %}", FakeScope(input=1)) == {"input": 1, "context": None}
    failed = FakeScope(error_output={"Error": "E", "Cause": "c"})
    assert value("{% states.errorOutput.Error %}", failed) == "E"
    assert value("{% states.result %}", failed) is None


def test_the_whole_scope_is_states_and_variables() -> None:
    assert value("{% $ %}", FakeScope(input=1, variables={"x": 2})) == {
        "x": 2,
        "states": {"input": 1, "context": None},
    }


def test_what_is_read_is_shared_and_not_copied() -> None:
    assert value("{% states.input %}") is SCOPE.input
    assert value("{% {a: states.input.a} %}")["a"] is SCOPE.input["a"]


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("{% states.input.a.b %}", {"states.input.a.b"}),
        ("{% items[0].id || limit %}", {"items[0].id", "limit"}),
        ("{% rides[?price > $.limit].id %}", {"rides", "limit"}),
        ("{% $ %}", {"$"}),
        ("{% `1` %}", set()),
        ("{% map(&id, rides) %}", {"rides"}),
    ],
)
def test_references_name_what_is_read_from_the_scope(text: str, references: set[str]) -> None:
    assert LANGUAGE.expression(text, "Output").references == references


def test_a_mistake_is_placed_in_the_whole_string() -> None:
    text = "  {%  a ++ b %}"
    with pytest.raises(ExpressionSyntaxError) as caught:
        LANGUAGE.expression(text, "Output")
    assert text[caught.value.offset :] == "++ b %}"


def test_a_text_without_delimiters_is_refused() -> None:
    with pytest.raises(ExpressionSyntaxError, match="stands between"):
        LANGUAGE.expression("limit", "Output")


def test_a_failure_names_expression_field_and_reason() -> None:
    with pytest.raises(ExecutionFailure) as caught:
        value("{% add(states.input.a, `1`) %}")
    failure = caught.value
    assert failure.error == "States.QueryEvaluationError"
    assert failure.cause == (
        "The JMESPath expression 'add(states.input.a, `1`)' specified for the field 'Output' threw an error during "
        "evaluation. add(): the argument 'a' must be of type number, not object."
    )
    assert (failure.kind, failure.location, failure.explain) == ("evaluation", "Output", True)


def test_a_template_evaluates_expressions_at_any_depth_and_shares_the_rest() -> None:
    literal = {"kept": [1, 2]}
    template = LANGUAGE.template(
        {"a": "{% limit %}", "deep": [{"b": " {% states.input.a.b %} "}, 5], "c": literal}, "Output"
    )
    made = template.evaluate(None, SCOPE)
    assert made == {"a": 1, "deep": [{"b": 3}, 5], "c": literal}
    assert made["c"] is literal
    assert list(made) == ["a", "deep", "c"]
    assert template.references == {"limit", "states.input.a.b"}


def test_a_template_without_expressions_is_a_constant() -> None:
    literal = {"a": ["{% open", "say {% x %}", None, 1.5]}
    template = LANGUAGE.template(literal, "Output")
    assert template.evaluate(None, SCOPE) is literal
    assert template.references == frozenset()


def test_a_template_may_be_one_expression() -> None:
    assert LANGUAGE.template("{% limit %}", "Output").evaluate(None, SCOPE) == 1


def test_a_template_reports_all_its_mistakes() -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        LANGUAGE.template({"a": ["{% limit %}", "{% f(x) %}"], "b": {"c": "{% a b %}"}}, "Output")
    found = [(issue.pointer, issue.mistake.message, issue.mistake.offset) for issue in caught.value.issues]
    assert found == [(("a", 1), "there is no function f()", 3), (("b", "c"), "'b' is not expected here", 5)]


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({"result": "{% divide(`1`, `0`) %}"}, "Output/result"),
        ({"list": [1, {"x": "{% divide(`1`, `0`) %}"}]}, "Output/list[1]/x"),
        ("{% divide(`1`, `0`) %}", "Output"),
    ],
)
def test_a_failure_in_a_template_names_the_place(template: Any, field: str) -> None:
    with pytest.raises(ExecutionFailure) as caught:
        LANGUAGE.template(template, "Output").evaluate(None, SCOPE)
    assert caught.value.location == field
    assert f"specified for the field '{field}' threw an error" in str(caught.value.cause)
