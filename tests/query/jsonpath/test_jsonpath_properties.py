"""Whatever comes in, only the announced exceptions come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import NoMatch, TemplateSyntaxError
from engine.query.jsonpath import path, reference_path, template
from engine.query.jsonpath.java import hash_order

NAMES = st.sampled_from(["a", "b", "c d", "", "é"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.sampled_from(["a", "1", "true", "null", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
PIECES = [
    *["$", "$$", "$v", ".", "..", "*", "[", "]", "[0]", "[-1]", "[0,1]", "[1:]", "[:2]", "[(@.length-1)]", "[*]"],
    *[
        "['a']",
        "['a','b']",
        ".a",
        ".b",
        "..a",
        "[?(",
        ")]",
        "@.a",
        "@",
        "'",
        "==",
        "!=",
        "<",
        "&&",
        "||",
        "!",
        "(",
        ")",
    ],
    *["1", "'x'", "=~", "/a+/", "States.Array(", "States.Format(", "'{}'", ",", "true", "\\", "\\{", "é", " "],
]
STEPS = [
    *[".a", ".b", "['c d']", "[0]", "[1]", "[*]", ".*", "..a", "..*", "..[0]", "[0,1]", "[1:]", "[:-1]", "[-1:]"],
    *["[(@.length-1)]", "['a','b']", "[?(@.a)]", "[?(!@.a)]", "[?(@.a==1)]", "[?(@.a!=$.b)]", "[?(@<'a')]"],
    *["[?(@.a>=@.b||@[0])]", "..[?(@.a)]"],
]
PLACES = [".a", ".b", "['c d']", "[0]", "[1]"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=20)


def offsets_of_mistakes(compile_text: Callable[[str], object], text: str) -> list[int]:
    try:
        compile_text(text)
    except ExpressionSyntaxError as mistake:
        return [mistake.offset]
    except TemplateSyntaxError as mistakes:
        return [issue.mistake.offset for issue in mistakes.issues]
    return []


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_random_text_is_compiled_or_refused_at_a_place_in_it(text: str) -> None:
    for compile_text in (path, reference_path, lambda found: template({"a.$": found}, "Parameters")):
        assert all(0 <= offset <= len(text) for offset in offsets_of_mistakes(compile_text, text))


@given(st.lists(st.sampled_from(STEPS), max_size=4).map("".join), JSON)
@settings(max_examples=500, deadline=None)
def test_random_paths_find_something_or_no_match(steps: str, data: Any) -> None:
    try:
        compiled = path("$" + steps)
        found = compiled.evaluate(data, None)
    except (ExpressionSyntaxError, NoMatch):
        return
    assert compiled.definite or isinstance(found, list)


@given(st.lists(st.sampled_from(PLACES), max_size=3).map("".join), JSON, JSON)
@settings(max_examples=300, deadline=None)
def test_what_is_put_at_a_place_is_found_there(steps: str, document: Any, value: Any) -> None:
    try:
        after = reference_path("$" + steps).put(document, value)
    except ExecutionFailure:
        return
    assert path("$" + steps).evaluate(after, None) == value


@given(st.lists(st.text(max_size=5), unique=True, max_size=30))
def test_the_hash_order_loses_no_name(names: list[str]) -> None:
    assert sorted(hash_order(names)) == sorted(names)
