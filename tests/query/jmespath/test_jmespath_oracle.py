"""Random expressions mean the same here as in the jmespath package, where both give a value."""

from __future__ import annotations

from typing import Any

import jmespath
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.query.jmespath.compiler import compile_text
from engine.query.jmespath.evaluation import EvaluationError
from engine.values import equal
from tests.query.jmespath.scope import FakeScope

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 2.0, "", "x", "yy"]))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=12,
)
LITERALS = st.sampled_from(["`1`", "`-2`", "`0.5`", "`true`", "`null`", "'x'", "`[1, 2]`", '`{"a": 1}`', "`[]`", "''"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, inner)
    calls = ["abs", "avg", "ceil", "floor", "keys", "values", "length", "max", "min", "sort", "sum", "to_array"]
    calls += ["to_number", "type", "reverse", "not_null"]
    return st.one_of(
        pairs.map(lambda p: f"({p[0]}).a | {p[1]}"),
        pairs.flatmap(
            lambda p: st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "&&", "||"]).map(
                lambda o: f"({p[0]} {o} {p[1]})"
            )
        ),
        inner.map(lambda e: f"!({e})"),
        pairs.map(lambda p: f"[{p[0]}, {p[1]}]"),
        pairs.map(lambda p: f"{{k: {p[0]}, m: {p[1]}}}"),
        pairs.map(lambda p: f"({p[0]})[?{p[1]}]"),
        pairs.map(lambda p: f"({p[0]})[*].[{p[1]}]"),
        pairs.map(lambda p: f"map(&{p[1]}, {p[0]})"),
        pairs.map(lambda p: f"sort_by({p[0]}, &{p[1]})"),
        pairs.map(lambda p: f"max_by({p[0]}, &{p[1]})"),
        pairs.map(lambda p: f"contains({p[0]}, {p[1]})"),
        pairs.map(lambda p: f"merge({p[0]}, {p[1]})"),
        st.tuples(
            inner, st.sampled_from(["[*]", "[]", ".*", "[0]", "[-1]", "[1:]", "[::-1]", "[*].a", "[].b", ".a", ".b.c"])
        ).map(lambda p: f"({p[0]}){p[1]}"),
        st.tuples(st.sampled_from(calls), inner).map(lambda p: f"{p[0]}({p[1]})"),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, st.just("@"), LITERALS), combined, max_leaves=6)


def theirs(text: str, data: Any) -> tuple[bool, Any]:
    try:
        return True, jmespath.search(text, data)
    except Exception:  # the package leaks TypeErrors besides its own errors
        return False, None


def ours(text: str, data: dict[str, Any]) -> tuple[bool, Any]:
    # "v | …" makes the data the current value, as it is for the package; the scope would have `states` as well.
    try:
        return True, compile_text(f"v | {text}").evaluate(FakeScope(variables={"v": data}))
    except EvaluationError:
        return False, None


@settings(max_examples=600, deadline=None, derandomize=True)
@given(EXPRESSIONS, st.dictionaries(NAMES, VALUES, max_size=3))
def test_an_expression_means_what_it_means_elsewhere(text: str, data: dict[str, Any]) -> None:
    good, expected = theirs(text, data)
    fine, found = ours(text, data)
    if fine and good:
        assert equal(found, expected), (text, data, found, expected)
    elif fine is not good:
        # Only ours: strings are not ordered. Only theirs fails: TypeErrors that the specification does not ask for.
        assert any(sign in text for sign in ("<", ">")) or "contains" in text, (text, data, found, expected)
