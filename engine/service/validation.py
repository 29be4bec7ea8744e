"""Definitions as they are sent: read, judged as AWS judges them, and refused in its words."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.definition import read_document
from engine.definition.parser import read_machine
from engine.machine import StateMachine
from engine.service.cautions import cautions
from engine.service.diagnostics import SCHEMA, Diagnostic, diagnose
from engine.service.errors import ApiError, named
from engine.service.json_text import NotJson, read
from engine.values import JSON

MAX_DIAGNOSTICS: Final = 100


class Judgement(NamedTuple):
    """What became of a definition: the machine, or None with at least one diagnostic."""

    machine: StateMachine | None
    definition: JSON
    diagnostics: list[Diagnostic]


def judge(text: str, kind: str = "STANDARD") -> Judgement:
    """Read a definition. `kind`: STANDARD or EXPRESS."""
    if not text.strip():
        return _refuse(None, SCHEMA, "Definition must be a valid JSON object")
    try:
        value = read(text)
    except NotJson as wrong:
        return _refuse(None, "INVALID_JSON_DESCRIPTION", wrong.message)
    if not isinstance(value, dict):
        return _refuse(value, SCHEMA, "Definition must be a valid JSON object")
    return judge_value(value, kind)


def judge_value(value: dict[str, JSON], kind: str, ignored: frozenset[str] = frozenset()) -> Judgement:
    """Judge a definition that is read already, leaving problems of the `ignored` codes out."""
    machine, problems = read_machine(read_document(value), None, kind)
    diagnostics = diagnose([problem for problem in problems if problem.code not in ignored], value)
    return Judgement(None if diagnostics else machine, value, diagnostics)


def _refuse(value: JSON, code: str, message: str) -> Judgement:
    return Judgement(None, value, [Diagnostic(code, message, None)])


def accept(text: str, kind: str) -> StateMachine:
    """The machine of a definition that must be good. Raises InvalidDefinition."""
    return accepted(judge(text, kind))


def accepted(judgement: Judgement) -> StateMachine:
    """The machine of a judgement. Raises InvalidDefinition with all diagnostics."""
    if judgement.machine is None:
        raise refusal(judgement.diagnostics)
    return judgement.machine


def refusal(diagnostics: list[Diagnostic]) -> ApiError:
    """The error for a definition with such diagnostics."""
    return named("InvalidDefinition", "Invalid State Machine Definition", ", ".join(map(str, diagnostics)))


def validate_definition(params: dict[str, Any]) -> dict[str, Any]:
    """ValidateStateMachineDefinition. Our own doubts (warnings) have no code of AWS's and are not shown."""
    judged = judge(params["definition"], params.get("type", "STANDARD"))
    diagnostics = judged.diagnostics
    if params.get("severity") == "WARNING" and judged.machine is not None:
        diagnostics = list(cautions(judged.definition))
    most = params.get("maxResults") or MAX_DIAGNOSTICS
    return {
        "result": "OK" if judged.machine is not None else "FAIL",
        "diagnostics": [diagnostic.render() for diagnostic in diagnostics[:most]],
        "truncated": len(diagnostics) > most,
    }
