"""The JSON Schema of flow files and the page of problem codes: fresh, and at one with what the state types read."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.definition import schema
from engine.definition.fields import ObjectFields
from engine.definition.languages import find_language
from engine.definition.problems import CODES
from engine.definition.reader import read_value
from engine.definition.reading import Reading, Scope
from engine.definition.reference import problems_page
from engine.machine import STATE_TYPES
from engine.values import JSON
from tests.definition.test_definition import example

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(schema.flow_schema())


def asked_fields(name: str, language: str) -> set[str]:
    """The fields that a state type asks for."""
    scope = Scope(Reading(read_value({}), None, "STANDARD"), set(), None, lambda value, pointer, scope: None)
    fields = ObjectFields({}, ("States", "S"), find_language(language), scope)
    scope.depth = 2
    STATE_TYPES[name]("S", fields)
    return fields.known


@pytest.mark.parametrize("name", STATE_TYPES)
def test_a_state_type_declares_the_fields_it_reads_and_no_others(name: str) -> None:
    read = asked_fields(name, "JSONPath") | asked_fields(name, "JMESPath")
    assert read == set(STATE_TYPES[name].SCHEMA)


@pytest.mark.parametrize("name", STATE_TYPES)
def test_every_field_that_must_be_there_is_declared(name: str) -> None:
    assert set(STATE_TYPES[name].REQUIRED) <= set(STATE_TYPES[name].SCHEMA)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema.flow_schema())


@pytest.mark.parametrize("name", STATE_TYPES)
def test_the_example_of_each_state_type_fits_the_schema(name: str) -> None:
    VALIDATOR.validate(example(name))


@pytest.mark.parametrize(
    "flow",
    [
        {},
        {"StartAt": "A", "States": {}},
        {"StartAt": "A", "States": {"A": {"Type": "Task", "End": True}}},
        {"StartAt": "A", "States": {"A": {"Type": "Pass"}}},
        {"StartAt": "A", "States": {"A": {"Type": "Job"}}},
        {"StartAt": "A", "States": {"A": {"Type": "Pass", "Nxet": "B", "End": True}}},
    ],
)
def test_the_schema_refuses(flow: JSON) -> None:
    assert not VALIDATOR.is_valid(flow)


def test_the_generator_writes_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / schema.FILE).parent.mkdir()
    runpy.run_path(str(schema.__file__), run_name="__main__")
    assert (tmp_path / schema.FILE).read_text("utf-8") == schema.schema_text()


def test_the_files_made_from_code_are_fresh() -> None:
    for file, text in ((schema.FILE, schema.schema_text()), ("docs/reference/problems.md", problems_page())):
        assert (ROOT / file).read_text("utf-8") == text, "run make generate"


def test_every_code_that_the_engine_reports_is_registered() -> None:
    found: set[Any] = set()
    for room in ("definition", "states"):
        for path in (ROOT / "engine" / room).glob("*.py"):
            text = path.read_text("utf-8")
            found |= set(re.findall(r"(?:problem|refuse|_wrong|_doubt|_Refused)\(\s*\"([a-z]+(?:-[a-z]+)*)\"", text))
    assert found <= set(CODES)
    assert len(found) > 30
