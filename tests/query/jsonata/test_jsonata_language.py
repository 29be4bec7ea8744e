"""JSONata as a query language: delimiters, templates, what is read, references, causes, libraries."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import engine.query
from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import TemplateSyntaxError, language
from engine.query.jsonata import LANGUAGE, JSONata, fallback
from engine.query.jsonata.compiler import MAX_LENGTH
from engine.query.jsonata.program import MAX_ITEMS
from tests.query.jsonata.scope import FakeScope

BOTH = pytest.mark.parametrize("spoken", [LANGUAGE, fallback.LANGUAGE], ids=["jlens", "jsonata2py"])


def scope() -> FakeScope:
    return FakeScope(
        input={"a": {"b": 3}, "items": [{"n": 1}, {"n": 2}]},
        result={"ok": True},
        context={"Execution": {"Id": "x"}},
        variables={"limit": 1},
    )


def value(text: str, seen: FakeScope | None = None, spoken: JSONata = LANGUAGE) -> Any:
    return spoken.expression(text, "Output").evaluate(None, seen or scope())


def failure(text: str, seen: FakeScope | None = None) -> ExecutionFailure:
    with pytest.raises(ExecutionFailure) as caught:
        value(text, seen)
    return caught.value


# -- delimiters and templates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% $states.input.a.b %}", True),
        ("{%$limit%}", True),
        ("{%%}", True),
        ("{%\n $limit\n%}", True),
        (" {% states.input %} ", False),
        ("{%}", False),
        ("{% open", False),
        ("$limit", False),
        ("say {% $limit %}", False),
        ("", False),
        (5, False),
        (None, False),
        (["{% $limit %}"], False),
    ],
)
def test_an_expression_is_a_whole_string_between_delimiters(text: Any, expected: bool) -> None:
    assert LANGUAGE.is_expression(text) is expected


def test_a_text_without_delimiters_is_refused() -> None:
    with pytest.raises(ExpressionSyntaxError, match="stands between"):
        LANGUAGE.expression(" {% 1 %}", "Output")


def test_a_template_evaluates_expressions_at_any_depth_and_shares_the_rest() -> None:
    literal = {"kept": [1, 2]}
    template = LANGUAGE.template(
        {"a": "{% $limit %}", "deep": [{"b": "{% $states.input.a.b %}"}, 5], "c": literal}, "Output"
    )
    made = template.evaluate(None, scope())
    assert made == {"a": 1, "deep": [{"b": 3}, 5], "c": literal}
    assert made["c"] is literal
    assert list(made) == ["a", "deep", "c"]
    assert template.references == {"$limit", "states.input.a.b"}


def test_a_template_without_expressions_is_a_constant() -> None:
    literal = {"a": ["{% open", "say {% x %}", " {% x %} ", None, 1.5]}
    template = LANGUAGE.template(literal, "Output")
    assert template.evaluate(None, scope()) is literal
    assert template.references == frozenset()
    assert template.source == '{"a":["{% open","say {% x %}"," {% x %} ",null,1.5]}'


def test_a_template_may_be_one_expression() -> None:
    template = LANGUAGE.template("{% $limit + 1 %}", "Items")
    assert template.evaluate(None, scope()) == 2
    assert template.source == "$limit + 1"


def test_a_template_reports_all_its_mistakes() -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        LANGUAGE.template({"a": ["{% $limit %}", "{%  phone %}"], "b": {"c": "{% 1 + %}"}}, "Output")
    assert [(issue.pointer, issue.mistake.message, issue.mistake.offset) for issue in caught.value.issues] == [
        (("a", 1), "Reference to 'phone' at the top level is not supported.", 4),
        (("b", "c"), "Unexpected end of expression", 6),
    ]


def test_a_mistake_is_placed_in_the_whole_string() -> None:
    text = "{%  $a $b %}"
    with pytest.raises(ExpressionSyntaxError) as caught:
        LANGUAGE.expression(text, "Output")
    assert text[caught.value.offset :] == "$b %}"


# -- what is read --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% $states.input.a.b %}", 3),
        ("{% $states.result.ok %}", True),
        ("{% $states.context.Execution.Id %}", "x"),
        ("{% $states %}", ["input", "context", "result"]),
        ("{% $limit %}", 1),
    ],
)
def test_the_scope_is_states_and_the_variables(spoken: JSONata, text: str, expected: Any) -> None:
    found = value(text, spoken=spoken)
    assert (list(found) if isinstance(found, dict) else found) == expected


@BOTH
def test_a_catcher_sees_the_error(spoken: JSONata) -> None:
    seen = FakeScope(error_output={"Error": "E", "Cause": "c"})
    assert value("{% $states.errorOutput.Error %}", seen, spoken) == "E"
    assert value("{% $keys($states) %}", seen, spoken) == ["input", "context", "errorOutput"]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("{% $states.input.a.b %}", set()),
        ("{% $sum($states.input.items.n) %}", {"variables"}),  # a variable may hide a function
        ("{% $states.input.a.b + 1 %}", set()),
        ("{% $limit + 1 %}", {"variables"}),
        ("{% $states.context.Execution.Id & '' %}", {"context"}),
        ("{% $states %}", {"context"}),
        ("{% 'constant' %}", set()),
        ("{% $now() %}", {"variables", "now"}),
        ("{% $uuid() %}", {"variables", "random"}),
    ],
)
def test_only_what_an_expression_reads_is_made(text: str, asked: set[str]) -> None:
    seen = scope()
    value(text, seen)
    assert set(seen.asked) == asked


def test_a_plain_path_is_shared_and_not_copied() -> None:
    seen = scope()
    assert value("{% $states.input %}", seen) is seen.input
    assert value("{% $states.input.a %}", seen) is seen.input["a"]
    assert value("{% $states.result %}", seen) is seen.result


def test_a_constant_is_made_once() -> None:
    expression = LANGUAGE.expression("{% {'a': [1, 'b']} %}", "Output")
    assert expression.evaluate(None, scope()) == {"a": [1, "b"]}
    assert expression.evaluate(None, scope()) is expression.evaluate(None, scope())


def test_a_constant_without_a_value_fails_when_it_runs() -> None:
    expression = LANGUAGE.expression("{% 'a' + 1 %}", "Output")
    for _ in range(2):
        with pytest.raises(ExecutionFailure, match="T2001"):
            expression.evaluate(None, scope())


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("{% $states.input.a.b %}", {"states.input.a.b"}),
        ("{% $states.input.items[n > $limit].n %}", {"states.input.items.n", "$limit"}),
        ("{% $order.id & $states.result.ok %}", {"$order.id", "states.result.ok"}),
        ("{% $count($states.result) %}", {"states.result"}),
        ("{% ($x := $limit; $map($items, function($v) { $v.a + $x })) %}", {"$limit", "$items.a"}),
        ("{% $hash($uuid(), 'MD5') & $now() %}", set()),
        ("{% $states %}", {"states"}),
        ("{% 1 %}", set()),
    ],
)
def test_references_name_what_is_read_from_the_scope(text: str, references: set[str]) -> None:
    assert LANGUAGE.expression(text, "Output").references == references


def test_the_fallback_tells_only_that_states_is_read() -> None:
    assert fallback.LANGUAGE.expression("{% $order.id & $states.result & $now() %}", "Output").references == {"states"}
    assert fallback.LANGUAGE.expression("{% $order.id %}", "Output").references == frozenset()


# -- chance and time -----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("text", ["$random()", "$uuid()", "$shuffle([1..50])", "[$random(), $uuid()]", "$random(7)"])
def test_chance_comes_from_the_scope_alone(spoken: JSONata, text: str) -> None:
    expression = spoken.expression("{% " + text + " %}", "Output")
    assert expression.evaluate(None, FakeScope(seed=1)) == expression.evaluate(None, FakeScope(seed=1))
    if "7" not in text:
        assert expression.evaluate(None, FakeScope(seed=1)) != expression.evaluate(None, FakeScope(seed=2))


@BOTH
def test_what_is_drawn_twice_in_a_state_differs(spoken: JSONata) -> None:
    seen = FakeScope()
    assert value("{% $uuid() %}", seen, spoken) != value("{% $uuid() %}", seen, spoken)


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failure_names_expression_field_and_reason() -> None:
    found = failure("{%  $doesNotExist\n %}")
    assert (found.error, found.cause) == (
        "States.QueryEvaluationError",
        "The JSONata expression '$doesNotExist' specified for the field 'Output' returned nothing (undefined).",
    )
    assert (found.kind, found.location, found.explain) == ("evaluation", "Output", True)


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({"result": "{% $x %}"}, "Output/result"),
        ({"list": [1, {"x": "{% $x %}"}]}, "Output/list[1]/x"),
        ("{% $x %}", "Output"),
    ],
)
def test_a_failure_in_a_template_names_the_place(template: Any, field: str) -> None:
    with pytest.raises(ExecutionFailure) as caught:
        LANGUAGE.template(template, "Output").evaluate(None, scope())
    assert caught.value.location == field
    assert f"specified for the field '{field}' returned nothing" in str(caught.value.cause)


def test_a_value_that_the_library_cannot_take_is_a_failure() -> None:
    deep: Any = 1
    for _ in range(2_000):
        deep = [deep]
    for broken in (deep, 10**400, {1: 2}):
        found = failure("{% [$x] %}", FakeScope(variables={"x": broken}))
        assert "threw an error during evaluation. U100" in str(found.cause)


def test_a_lone_surrogate_is_refused_in_a_text_and_replaced_in_data() -> None:
    with pytest.raises(ExpressionSyntaxError):
        LANGUAGE.expression("{% '\ud800' %}", "Output")
    assert value("{% $x & '' %}", FakeScope(variables={"x": "\ud800"})) == "\ufffd"


def test_long_and_deep_expressions_are_refused() -> None:
    for text in ("$x" + " " * 10 + "+1" * MAX_LENGTH, "[" * 2_000 + "]" * 2_000):
        with pytest.raises(ExpressionSyntaxError):
            LANGUAGE.expression("{%" + text + "%}", "Output")


def test_an_expression_as_deep_as_the_library_allows_compiles_or_is_refused() -> None:
    compiled, refused = 0, 0
    for depth in range(970, 1010):
        try:
            LANGUAGE.expression("{%" + "(" * depth + "$limit" + ")" * depth + "%}", "Output")
            compiled += 1
        except ExpressionSyntaxError:
            refused += 1
    assert compiled + refused == 40
    assert min(compiled, refused) > 0


def test_long_arrays_may_be_read_but_not_made() -> None:
    seen = FakeScope(input=list(range(MAX_ITEMS + 1)))
    assert value("{% $count($states.input) %}", seen) == MAX_ITEMS + 1
    assert "memory limit exceeded" in str(failure("{% $states.input[$ >= 0] %}", seen).cause)


def test_a_compiled_expression_serves_all_threads() -> None:
    expression = LANGUAGE.expression("{% $map($states.input, function($v) { $v * $by }) %}", "Output")

    def work(number: int) -> bool:
        seen = FakeScope(input=[1, 2, 3], variables={"by": number})
        return bool(expression.evaluate(None, seen) == [number, number * 2, number * 3])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


# -- libraries ---------------------------------------------------------------------------------------------------------


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_language_is_found_by_its_name() -> None:
    assert language("JSONata") is LANGUAGE
    assert (LANGUAGE.name, LANGUAGE.exportable) == ("JSONata", True)


def test_no_library_is_loaded_before_the_language_is_used() -> None:
    code = (
        "import engine.query.jsonata, sys; assert not {'jlens', 'jsonata2py'} & set(sys.modules);"
        "engine.query.jsonata.LANGUAGE; assert 'jlens' in sys.modules and 'jsonata2py' not in sys.modules; print('ok')"
    )
    assert run(code) == "ok"


@pytest.mark.parametrize(
    ("library", "remedy"),
    [("jlens", "pip install 'booking-orchestrator[jsonata]'"), ("jsonata2py", "pip install jsonata2py")],
)
def test_a_missing_library_is_reported_with_the_remedy(library: str, remedy: str) -> None:
    code = (
        f"import sys; sys.modules['{library}'] = None\n"
        f"from engine.query.jsonata import JSONata\n"
        f"try: JSONata('{library}')\n"
        "except ImportError as missing: print(missing.name, missing, sep='|')"
    )
    assert run(code) == f"{library}|JSONata needs the package {library}: {remedy}"


def test_an_adapter_that_cannot_be_imported_is_reported_as_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engine.query.jsonata.with_jlens", None)
    with pytest.raises(ImportError, match=r"JSONata needs the package jlens: pip install"):
        JSONata("jlens")


def test_a_missing_library_is_no_missing_language() -> None:
    code = (
        "import sys; sys.modules['jlens'] = None\n"
        "from engine.query import language\n"
        "try: language('JSONata')\n"
        "except ImportError as missing: print(missing.name)"
    )
    assert run(code) == "jlens"


def test_the_package_has_no_other_hidden_names() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        engine.query.jsonata.nothing  # noqa: B018


def test_the_fallback_can_stand_in_for_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.query.LANGUAGES, "JSONata", "engine.query.jsonata.fallback")
    assert language("JSONata") is fallback.LANGUAGE
    assert fallback.LANGUAGE.name == "JSONata"


@pytest.mark.parametrize("text", ["$", "[1", "$a[", "function(", "%.a", "'\\q'"])
def test_the_fallback_reports_a_text_that_is_none(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        fallback.LANGUAGE.expression("{%" + text + "%}", "Output")


def test_the_fallback_refuses_bindings_on_which_its_parser_would_never_end() -> None:
    with pytest.raises(ExpressionSyntaxError, match="third binding") as caught:
        fallback.LANGUAGE.expression("{%a@$i#$j@$k%}", "Output")
    assert caught.value.offset == 9
    assert fallback.LANGUAGE.expression("{%$a@$i#$j.b@$k%}", "Output").source == "$a@$i#$j.b@$k"
