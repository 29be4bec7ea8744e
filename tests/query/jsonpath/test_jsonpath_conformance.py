"""What was recorded on AWS, and computed with the library whose dialect AWS speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.errors import ExpressionSyntaxError
from engine.query import NoMatch, TemplateSyntaxError
from engine.query.jsonpath import expression, path, template
from engine.values import canonical

OTHER_STAGES = {"ResultPath", "OutputPath", "Result"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def outcome(text: str, data: Any) -> dict[str, Any]:
    try:
        compiled = path(text)
    except ExpressionSyntaxError:
        return {"error": "Syntax"}
    try:
        return {"value": compiled.evaluate(data, None)}
    except NoMatch as missing:
        return {"error": "NotFound", "message": str(missing)}


def agree(text: str, found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether two outcomes are the same. Members of objects have no order in the expected ones (see `*` and `..`)."""
    if found.keys() != expected.keys() or found.get("error") != expected.get("error"):
        return False
    if "message" in expected:
        return split(found["message"]) == split(expected["message"])
    if "value" in expected and ("*" in text or ".." in text):
        return sorted(map(canonical, found["value"])) == sorted(map(canonical, expected["value"]))
    return found == expected


def split(message: str) -> tuple[str, Any]:
    head, _, tail = message.partition("Current context is: ")
    return head, json.loads(tail) if tail.startswith("{") else tail


def test_every_path_gives_what_aws_and_its_library_give(conformance) -> None:
    cases = json.loads((conformance / "jsonpath" / "cases.json").read_text(encoding="utf-8"))["paths"]
    wrong = []
    for case in cases:
        found, expected = outcome(case["expr"], case["data"]), case["expected"]
        if "message" not in expected:
            found.pop("message", None)
        if not agree(case["expr"], found, expected):
            wrong.append((case["expr"], found, expected))
        elif found != {"error": "Syntax"} and path(case["expr"]).definite is not case["definite"]:
            wrong.append((case["expr"], "definite", case["definite"]))
    assert wrong == []
    assert len(cases) >= 133


class Step(NamedTuple):
    """A Pass state that only fills a template, and what AWS recorded of it."""

    where: str
    state: dict[str, Any]
    input: Any
    variables: dict[str, Any]
    output: Any


def pass_steps(folder: Path) -> Iterator[Step]:
    for file in sorted(folder.glob("*.json")):
        case = json.loads(file.read_text(encoding="utf-8"))
        definition, events = case.get("definition"), case.get("expect", {}).get("events") or []
        if not isinstance(definition, dict) or definition.get("QueryLanguage") == "JSONata":
            continue
        inputs: dict[str, Any] = {}
        variables: dict[str, Any] = {}
        for event in events:
            state = definition["States"].get(event.get("name"), {})
            if event["type"] == "PassStateEntered":
                inputs[event["name"]] = event["input"]
            elif event["type"] == "PassStateExited" and "Parameters" in state and not OTHER_STAGES & set(state):
                yield Step(f"{file.name}: {event['name']}", state, inputs[event["name"]], variables, event["output"])
            variables = variables | (event.get("assignedVariables") or {})


@pytest.mark.parametrize(
    ("folder", "fewest"), [("intrinsic_functions", 90), ("base", 10), ("scenarios", 12), ("assign", 3)]
)
def test_pass_states_answer_byte_for_byte_what_aws_recorded(folder, fewest, conformance, make_scope) -> None:
    checked, wrong = 0, []
    for where, state, given, variables, expected in pass_steps(conformance / "aws-recordings" / folder):
        if "$$" in json.dumps(state) or "MathRandom" in json.dumps(state):
            continue  # the recordings do not show the context object, nor can chance be compared
        scope = make_scope(input=given, variables=variables)
        start = expression(state.get("InputPath", "$"), "InputPath").evaluate(given, scope)
        found = template(state["Parameters"], "Parameters").evaluate(start, scope)
        checked += 1
        if UUID.sub("<uuid:1>", json.dumps(found)) != json.dumps(expected):
            wrong.append((where, found, expected))
    assert wrong == []
    assert checked >= fewest


def bad_escapes(folder: Path) -> list[dict[str, Any]]:
    files = folder.glob("*test_illegal_escapes*")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def test_illegal_escapes_are_refused_in_aws_words(conformance) -> None:
    cases = bad_escapes(conformance / "aws-recordings" / "scenarios")
    assert cases
    for case in cases:
        (state,) = case["definition"]["States"].values()
        with pytest.raises(TemplateSyntaxError) as caught:
            template(state["Parameters"], "Parameters")
        assert caught.value.issues[0].mistake.message in case["expect"]["error_response"]["message"]
