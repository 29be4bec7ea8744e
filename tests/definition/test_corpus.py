"""Published definitions, many of them judged by AWS: which are taken, and which refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.definition import validate
from engine.definition.schema import flow_schema
from engine.query import LANGUAGES

CORPUS = Path(__file__).parents[3] / "shared" / "conformance" / "definitions"
LAMBDA = "arn:aws:lambda:us-east-1:111111111111:function:f"

pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of definitions is not beside the checkout")


def cases(verdict: str) -> Iterator[dict[str, Any]]:
    for file in sorted((CORPUS / verdict).glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            case = json.loads(line)
            if not case.get("disputed") and is_spoken(case):
                yield case


def is_spoken(case: dict[str, Any]) -> bool:
    """Whether the engine has the query languages that a case uses."""
    text = case.get("text") or json.dumps(case["definition"])
    return all(name in LANGUAGES for name in re.findall(r"QueryLanguage\W+(JSON\w+)", text))


def filled(case: dict[str, Any]) -> Any:
    """The definition with the placeholders of a deployment filled in."""
    value = case["definition"] if case.get("text") is None else case["text"]
    if not case.get("placeholders"):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    text = re.sub(r'("Resource"\s*:\s*)"\$\{[^"]+"', rf'\1"{LAMBDA}"', text)
    text = re.sub(r"\$\{[A-Za-z0-9_.:]+\}", "placeholder", text)
    return text if isinstance(value, str) else json.loads(text)


def judged(case: dict[str, Any]) -> list[str]:
    """The errors of a case, as lines."""
    problems = validate(filled(case), type=case.get("workflow_type") or "STANDARD")
    return [str(problem) for problem in problems if problem.severity == "error"]


def test_valid_definitions_are_taken() -> None:
    found = {case["name"]: judged(case) for case in cases("valid")}
    assert {name: errors for name, errors in found.items() if errors} == {}
    assert len(found) > 500


def test_invalid_definitions_are_refused() -> None:
    found = {case["name"]: judged(case) for case in cases("invalid")}
    assert [name for name, errors in found.items() if not errors] == []
    assert len(found) > 130


def test_valid_definitions_fit_the_schema() -> None:
    validator = Draft202012Validator(flow_schema())
    values = {case["name"]: filled(case) for case in cases("valid")}
    errors = {name: list(validator.iter_errors(value)) for name, value in values.items() if isinstance(value, dict)}
    assert {name: [error.message for error in found] for name, found in errors.items() if found} == {}
