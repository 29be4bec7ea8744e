"""What holds for any value and text: the short way means what the library means, and only failures come out."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query.jsonata import LANGUAGE, JSONata, fallback
from engine.query.jsonata.program import EvaluationError, load
from engine.query.jsonata.tokens import scan
from engine.values import equal
from tests.query.jsonata.scope import FakeScope

SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | st.sampled_from(["", "a", "b", "é"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3)
"""Objects of scalars. With arrays in arrays the fallback sometimes unwraps another level than jsonata-js."""

PATHS = st.lists(st.sampled_from("abc"), max_size=3)
PIECES = """
$states .input .a $x $y ( ) [ ] { } , ; : ? . * ** % + - / = != < and or in & ~> := .. ^ @$i #$i | ! $sum $map $string
$range $parse $uuid $now function($v) ?? ?: $ $$ 'a' "b" `c` /a+/ 1 2.5 true null a b /*c*/ λ \\ ' é
"""
PLACES = """
$x [$x] [$x,1] $count($x) $append($x,1) $x.a $x[0] {'v':$x} $x.a.b $type($x) $x[] $x.* $string($x) $x=$x
$map($x,function($i){$i}) $reverse($x) $exists($x) $x[$=1] {'v':$x[$=1]} $x.$ $keys($x)
"""

compile_program = load("jlens")


def outcome(spoken: JSONata, text: str, scope: FakeScope) -> Any:
    try:
        return spoken.expression("{%" + text + "%}", "Output").evaluate(None, scope)
    except ExecutionFailure as failure:
        return str(failure.cause)


def by_library(text: str, names: frozenset[str], values: dict[str, Any]) -> Any:
    try:
        return compile_program(text, names).evaluate(values, None, None)
    except EvaluationError as failure:
        return f"The JSONata expression '{text}' specified for the field 'Output' {failure}"


@given(VALUES, PATHS)
@example([{"a": 1}, {"a": [2]}], ["a"])
@example({"a": [[1]]}, ["a"])
@example({"a": {"b": []}}, ["a", "b"])
def test_a_plain_path_means_what_the_library_means(value: Any, path: list[str]) -> None:
    below = "".join(f".{name}" for name in path)
    found = outcome(LANGUAGE, f"$x{below}", FakeScope(variables={"x": value}))
    assert equal(found, by_library(f"$x{below}", frozenset({"x"}), {"x": value}))
    found = outcome(LANGUAGE, f"$states.input{below}", FakeScope(input=value))
    states = {"states": {"input": value}}
    assert equal(found, by_library(f"$states.input{below}", frozenset({"states"}), states))


@given(
    VALUES,
    st.sampled_from(PLACES.split()),
)
def test_the_ways_to_hand_over_variables_are_the_same(value: Any, text: str) -> None:
    program = compile_program(text, frozenset({"x"}))
    # A value that no variable of the expression has a use for makes the program take its other way.
    found = [by_either(program, values) for values in ({"x": value}, {"x": value, "unused": 1})]
    assert equal(found[0], found[1])


def by_either(program: Any, values: dict[str, Any]) -> Any:
    try:
        return program.evaluate(values, random.Random(0), None)
    except EvaluationError as failure:
        return str(failure)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([" ", *PIECES.split()]), max_size=12).map("".join) | st.text(max_size=20))
@example("$match('a', /[/]/)")
@example("'unclosed")
@example(")")
@example("a@$i#$i@$i")  # on which the fallback's parser never ends
@example("$now/a+/")  # compiles alone with the fallback, not behind what hides $now
def test_any_text_gives_a_value_a_failure_or_a_mistake(text: str) -> None:
    list(scan(text))
    offsets = []
    for spoken in (LANGUAGE, fallback.LANGUAGE):
        try:
            outcome(spoken, text, FakeScope(input={"a": [1, {"b": 2}]}, variables={"x": [3, "a"]}))
        except ExpressionSyntaxError as mistake:
            offsets.append(mistake.offset)
    assert all(0 <= offset - len("{%") <= len(text) for offset in offsets)


@given(ROWS | st.lists(ROWS, max_size=4))
def test_both_libraries_give_the_same_for_ordinary_expressions(value: Any) -> None:
    for text in ("$x.a", "$count($x)", "[$x.b]", "$x[0]", "$exists($x.c)", "$string($x)", "{'v': $x.a}"):
        scope = FakeScope(variables={"x": value})
        found = [outcome(spoken, text, scope) for spoken in (LANGUAGE, fallback.LANGUAGE)]
        assert equal(found[0], found[1]), text


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a / b", "name operator name"),
        ("$a ~> /b/i", "variable operator other name"),
        ("* * *", "other operator other"),
        ("% .a", "other operator name"),
        ("and and or", "name operator name"),
        ("`a b`.$c[1.5e3]", "name operator variable operator other operator"),
        ("/* a */ 'b' /* c */", "other"),
        ("/[/(\\/)]/ , 1", "other operator other"),
        ("(1) / 2", "operator other operator operator other"),
        ("1 ?? 2 ?: 3", "other operator other operator other"),
        ("function($x){true}", "other operator variable operator operator other operator"),
        ("/unclosed", "other"),
        ("a 'unclosed", "name"),
        ("", ""),
    ],
)
def test_a_text_is_taken_apart(text: str, kinds: str) -> None:
    assert " ".join(token.kind for token in scan(text)) == kinds
