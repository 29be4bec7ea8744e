"""JSONata as it was recorded on AWS: what a state's Output gave, and what was refused when a machine was made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ExecutionFailure
from engine.query import TemplateSyntaxError
from engine.query.jsonata import LANGUAGE
from tests.query.jsonata.scope import FakeScope

CONFORMANCE = Path(__file__).resolve().parents[4] / "shared" / "conformance"

if not CONFORMANCE.is_dir():
    pytest.skip("the recordings of AWS are not beside this checkout (../shared/conformance)", allow_module_level=True)

PARSED = ("Output", "Arguments", "Assign", "Items", "ItemSelector", "Condition", "Cause", "Error")
"""Fields that hold expressions."""


def single_passes() -> Iterator[Any]:
    """Recordings of machines with one Pass state in JSONata: their Output is the output of the execution."""
    for file in sorted(CONFORMANCE.glob("aws-recordings/**/*.json")):
        case = json.loads(file.read_text(encoding="utf-8"))
        definition = case.get("definition") or {}
        states = list(definition.get("States", {}).values())
        if case["kind"] != "execution" or len(states) != 1 or states[0]["Type"] != "Pass" or "Output" not in states[0]:
            continue
        if "$states.context" not in json.dumps(states):
            yield pytest.param(states[0]["Output"], case["input"], case["expect"], id=file.stem[-70:])


@pytest.mark.parametrize(("output", "given", "expected"), list(single_passes()))
def test_an_output_is_what_it_was_on_aws(output: Any, given: Any, expected: dict[str, Any]) -> None:
    template = LANGUAGE.template(output, "Output")
    try:
        found = template.evaluate(None, FakeScope(input=given))
    except ExecutionFailure as caught:
        failure = caught
    else:
        assert found == expected["output"]
        return
    assert failure.error == expected["error"]
    assert expected["cause"].endswith(f"(entered at the event id #2). {failure.cause}")


def test_there_are_recordings() -> None:
    assert len(list(single_passes())) > 20


def definitions(verdict: str) -> Iterator[Any]:
    file = CONFORMANCE / "definitions" / verdict / "aws-recorded.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["name"].startswith("aws:jsonata/"):
            yield pytest.param(case, id=case["name"])


def problems(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """The mistakes in the expressions of a definition: place as AWS writes it, and message."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, f"{pointer}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in PARSED:
                yield from problems(item, f"{pointer}/{name}")
                continue
            try:
                LANGUAGE.template(item, name)
            except TemplateSyntaxError as wrong:
                for issue in wrong.issues:
                    below = "".join(f"[{part}]" if isinstance(part, int) else f"/{part}" for part in issue.pointer)
                    for mistake in (issue.mistake, *issue.mistake.others):
                        yield f"{pointer}/{name}{below}", mistake.message


@pytest.mark.parametrize("case", list(definitions("invalid")))
def test_what_aws_refuses_is_refused_in_its_words(case: dict[str, Any]) -> None:
    found = list(problems(case["definition"]))
    assert found == [(said["location"], said["message"]) for said in case["aws"]]


@pytest.mark.parametrize("case", list(definitions("valid")))
def test_what_aws_accepts_is_accepted(case: dict[str, Any]) -> None:
    if case["definition"].get("QueryLanguage") == "JSONata":
        assert list(problems(case["definition"])) == []
