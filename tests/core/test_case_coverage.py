"""The cases leave no field of the language out: every field of every state type, in every query language."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

import engine.states  # noqa: F401  registers the state types
from engine.machine import STATE_TYPES
from engine.query import LANGUAGES

FOLDER = Path(__file__).resolve().parents[1] / "cases"
Used = dict[tuple[str, str], set[str]]


def gather(machine: dict[str, Any], language: str, used: Used) -> None:
    for state in machine.get("States", {}).values():
        used[state["Type"], state.get("QueryLanguage", language)].update(state)
        inner = [*state.get("Branches", ()), *(state[name] for name in ("ItemProcessor", "Iterator") if name in state)]
        for nested in inner:
            gather(nested, language, used)


@pytest.fixture(scope="module")
def used() -> Used:
    found: Used = defaultdict(set)
    for file in FOLDER.glob("*.yaml"):
        for case in yaml.safe_load(file.read_text(encoding="utf-8")):
            gather(case["flow"], case["flow"].get("QueryLanguage", "JSONPath"), found)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", STATE_TYPES)
def test_every_field_of_a_state_type_has_a_case(kind: str, language: str, used: Used) -> None:
    foreign = "Expression languages only" if language == "JSONPath" else "JSONPath only"
    fields = {
        name
        for name, schema in STATE_TYPES[kind].SCHEMA.items()
        if foreign not in str(schema.get("description")) and name != "End"
    }
    assert fields - used[kind, language] == set()
