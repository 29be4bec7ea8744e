"""What the getters of `Fields` answer, in both kinds of language."""

from __future__ import annotations

from typing import Any

import pytest

from engine.definition.fields import ObjectFields
from engine.definition.languages import find_language
from engine.definition.reader import read_value
from engine.definition.reading import Reading, Scope
from engine.machine import Fields
from engine.query import Expression


def fields_of(value: dict[str, Any], language: str = "JSONPath", names: tuple[str, ...] = ()) -> ObjectFields:
    """Fields of a document that is nothing but this object."""
    reading = Reading(read_value(value), None, "STANDARD")
    return ObjectFields(value, (), find_language(language), Scope(reading, set(names), None, lambda *_: None))


def codes(fields: ObjectFields) -> list[tuple[str, str]]:
    return [(problem.code, problem.location) for problem in fields._scope.reading.problems]


GETTERS: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("text", {}, "a", ""),
    ("text", {"nonempty": True}, "a", None),
    ("integer", {}, 5, None),
    ("number", {}, 0.5, None),
    ("boolean", {}, False, None),
    ("one_of", {"values": ("a", "b")}, "b", None),
    ("texts", {}, ["a"], ()),
    ("literal", {}, [1], ""),
    ("raw", {}, [1], ""),
    ("state_name", {}, "S", None),
    ("integer_or_expression", {}, 7, None),
    ("text_or_expression", {}, "x", ""),
]


@pytest.mark.parametrize(("getter", "options", "good", "for_empty_text"), GETTERS)
def test_a_getter_answers_the_value_or_as_if_it_were_absent(
    getter: str, options: dict[str, Any], good: Any, for_empty_text: Any
) -> None:
    fields = fields_of({"F": good, "E": ""}, names=("S",))
    expected = tuple(good) if getter == "texts" else good
    assert getattr(fields, getter)("F", **options) == expected
    assert codes(fields) == []
    assert getattr(fields, getter)("E", **options) == for_empty_text
    assert len(codes(fields)) == (for_empty_text != "")
    assert not getattr(fields, getter)("absent", **options)


def test_an_absent_field_is_a_problem_only_where_it_is_required() -> None:
    fields = fields_of({}, "JMESPath")
    fields.text("A", required=True)
    fields.texts("B", required=True)
    fields.object("C", required=True)
    fields.objects("D", required=True)
    fields.machine("E", required=True)
    fields.machines("F")
    fields.state_name("G", required=True)
    fields.expression("H", required=True)
    assert codes(fields) == [("missing-field", "/")] * 8
    assert fields.machine("I") is None
    assert fields.expression("J") is None
    assert len(codes(fields)) == 8


def test_bounds_are_inclusive_and_booleans_are_no_numbers() -> None:
    fields = fields_of({"zero": 0, "top": 99_999_999, "over": 100_000_000, "true": True, "half": 0.5})
    assert fields.integer("zero") == 0
    assert fields.integer("top") == 99_999_999
    assert fields.integer("over", maximum=100_000_000) == 100_000_000
    assert fields.integer_or_expression("over", maximum=100_000_000) == 100_000_000
    assert codes(fields) == []
    assert fields.integer("over") is None
    assert fields.integer("true") is None
    assert fields.number("true") is None
    assert fields.integer("half") is None
    assert fields.number("half", minimum=0.6) is None
    assert codes(fields) == [
        ("out-of-range", "/over"),
        ("wrong-type", "/true"),
        ("wrong-type", "/true"),
        ("wrong-type", "/half"),
        ("out-of-range", "/half"),
    ]


def test_paths_and_expressions_are_compiled_and_remembered() -> None:
    fields = fields_of({"InputPath": "$.a", "ResultPath": "$.b", "OutputPath": None, "Parameters": {"c.$": "$.d"}})
    found = fields.path("InputPath")
    nothing = fields.path("OutputPath", nullable=True)
    assert isinstance(found, Expression)
    assert isinstance(nothing, Expression)
    assert nothing.evaluate({"a": 1}, None) == {}  # type: ignore[arg-type]
    assert fields.reference_path("ResultPath").put({}, 1) == {"b": 1}
    assert fields.template("Parameters", languages="path") is not None
    uses = {use.pointer: set(use.expression.references) for use in fields._scope.reading.uses}
    assert uses == {("InputPath",): {"$.a"}, ("Parameters",): {"$.d"}}


def test_forms_that_take_an_expression_take_it_in_expression_languages_only() -> None:
    value = {"Seconds": "{% `5` %}", "Error": "{% 'a' %}", "Cause": "plain"}
    spoken = fields_of(value, "JMESPath")
    assert isinstance(spoken.integer_or_expression("Seconds"), Expression)
    assert isinstance(spoken.text_or_expression("Error"), Expression)
    assert spoken.text_or_expression("Cause") == "plain"
    by_path = fields_of(value)
    assert by_path.integer_or_expression("Seconds") is None
    assert by_path.text_or_expression("Error") == "{% 'a' %}"
    assert codes(by_path) == [("wrong-type", "/Seconds")]


def test_nested_objects_keep_language_and_pointer() -> None:
    fields = fields_of({"One": {"a": 1}, "Many": [{"b": {"c": "x"}}]}, "JMESPath")
    one, many = fields.object("One"), fields.objects("Many")
    assert one is not None
    assert (one.pointer, one.by_path) == (("One",), False)
    inner = many[0].object("b")
    assert inner is not None
    assert inner.pointer == ("Many", 0, "b")
    inner.done()
    assert codes(fields) == [("unknown-field", "/Many[0]/b/c")]


def test_done_reports_what_nobody_asked_for_with_the_closest_known_name() -> None:
    fields = fields_of({"Comment": "", "Nexxt": "A", "next": "B"})
    fields.text("Comment")
    fields.text("Next")
    fields.done()
    hints = [problem.hint for problem in fields._scope.reading.problems]
    assert hints == ["did you mean 'Next'?", "did you mean 'Next'?"]


def test_a_problem_can_be_placed_below_the_object() -> None:
    fields = fields_of({"Retry": [{"ErrorEquals": ["A"]}]})
    fields.problem("states-all", "said", "Retry", 0, "ErrorEquals", severity="warning", hint="do")
    (problem,) = fields._scope.reading.problems
    assert (problem.location, problem.severity, problem.hint) == ("/Retry[0]/ErrorEquals", "warning", "do")


def test_the_class_is_what_state_types_expect() -> None:
    expected: Fields = fields_of({})
    assert isinstance(expected, ObjectFields)
