"""Rule files that load, and all the mistakes that keep one from loading."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import DefinitionError
from engine.rules import load_rules
from engine.values import dump

SOUND: dict[str, Any] = {
    "version": 3,
    "description": "For tests",
    "context": ["member", "ride"],
    "recorded": ["member.status"],
    "phases": ["check", "later"],
    "params": {"min_age": 18, "hours": {"open": 6, "close": 22}, "list": [1]},
    "overlays": [{"dimension": "country", "key": "member.country", "values": {"NO": {"min_age": 20}}}],
    "facts": {"age": "subtract(`2026`, member.born)", "unused": "facts.age", "old": "facts.age > params.min_age"},
    "rules": [
        {
            "id": "A1",
            "code": "not_active",
            "phase": "check",
            "http": 403,
            "assert": "member.status == 'ACTIVE'",
            "message": "Hello {member.name}, you are {member.status}.",
        },
        {
            "id": "A2",
            "code": "too_young",
            "phase": "later",
            "http": 422,
            "pointer": "/age",
            "stop": True,
            "when": "ride.checked == `true`",
            "assert": "facts.old",
            "message": "Too young.",
        },
    ],
}


def changed(case: dict[str, Any]) -> Any:
    """The sound file with the changes of a case."""
    if "whole" in case:
        return case["whole"]
    document = deepcopy(SOUND)
    for path, value in case.get("change", {}).items():
        holder, last = found(document, path)
        if isinstance(holder, list) and int(last) == len(holder):
            holder.append(value)
        else:
            holder[int(last) if isinstance(holder, list) else last] = value
    for path in case.get("remove", []):
        holder, last = found(document, path)
        del holder[int(last) if isinstance(holder, list) else last]
    return document


def found(document: Any, path: str) -> tuple[Any, str]:
    *parents, last = path.split(".")
    for step in parents:
        document = document[int(step) if isinstance(document, list) else step]
    return document, last


def mistakes() -> list[Any]:
    text = (Path(__file__).parent / "cases" / "mistakes.yaml").read_text(encoding="utf-8")
    cases: list[Any] = yaml.safe_load(text)
    return cases


def test_a_sound_file_loads() -> None:
    rules = load_rules(dump(SOUND))
    assert [rule.id for rule in rules.rules] == ["A1", "A2"]
    assert (rules.version, len(rules.digest), rules.warnings) == (3, 64, ())
    assert (rules.rules[1].pointer, rules.rules[1].stop, rules.rules[0].stop) == ("/age", True, False)


def test_a_phase_needs_only_the_facts_that_its_rules_read() -> None:
    assert load_rules(dump(SOUND)).facts_of == {"check": (), "later": ("age", "old")}


def test_a_rule_that_reads_all_facts_needs_all() -> None:
    document = changed({"change": {"rules.0.assert": "length(keys(facts)) > `2`"}})
    assert load_rules(dump(document)).facts_of["check"] == ("age", "unused", "old")


def test_the_digest_names_the_content() -> None:
    other = changed({"change": {"params.min_age": 19}})
    assert load_rules(dump(SOUND)).digest != load_rules(dump(other)).digest
    assert load_rules(dump(SOUND)).digest == load_rules(yaml.safe_dump(SOUND)).digest


@pytest.mark.parametrize("case", mistakes(), ids=lambda case: case["name"])
def test_a_mistake_is_a_problem(case: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_rules(dump(changed(case)) + "\n")
    problems = caught.value.problems
    assert [(problem.code, problem.location) for problem in problems] == [
        (p["code"], p["at"]) for p in case["problems"]
    ]
    for problem, expected in zip(problems, case["problems"], strict=True):
        assert problem.message == expected.get("message", problem.message)
        assert problem.hint == expected.get("hint", problem.hint)
        assert problem.line is not None


def test_a_problem_has_line_column_and_caret() -> None:
    text = yaml.safe_dump(SOUND, sort_keys=False, width=1000).replace(
        "member.status == 'ACTIVE'", "member.status = 'ACTIVE'"
    )
    with pytest.raises(DefinitionError) as caught:
        load_rules(text)
    shown = str(caught.value).splitlines()
    assert "error bad-expression: unknown token '='" in shown[0]
    assert shown[1][shown[2].index("^")] == "="
    assert shown[3] == "    hint: compare with '=='"


def test_the_caret_in_a_message_stands_at_the_wrong_name() -> None:
    text = yaml.safe_dump(SOUND, sort_keys=False, width=1000).replace("{member.name}", "{membr.name}")
    with pytest.raises(DefinitionError) as caught:
        load_rules(text)
    shown = str(caught.value).splitlines()
    assert shown[1][shown[2].index("^") :].startswith("membr.name}")


def test_what_yaml_would_have_changed_is_a_warning() -> None:
    text = yaml.safe_dump(SOUND).replace("description: For tests", "description: yes")
    assert [problem.severity for problem in load_rules(text).warnings] == ["warning"]


def test_a_file_is_loaded_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(SOUND), encoding="utf-8")
    assert load_rules(path).digest == load_rules(str(path)).digest == load_rules(dump(SOUND)).digest
    path.write_text("version: 1\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"rules\.yaml:1:1: error missing-field"):
        load_rules(path)
