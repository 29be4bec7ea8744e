"""Definitions and the problems they have, as data: cases/*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.definition import load, validate
from engine.definition.problems import CODES
from engine.errors import DefinitionError, Problem

FOLDER = Path(__file__).parent / "cases"
CASES: dict[str, dict[str, Any]] = {
    f"{file.stem}: {case['name']}": case
    for file in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(file.read_text("utf-8"))
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

ELSEWHERE = {"unsupported-language", "too-large", "not-json", "too-many-problems"}
"""Codes whose cases are no text of a few lines; they are in test_reader.py and test_definition.py."""


def problems_of(case: dict[str, Any]) -> list[Problem]:
    source = case["text"] if "text" in case else case["source"]
    return validate(source, steps=case.get("steps"), type=case.get("type", "STANDARD"), file=case.get("file"))


@every_case
def test_a_definition_has_exactly_these_problems(case: dict[str, Any]) -> None:
    found = problems_of(case)
    shown = [[problem.code, problem.line, problem.column] for problem in found]
    assert sorted(shown, key=str) == sorted(case["expect"], key=str), "\n".join(map(str, found))


@every_case
def test_load_refuses_what_validate_calls_an_error_and_takes_the_rest(case: dict[str, Any]) -> None:
    found = problems_of(case)
    source = case["text"] if "text" in case else case["source"]
    refused = None
    try:
        load(source, steps=case.get("steps"), type=case.get("type", "STANDARD"), file=case.get("file"))
    except DefinitionError as wrong:
        refused = [str(problem) for problem in wrong.problems]
    assert refused == (list(map(str, found)) if any(problem.severity == "error" for problem in found) else None)


def test_every_code_has_a_case_and_every_case_a_known_code() -> None:
    covered = {expected[0] for case in CASES.values() for expected in case["expect"]}
    assert covered | ELSEWHERE == set(CODES)


@every_case
def test_the_severity_is_the_one_the_registry_documents(case: dict[str, Any]) -> None:
    for problem in problems_of(case):
        documented = CODES[problem.code].severity
        assert problem.severity in documented.split(" or "), problem
