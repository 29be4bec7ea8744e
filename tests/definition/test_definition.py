"""Loading as a whole: what comes out, how problems are printed, and that nothing an author writes raises."""

from __future__ import annotations

import copy
import inspect
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.definition import load, read_document, validate
from engine.definition.reading import MAX_COMPARED
from engine.errors import DefinitionError, Problem
from engine.machine import STATE_TYPES
from engine.query import UNSET, language
from engine.query.jsonpath import path

FLOW = """\
Comment: a booking
Version: "1.0"
TimeoutSeconds: 900
QueryLanguage: JMESPath
StartAt: Book
States:
  Book:
    Type: Task
    Comment: with the partner
    Resource: step:taxi.book
    Next: Both
  Both:
    Type: Parallel
    Branches:
      - StartAt: Note
        States: {Note: {Type: Pass, End: true}}
    End: true
"""


def test_a_machine_has_what_its_text_says() -> None:
    machine = load(FLOW)
    assert (machine.comment, machine.version, machine.timeout) == ("a booking", "1.0", 900)
    assert (machine.start_at, machine.query_language) == ("Book", "JMESPath")
    assert list(machine.states) == ["Book", "Both"]
    assert list(machine.find) == ["Book", "Both", "Note"]
    assert machine.source == yaml.safe_load(FLOW)
    book = machine.find["Book"]
    assert (book.name, book.comment, book.next, book.end) == ("Book", "with the partner", "Both", False)
    assert (book.entered, book.exited) == ("TaskStateEntered", "TaskStateExited")
    inner = machine.find["Both"].machines()[0]
    assert (inner.query_language, inner.source) == ("JMESPath", machine.source["States"]["Both"]["Branches"][0])


def test_text_path_and_value_give_the_same_machine(tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(FLOW, "utf-8")
    value = yaml.safe_load(FLOW)
    for source in (FLOW, file, str(file), value, json.dumps(value)):
        assert load(source).source == value


def test_a_problem_is_printed_with_its_line_a_caret_and_a_hint() -> None:
    text = FLOW.replace("Next: Both", "Next: Bth").replace("End: true\n", "End: 1\n")
    assert (
        "\n".join(map(str, validate(text, file="flows/booking.yaml")))
        == """\
flows/booking.yaml:11:11: error unknown-state: There is no state 'Bth' in this machine
        Next: Bth
              ^
    hint: did you mean 'Both'?
flows/booking.yaml:12:3: error no-transition: The state needs a Next, or End: true
      Both:
      ^
    hint: add Next or End: true
flows/booking.yaml:12:3: error unreachable-state: No transition leads to 'Both'
      Both:
      ^
flows/booking.yaml:17:10: error wrong-type: End must be true or false, not a number (1)
        End: 1
             ^"""
    )


def test_problems_of_a_value_have_their_pointer_instead_of_a_place() -> None:
    problems = validate({"StartAt": "A", "States": {"A": {"Type": "Parallel", "Branches": [1], "End": True}}})
    assert [(problem.code, problem.location, problem.line) for problem in problems] == [
        ("wrong-type", "/States/A/Branches[0]", None)
    ]
    assert str(problems[0]).startswith("/States/A/Branches[0]: error wrong-type: ")


def test_a_name_given_twice_in_a_value_is_told_by_its_pointer() -> None:
    branch = {"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}
    flow = {"StartAt": "A", "States": {"A": {"Type": "Parallel", "Branches": [branch, branch], "End": True}}}
    (problem,) = validate(flow)
    assert problem.message == "The name 'B' is taken: there is one in /States/A/Branches[0]/States/B"


def test_load_raises_all_problems_together() -> None:
    with pytest.raises(DefinitionError) as caught:
        load("StartAt: A\nStates: {B: {Type: Pass}}\n")
    assert {problem.code for problem in caught.value.problems} == {"unknown-state", "no-transition"}
    with pytest.raises(DefinitionError):
        load("[]\n")


def test_warnings_do_not_keep_a_flow_from_loading() -> None:
    machine = load("StartAt: on\nStates: {on: {Type: Succeed}}\n")
    assert list(machine.states) == ["on"]


def test_more_problems_than_anybody_reads_are_counted() -> None:
    states = {f"S{number}": {"Type": "Succeed"} for number in range(1000)}
    problems = validate(json.dumps({"StartAt": "S0", "States": states}))
    assert len(problems) == 201
    assert (problems[-1].code, problems[-1].message) == ("too-many-problems", "There are 799 more problems")


def test_doubts_beyond_the_limit_are_counted_too() -> None:
    output = {f"x{number}": f"{{% missing{number} %}}" for number in range(300)}
    flow = {"QueryLanguage": "JMESPath", "StartAt": "A", "States": {"A": {"Type": "Succeed", "Output": output}}}
    problems = validate(json.dumps(flow))
    assert {problem.code for problem in problems[:-1]} == {"undefined-variable"}
    assert problems[-1].message == "There are 100 more problems"


def test_hints_are_given_up_when_there_is_too_much_to_compare() -> None:
    states = {f"S{number}": {"Type": "Pass", "Next": "S"} for number in range(MAX_COMPARED // 10)}
    hints = [problem.hint for problem in validate(json.dumps({"StartAt": "S0", "States": states}))]
    assert hints[0] is not None
    assert hints[-2] is None


@pytest.mark.parametrize("frames", [205, 100])
def test_what_is_nested_too_deeply_for_the_interpreter_is_a_problem(frames: int) -> None:
    machine: Any = {"StartAt": "A0", "States": {"A0": {"Type": "Succeed"}}}
    for depth in range(1, 45):
        name = f"A{depth}"
        machine = {"StartAt": name, "States": {name: {"Type": "Parallel", "Branches": [machine], "End": True}}}
    assert validate(machine) == []

    def below(frames: int) -> list[Any]:
        return below(frames - 1) if frames else validate(machine)

    used = len(inspect.stack(0))
    assert [problem.code for problem in below(sys.getrecursionlimit() - used - frames)] == ["too-deep"]


def test_a_large_flow_is_read_quickly() -> None:
    """A generous bound: 100 states take some milliseconds."""
    states: dict[str, Any] = {
        f"S{number}": {"Type": "Pass", "Parameters": {"a.$": "$.b"}, "ResultPath": "$.c", "Next": f"S{number + 1}"}
        for number in range(100)
    }
    states["S100"] = {"Type": "Succeed"}
    text = yaml.safe_dump({"StartAt": "S0", "States": states})
    load(text)
    began = time.process_time()
    load(text)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("name", STATE_TYPES)
def test_the_example_of_each_state_type_loads(name: str) -> None:
    assert load(example(name), steps={"echo": ["Taxi.NotSent"]}).states[name].name == name


def example(name: str) -> dict[str, Any]:
    """A machine of the one state that a type shows as its example, and of Done, where it leads there."""
    state = read_document(STATE_TYPES[name].EXAMPLE).value
    states = {name: state, "Done": {"Type": "Succeed"}} if "Done" in json.dumps(state) else {name: state}
    return {"StartAt": name, "States": states}


# -- mutated documents ---------------------------------------------------------------------------------------------

SEEDS = [
    read_document(case["text"]).value
    for file in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text("utf-8"))
    if file.stem != "text"
]
SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "A", "$.a", "$$", "{% a %}", "{%", "States.ALL", "JSONata", "JMESPath", "Task", [], {}]
)


def parts(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, member in members for found in [(value, key), *parts(member)]]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    document = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        places = parts(document)
        if not places:
            break
        container, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["replace", "remove", "rename", "graft"])):
            case "replace":
                container[key] = draw(SCALARS)
            case "remove":
                del container[key]
            case "rename" if isinstance(container, dict):
                container[draw(st.sampled_from(["Next", "States", "Type", "Catch", "x", "Output.$", "Items"]))] = (
                    container.pop(key)
                )
            case _:
                other, where = places[draw(st.integers(0, len(places) - 1))]
                container[key] = copy.deepcopy(other[where]) if where in other else None
    return document


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_definitions_never_raise(document: Any) -> None:
    text = validate(json.dumps(document) + "\n")
    assert all(problem.line is not None and problem.column is not None for problem in text)
    if isinstance(document, dict):
        assert sorted(problem.code for problem in validate(document)) == sorted(problem.code for problem in text)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(FLOW)), st.integers(0, 9), st.text(alphabet="{}[]:-?|>&*!%@`'\"#,\n \t\\aA0~<é", max_size=4))
