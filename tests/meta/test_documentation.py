"""Documents are made from code or run by tests; a page that is missing, stale or untrue fails here."""

from __future__ import annotations

import inspect
import re
import runpy
import textwrap
from pathlib import Path

import pytest
import yaml

import engine.states  # noqa: F401 - registers the state types
from engine import StepRegistry, load_flow, simulate
from engine.machine import STATE_TYPES, State
from engine.query.jsonpath.intrinsics import INTRINSICS

ROOT = Path(__file__).resolve().parents[2]
CASES = [case for path in (ROOT / "tests" / "cases").glob("*.yaml") for case in yaml.safe_load(path.read_text("utf-8"))]
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_fresh(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), f"{name} is stale: run make generate"


@pytest.mark.parametrize("kind", STATE_TYPES.values(), ids=lambda kind: kind.TYPE)
def test_every_state_type_is_documented_exampled_and_has_cases(kind: type[State]) -> None:
    assert inspect.getdoc(kind)
    assert set(kind.REQUIRED) <= set(kind.SCHEMA)
    assert any(f"'Type': '{kind.TYPE}'" in str(case["flow"]) for case in CASES)


@pytest.mark.parametrize("kind", STATE_TYPES.values(), ids=lambda kind: kind.TYPE)
def test_the_example_of_every_state_type_loads_and_runs(kind: type[State]) -> None:
    state = yaml.safe_load(textwrap.dedent(kind.EXAMPLE))
    leads_on = "Done" in str(state)
    states = {kind.TYPE: state, **({"Done": {"Type": "Succeed"}} if leads_on else {})}
    machine = load_flow({"StartAt": kind.TYPE, "States": states}, steps=None)
    data = {"booking": 1, "rides": [1, 2], "ride": {"status": "CONFIRMED"}}
    outcome = simulate(machine, data, tasks=lambda call: {}, history_limit=100)
    assert outcome.status in ("SUCCEEDED", "FAILED")


def test_every_intrinsic_function_is_documented_and_exampled() -> None:
    assert len(INTRINSICS) == 18
    assert [name for name, found in INTRINSICS.items() if not found.doc or not found.example] == []


def test_every_step_says_what_it_does_and_what_its_errors_mean() -> None:
    steps = list(StepRegistry.of("steps"))
    assert len(steps) >= 10
    assert [found.name for found in steps if not found.doc] == []
    assert [found.name for found in steps for meaning in found.errors.values() if not meaning.strip()] == []


def test_links_between_documents_lead_somewhere() -> None:
    wrong = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(ROOT)} -> {target}")
    assert wrong == []


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == ["{'greeting': 'Hello'}", "{'greeting': 'Hello, Ana'}"]


def test_the_commands_of_the_readme_name_files_and_targets_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    assert [path for path in re.findall(r"flows/[\w./-]+", commands) if not (ROOT / path).exists()] == []
    assert [name for name in re.findall(r"make (\w+)", commands) if f"\n{name}:" not in makefile] == []
