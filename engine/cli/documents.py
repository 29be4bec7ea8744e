"""What commands read from files: flows, rule files, inputs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

import click

from engine.definition import read_document
from engine.definition.parser import read_machine
from engine.definition.reader import read_text
from engine.errors import DefinitionError, InvalidInput, Problem
from engine.machine import StateMachine
from engine.rules import check_cases, load_rules
from engine.states.task import Task
from engine.step import StepRegistry
from engine.tasks import unsupported
from engine.values import JSON

CASES: Final = ".test.yaml"
JSON_BEGINS: Final = ("{", "[", '"')
JSON_SCALAR: Final = re.compile(r"true|false|null|-?[0-9]+(\.[0-9]+)?")


def read_flow(path: str, registry: StepRegistry) -> tuple[StateMachine, list[Problem]]:
    """The flow of a file, and its warnings. Raises DefinitionError, UsageError."""
    refuse_folder(path)
    machine, problems = read_machine(read_document(Path(path)), registry.names(), "STANDARD")
    if machine is None or has_errors(problems):
        raise DefinitionError(problems)
    machine.file = path
    return machine, problems


def problems_of(path: str, registry: StepRegistry | None) -> list[Problem]:
    """Every problem of a flow, a rule file or its cases; steps are checked when they are known. Raises UsageError."""
    refuse_folder(path)
    try:
        document = read_document(Path(path))
        if isinstance(document.value, dict) and "rules" in document.value:
            return list(load_rules(path).warnings)
        if isinstance(document.value, dict) and "cases" in document.value:
            return _failed_cases(path)
        return read_machine(document, None if registry is None else registry.names(), "STANDARD")[1]
    except DefinitionError as refused:
        return refused.problems


def _failed_cases(path: str) -> list[Problem]:
    """What does not come out as a file of cases says of the rules beside it. Raises DefinitionError."""
    if not path.endswith(CASES):
        hint = f"name it after its rules: what is about limits.yaml is limits{CASES}"
        return [Problem("failed-case", "nothing says which rules these cases are about", hint=hint, file=path)]
    rules = load_rules(f"{path.removesuffix(CASES)}.yaml")
    try:
        failed = check_cases(rules, Path(path))
    except (KeyError, TypeError, AttributeError) as problem:
        failed = [f"the cases cannot be read: {problem}"]
    return [Problem("failed-case", text, file=path) for text in failed]


def resources_elsewhere(path: str) -> list[str]:
    """The resources of a flow that this engine cannot call, one line each; nothing of a file with errors."""
    try:
        document = read_document(Path(path))
        if isinstance(document.value, dict) and ("rules" in document.value or "cases" in document.value):
            return []
        machine, problems = read_machine(document, None, "STANDARD")
    except DefinitionError:
        return []
    if machine is None or has_errors(problems):
        return []
    tasks = [state for state in machine.walk() if isinstance(state, Task) and state.resource.scheme != "step"]
    told = [(state.name, problem) for state in tasks if (problem := unsupported(state.resource))]
    return [f"{path}: state {name!r}: {problem}" for name, problem in told]


def has_errors(problems: list[Problem]) -> bool:
    """Whether the definition must not be used."""
    return any(problem.severity == "error" for problem in problems)


def refuse_folder(path: str) -> None:
    """Raises UsageError for a folder."""
    if os.path.isdir(path):
        raise click.UsageError(f"{path} is a folder; name its files, as in {os.path.join(path, '*.yaml')}")


def read_input(given: str | None, option: str = "--input") -> JSON:
    """What an option gives, an input above all: a file, - for stdin, or JSON text. {} when none is given.

    Raises DefinitionError with place and caret, InvalidInput when there is no such file.
    """
    if given is None:
        return {}
    if given == "-":
        return read_text(sys.stdin.read(), file="stdin").value
    if given.lstrip().startswith(JSON_BEGINS) or (JSON_SCALAR.fullmatch(given) and not os.path.exists(given)):
        return read_text(given, file=option).value
    if not os.path.exists(given):
        raise InvalidInput(
            f"{option}: there is no file {given!r}; give a file, - for stdin, or JSON text as '{{\"a\": 1}}'"
        )
    refuse_folder(given)
    return read_document(Path(given)).value
