"""What is told of an execution wherever it is listed or described."""

from __future__ import annotations

from typing import Any

from engine.service.records import Run
from engine.states.moments import moment


def summary(run: Run) -> dict[str, Any]:
    """One execution in a list."""
    execution = run.execution
    answer = {
        "executionArn": run.arn,
        "stateMachineArn": run.machine.arn,
        "name": run.name,
        "status": execution.status,
        "startDate": moment(execution.started),
        **redrives(run),
        **route(run),
    }
    return answer if execution.stopped is None else {**answer, "stopDate": moment(execution.stopped)}


def route(run: Run) -> dict[str, Any]:
    """The version and alias that the execution was started by."""
    found = {"stateMachineVersionArn": run.version, "stateMachineAliasArn": run.alias}
    return {key: value for key, value in found.items() if value is not None}


def redrives(run: Run) -> dict[str, Any]:
    execution = run.execution
    count = {"redriveCount": execution.redrives}
    return count if execution.redriven is None else {**count, "redriveDate": moment(execution.redriven)}


def latest(run: Run) -> float:
    """By what lists are ordered: when an execution ended, or else when it was redriven or started."""
    execution = run.execution
    return execution.stopped or execution.redriven or execution.started


def fits_redrives(run: Run, params: dict[str, Any]) -> bool:
    """Whether an execution is among those that a list asks for by `redriveFilter`."""
    return params.get("redriveFilter") in (None, "REDRIVEN" if run.execution.redrives else "NOT_REDRIVEN")
