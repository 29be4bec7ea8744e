"""Hostile expressions and data end soon, with a named error."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Expression
from engine.query.jmespath import LANGUAGE
from engine.query.jmespath.evaluation import MAX_STEPS
from engine.query.jmespath.syntax import MAX_DEPTH, MAX_LENGTH
from engine.values import check_json
from tests.query.jmespath.scope import FakeScope

BIG = list(range(3000))
SCOPE = FakeScope(
    input={"list": BIG, "text": "ab" * 50_000, "words": ["x" * 100] * 1000, "huge": 10**400, "f": 1.5},
    variables={"x": {"y": [1, {"z": "text"}]}, "n": None},
)


def doubled(stage: str, times: int, start: str = "states.input.list") -> str:
    return " | ".join([start, *[stage] * times])


TOO_MANY_STEPS = {
    "a list that doubles": doubled("[@,@][]", 22),
    "a tree that doubles": doubled("[@,@]", 40),
    "a tree that doubles, as objects": doubled("{a: @, b: @}", 40),
    "a tree that doubles, compared": doubled("[@,@]", 30) + " | [@ == to_array(@), [@] == [@]]",
    "two trees that double, compared": f"({doubled('[@,@]', 28)}) == ({doubled('[@,@]', 28, 'states.input.list[0:]')})",
    "a tree that doubles, as text": doubled("[@,@]", 30) + " | to_string(@)",
    "a tree that doubles, formatted": doubled("[@,@]", 30) + " | format('{}', @)",
    "a text that doubles": doubled("join('', [@, @])", 40, "states.input.text"),
    "a text that doubles by format": doubled("format('{}{}', @, @)", 40, "states.input.text"),
    "a text that grows by replace": doubled(
        "replace(@, 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')", 20, "states.input.text"
    ),
    "a loop in a loop in a loop": "states.input.list[*].[$.states.input.list[*].[$.states.input.list[*]]]",
    "a search in a loop": "states.input.list[?one_of(`-1`, $.states.input.list)]",
    "a search for text in a loop": "states.input.list[?contains($.states.input.text, 'z')]",
    "sorting in a loop": "states.input.list[*].sort($.states.input.list)",
    "mapping in a loop": "map(&map(&add(@, `1`), $.states.input.list), states.input.list)",
    "a difference of long lists": "without(states.input.list, reverse(states.input.list))",
    "checking elements in a loop": "states.input.list[*].max($.states.input.list)",
    "keys in a loop": "states.input.list[*].keys($.states.input)|[]|[]|map(&map(&[@,@], $.states.input.list), @)",
    "values of many objects": doubled("merge(@, {a: values(@), b: values(@)})", 30, "x"),
    "a copy for each item": "map(&$.states.input, states.input.list)",
    "splitting in a loop": "states.input.list[*].split($.states.input.text, '')",
    "slices in a loop": "states.input.list[*].[$.states.input.list[0:]]",
    "flattening in a loop": "states.input.list[*].[$.states.input.list[]]",
    "objects in a loop": "states.input.list[*].[map(&$.x.*, $.states.input.list)]",
}


@pytest.mark.parametrize("name", TOO_MANY_STEPS)
def test_an_expression_that_explodes_is_stopped(name: str) -> None:
    with pytest.raises(ExecutionFailure) as caught:
        LANGUAGE.expression(f"{{% {TOO_MANY_STEPS[name]} %}}", "Output").evaluate(None, SCOPE)
    assert caught.value.error == "States.QueryEvaluationError"
    assert str(caught.value.cause).endswith(f"It takes more than {MAX_STEPS:,} steps.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sum([states.input.huge, states.input.f])", "A number is too large."),
        ("avg([states.input.huge, states.input.f])", "A number is too large."),
        ("multiply(states.input.huge, states.input.huge)", "The result is too large."),
        (doubled("multiply(@, @)", 60, "`99999`"), "The result is too large."),
        ("subtract(`-1.7e308`, `1.7e308`)", "The result is not a number."),
        ("divide(states.input.huge, `3`)", "A number is too large."),
        ("add_days('2026-05-04T11:30:00Z', states.input.huge)", "The result lies outside the years 1 to 9999."),
        ("'a' < `1`", "'<' orders numbers"),
        ("contains('s', `1`)", "contains(): a string can only contain a string"),
    ],
)
def test_numbers_and_types_fail_with_a_name(text: str, reason: str) -> None:
    with pytest.raises(ExecutionFailure) as caught:
        LANGUAGE.expression(f"{{% {text} %}}", "Output").evaluate(None, SCOPE)
    assert reason in str(caught.value.cause)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * 3000 + "a" + ")" * 3000, "nested deeper"),
        ("!" * 3000 + "a", "nested deeper"),
        ("[" * 200 + "a" + "]" * 200, "nested deeper"),
        ("&&".join(["a"] * 200), "nested deeper"),
        ("a" + ".*" * 200, "nested deeper"),
        ("a" + "[]" * 200, "nested deeper"),
        ("a|" * 100 + "a", "nested deeper"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
        ("`" + "[" * 4000 + "]" * 4000 + "`", "not JSON"),
        ("[" + "9" * 5000 + "]", "not a JMESPath expression"),
    ],
)
def test_a_text_that_is_too_long_or_too_deep_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match=message):
        LANGUAGE.expression(f"{{% {text} %}}", "Output")


def test_the_deepest_expression_runs_on_a_small_stack() -> None:
    text = "|".join(["x"] + ["[@]"] * (MAX_DEPTH - 3))
    assert check_json(LANGUAGE.expression(f"{{% {text} %}}", "Output").evaluate(None, SCOPE)) is None


def test_values_nested_too_deeply_are_an_error_and_not_a_crash() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    scope = FakeScope(variables={"a": deep, "b": [deep]})
    expression = LANGUAGE.expression("{% a == b %}", "Output")
    with pytest.raises(ExecutionFailure, match="nested too deeply"):
        expression.evaluate(None, scope)
    while deep:
        deep = deep[0]


def test_long_lists_within_the_budget_are_fine() -> None:
    scope = FakeScope(input=[{"price": n % 100, "id": str(n)} for n in range(20_000)])
    text = "{% states.input[?price > `97`].{id: id, double: multiply(price, `2`)} | length(@) %}"
    assert LANGUAGE.expression(text, "Output").evaluate(None, scope) == 400


def test_one_expression_serves_many_threads() -> None:
    expression = LANGUAGE.expression("{% rows[?n == $.wanted].n | [0] %}", "Output")
    rows = [{"n": n} for n in range(200)]
    wrong: list[int] = []

    def work(wanted: int) -> None:
        scope = FakeScope(variables={"rows": rows, "wanted": wanted})
        wrong.extend(wanted for _ in range(50) if expression.evaluate(None, scope) != wanted)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


TOKENS = ["x", "y", "n", "states", "input", "list", ".", "..", "*", "[", "]", "[]", "[?", "[*", "[0]", "[1:]", "(", ")"]
TOKENS += [
    "{",
    "}",
    "a:",
    ",",
    "|",
    "||",
    "&",
    "&&",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    "@",
    "$",
    "`1`",
    '`"a"`',
    "'a'",
    '"y"',
]
TOKENS += ["add(", "length(", "map(&", "sort_by(", "if(", "format(", "not_null(", "to_string(", "keys(", "`{`", "'"]


def compiled(text: str) -> Expression | ExpressionSyntaxError:
    try:
        return LANGUAGE.expression(text, "Output")
    except ExpressionSyntaxError as refused:
        return refused


def evaluated(expression: Expression) -> Any:
    """The value, or the failure."""
    try:
        return expression.evaluate(None, SCOPE)
    except ExecutionFailure as failure:
        return failure


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.one_of(st.lists(st.sampled_from(TOKENS), max_size=14).map(" ".join), st.text(max_size=40)))
def test_any_text_compiles_or_is_refused_and_runs_or_fails(text: str) -> None:
    made = compiled("{%" + text + "%}")
    if isinstance(made, ExpressionSyntaxError):
        assert 0 <= made.offset <= len(text) + 2
        assert made.message
        return
    found = evaluated(made)
    if isinstance(found, ExecutionFailure):
        assert found.error == "States.QueryEvaluationError"
    else:
        json.dumps(found, allow_nan=False)