def test_mutated_texts_never_raise(place: int, removed: int, added: str) -> None:
    validate(FLOW[:place] + added + FLOW[place + removed :] + "\n")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_random_texts_never_raise(text: str) -> None:
    validate(text + "\n")
    validate("{" + text)


def test_a_language_whose_package_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError("JSONata needs the package jlens: pip install 'booking-orchestrator[jsonata]'")

    monkeypatch.setattr("engine.definition.languages.language", lambda name: missing(name) if name == "JSONata" else
                        language(name))  # fmt: skip
    flow = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% $x %}",
            "Next": "B"}, "B": {"Type": "Choice", "Choices": [{"Condition": "{% $x %}", "Next": "C"}], "Default": "D"},
            "C": {"Type": "Wait", "Seconds": "{% $x %}", "End": True}}}  # fmt: skip
    language_problem, other = validate(flow)
    assert (language_problem.code, language_problem.severity) == ("unsupported-language", "error")
    assert "pip install" in str(language_problem.hint)
    assert (other.code, other.location) == ("unknown-state", "/States/B/Default"), "all else is still checked"


def test_a_problem_as_an_object_leaves_out_what_is_not_known() -> None:
    known = Problem("no-end", "It never ends", ("States",), hint="give it an end", file="f.yaml", line=2, column=1)
    assert known.to_json() == {
        "code": "no-end",
        "severity": "error",
        "message": "It never ends",
        "location": "/States",
        "hint": "give it an end",
        "file": "f.yaml",
        "line": 2,
        "column": 1,
    }
    alone = Problem("bad-label", "'' is no label", ("Labels", 0), severity="warning")
    assert alone.to_json() == {
        "code": "bad-label",
        "severity": "warning",
        "message": "'' is no label",
        "location": "/Labels[0]",
    }


def test_what_fails_in_a_test_shows_what_it_is() -> None:
    shown = [Problem("no-end", "It never ends", ("States",), line=2, column=1), path("$.a"), UNSET]
    assert repr(shown) == (
        "[Problem('no-end', 'It never ends', '/States', line=2, column=1), Expression('$.a'), UNSET]"
    )
