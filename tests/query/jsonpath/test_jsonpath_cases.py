"""The behaviour of paths, calls, templates and references, as written down in cases/*.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import NoMatch, TemplateSyntaxError, language
from engine.query.jsonpath import INTRINSICS, LANGUAGE, expression, path, reference_path, template

CASES = Path(__file__).parent / "cases"


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
    return [pytest.param(case, id=str(next(iter(case.values())))[:60]) for case in found]


def call(text: str) -> Any:
    return template({"a.$": text}, "Parameters")


@pytest.mark.parametrize("case", cases("paths"))
def test_a_path_finds_what_the_case_says(case, make_scope) -> None:
    compiled = path(case["path"])
    scope = make_scope(context=case.get("context", {}), variables=case.get("variables", {}))
    if "missing" in case:
        with pytest.raises(NoMatch) as caught:
            compiled.evaluate(case.get("data"), scope)
        assert str(caught.value) == case["missing"]
    else:
        found = compiled.evaluate(case.get("data"), scope)
        assert json.dumps(found) == json.dumps(case["value"])
    if "definite" in case:
        assert compiled.definite is case["definite"]
        assert compiled.steps == (None if case["steps"] is None else tuple(case["steps"]))


@pytest.mark.parametrize("case", cases("syntax"))
def test_a_mistake_in_a_path_is_reported_at_its_place(case) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        path(case["path"])
    assert (caught.value.message, caught.value.offset) == (case["says"], case["at"])
    assert case.get("hint", "") in (caught.value.hint or "")


@pytest.mark.parametrize("case", cases("calls"))
def test_a_call_answers_what_the_case_says(case, make_scope) -> None:
    scope = make_scope(context={"a": 2}, variables={"v": [3]})
    if "at" in case:
        with pytest.raises(TemplateSyntaxError) as caught:
            call(case["call"])
        (issue,) = caught.value.issues
        assert (
            issue.mistake.message
            == "The value for the field 'a.$' must be a valid JSONPath or a valid intrinsic function call"
        )
        assert (issue.mistake.hint.startswith(case["says"]), issue.mistake.offset) == (True, case["at"]), (
            issue.mistake.hint
        )
        assert case.get("hint", "") in issue.mistake.hint
    elif "error" in case:
        with pytest.raises(ExecutionFailure) as failed:
            call(case["call"]).evaluate(case.get("input"), scope)
        said = f"The function '{case.get('of', case['call'])}' had the following error: {case['cause']}"
        assert (failed.value.error, failed.value.cause) == (case["error"], said)
    else:
        found = call(case["call"]).evaluate(case.get("input"), scope)["a"]
        assert json.dumps(found) == json.dumps(case["result"])


@pytest.mark.parametrize("case", cases("templates"))
def test_a_template_is_filled_as_the_case_says(case, make_scope) -> None:
    scope = make_scope(context={"Id": "exec"}, variables={"v": 7})
    if "issues" in case:
        with pytest.raises(TemplateSyntaxError) as caught:
            template(case["template"], "Parameters")
        assert [[list(issue.pointer), issue.mistake.offset] for issue in caught.value.issues] == case["issues"]
        return
    build = template(case["template"], "Parameters").evaluate
    if "cause" in case:
        with pytest.raises(ExecutionFailure) as failed:
            build(case["input"], scope)
        assert (failed.value.error, failed.value.cause) == ("States.Runtime", case["cause"])
    else:
        assert json.dumps(build(case.get("input"), scope)) == json.dumps(case["result"])


@pytest.mark.parametrize("case", cases("references"))
def test_a_result_is_put_where_the_case_says(case) -> None:
    if "invalid" in case:
        with pytest.raises(ExpressionSyntaxError):
            reference_path(case["path"])
        return
    before = json.dumps(case["document"])
    place = reference_path(case["path"])
    if "conflict" in case:
        with pytest.raises(ExecutionFailure) as failed:
            place.put(case["document"], 9)
        assert (failed.value.error, failed.value.cause) == ("States.ResultPathMatchFailure", case["conflict"])
    else:
        assert json.dumps(place.put(case["document"], 9)) == json.dumps(case["result"])
    assert json.dumps(case["document"]) == before


@pytest.mark.parametrize("case", cases("fields"))
def test_a_path_field_answers_in_the_words_of_its_field(case, make_scope) -> None:
    if "invalid" in case:
        with pytest.raises(ExpressionSyntaxError) as caught:
            expression(case["text"], case["field"])
        assert caught.value.message == case["invalid"]
        return
    evaluate = expression(case["text"], case["field"]).evaluate
    scope = make_scope(context={"Execution": {"Input": [7]}})
    if "no_match" in case:
        with pytest.raises(NoMatch):
            evaluate(case["input"], scope)
    elif "cause" in case:
        with pytest.raises(ExecutionFailure) as failed:
            evaluate(case["input"], scope)
        assert (failed.value.error, failed.value.cause) == ("States.Runtime", case["cause"])
    else:
        assert evaluate(case["input"], scope) == case["result"]


def test_the_language_is_found_by_its_name() -> None:
    assert language("JSONPath") is LANGUAGE
    assert (LANGUAGE.name, LANGUAGE.exportable) == ("JSONPath", True)
    assert LANGUAGE.path("$.a") is path("$.a")
    assert LANGUAGE.reference_path("$.a") is reference_path("$.a")
    assert LANGUAGE.expression("$.a", "InputPath") is expression("$.a", "InputPath")
    assert LANGUAGE.template(1, "Parameters").evaluate(None, None) == 1
    assert repr(reference_path("$.a")) == "ReferencePath('$.a')"


@pytest.mark.parametrize(
    ("value", "answer"), [("$.a", True), ("$$", True), ("States.UUID()", True), ("text", False), (5, False)]
)
def test_expressions_are_told_from_literals(value, answer) -> None:
    assert LANGUAGE.is_expression(value) is answer


def test_what_an_expression_reads_is_known() -> None:
    assert path("$.a[?(@.x == $.b.c)].d").references == {"$.a[?(@.x == $.b.c)].d", "$.b.c"}
    built = template({"a.$": "$.x", "b": [{"c.$": "States.Format('{}{}', $$.Id, States.ArrayLength($v.l))"}]}, "Assign")
    assert built.references == {"$.x", "$$.Id", "$v.l"}


def test_a_template_without_expressions_is_one_shared_constant() -> None:
    value = {"a": [1, {"b": 2}]}
    built = template(value, "Parameters")
    assert built.evaluate(None, None) is value
    assert built.references == frozenset()


def test_constants_inside_a_template_are_shared(make_scope) -> None:
    value = {"a": {"big": [1]}, "b.$": "$"}
    assert template(value, "Parameters").evaluate(5, make_scope())["a"] is value["a"]


def test_putting_a_result_copies_along_the_path_only() -> None:
    document = {"a": {"b": {}}, "c": {}}
    after = reference_path("$.a.x").put(document, 1)
    assert after["c"] is document["c"]
    assert after["a"]["b"] is document["a"]["b"]
    assert after["a"] is not document["a"]


def test_texts_and_paths_are_bounded() -> None:
    for text in ("$." + "a" * 10_000, "$" + ".a" * 201, "$[?(" + "(" * 30 + "@.a" + ")" * 30 + ")]"):
        with pytest.raises(ExpressionSyntaxError):
            path(text)
    with pytest.raises(ExpressionSyntaxError):
        path("$[?(@.a =~ /" + "a" * 501 + "/)]")
    for text in ("States.Array('" + "a" * 10_000 + "')", "States.Array(" * 11 + ")" * 11):
        with pytest.raises(TemplateSyntaxError):
            call(text)


def test_templates_are_bounded_in_depth() -> None:
    value: Any = "$.a"
    for _ in range(300):
        value = [value]
    with pytest.raises(TemplateSyntaxError):
        template(value, "Parameters")


def test_scans_that_multiply_are_stopped(monkeypatch) -> None:
    document: Any = 1
    for _ in range(200):
        document = {"a": document, "b": [1, 2]}
    with pytest.raises(ExecutionFailure) as failed:
        path("$..*..*..*..nothing").evaluate(document, None)
    assert failed.value.error == "States.Runtime"


def test_documents_of_any_depth_are_scanned() -> None:
    document: Any = {"leaf": 1}
    for _ in range(50_000):
        document = [document]
    assert path("$..leaf").evaluate(document, None) == [1]
    with pytest.raises(NoMatch, match="not found in path"):
        path("$.a").evaluate(document, None)


def test_a_value_too_deep_to_be_written_does_not_hide_the_failure(make_scope) -> None:
    document: Any = {"a": 1}
    for _ in range(50_000):
        document = {"x": document}
    with pytest.raises(NoMatch, match="Current context is: …"):
        path("$[0]").evaluate(document, None)
    with pytest.raises(ExecutionFailure) as failed:
        call("States.JsonToString($)").evaluate(document, make_scope())
    assert failed.value.error == "States.IntrinsicFailure"


def test_chance_comes_from_the_scope_alone(make_scope) -> None:
    build = call("States.Array(States.UUID(), States.UUID(), States.MathRandom(0, 1000000))").evaluate
    first, again = build(None, make_scope()), build(None, make_scope())
    assert first == again
    assert first["a"][0] != first["a"][1]
    assert first["a"][0][14] == "4"


def test_a_seeded_random_number_is_always_the_same(make_scope) -> None:
    build = call("States.MathRandom(0, 1000000, 7)").evaluate
    scope = make_scope()
    assert build(None, scope) == build(None, scope)


def test_long_texts_are_refused_by_the_functions_that_limit_them(make_scope) -> None:
    for name, rest in (("Base64Encode", ""), ("Base64Decode", ""), ("Hash", ", 'MD5'")):
        with pytest.raises(ExecutionFailure) as failed:
            call(f"States.{name}($.t{rest})".replace("$.t", "$")).evaluate("a" * 10_001, make_scope())
        assert failed.value.cause.endswith("the text must not be longer than 10000 characters")


def test_half_a_surrogate_pair_is_refused(make_scope) -> None:
    with pytest.raises(ExecutionFailure) as failed:
        call("States.Base64Encode($)").evaluate("\ud800", make_scope())
    assert failed.value.error == "States.IntrinsicFailure"


def test_a_json_text_nested_too_deeply_is_refused(make_scope) -> None:
    for depth in (250, 100_000):
        with pytest.raises(ExecutionFailure) as failed:
            call("States.StringToJson($)").evaluate("[" * depth + "]" * depth, make_scope())
        assert failed.value.error == "States.IntrinsicFailure"


@pytest.mark.parametrize("name", sorted(INTRINSICS))
def test_every_function_has_a_docstring_and_an_example_that_runs(name, make_scope) -> None:
    entry = INTRINSICS[name]
    assert entry.doc
    assert entry.example.expression.startswith(f"{name}(")
    assert call(entry.example.expression).evaluate(entry.example.input, make_scope())["a"] == entry.example.result


def test_all_eighteen_functions_are_there() -> None:
    assert len(INTRINSICS) == 18
