"""Map runs: the child executions of distributed Maps, as far as the history of their execution tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.service.machines import Params
from engine.service.paging import page
from engine.service.records import Records, Run, moment

STARTED: Final = "MapRunStarted"
ENDED: Final = ("MapRunSucceeded", "MapRunFailed")


def list_map_runs(records: Records, params: Params) -> dict[str, Any]:
    """ListMapRuns of an execution, the youngest first."""
    run = records.run(params["executionArn"])
    found, more = page(list(_map_runs(run))[::-1], "ListMapRuns", params)
    return {"mapRuns": found, **more}


def _map_runs(run: Run) -> Iterator[dict[str, Any]]:
    ends = [time for _, _, time, kind, _ in run.history if kind in ENDED]
    stopped = run.execution.stopped
    for index, (_, _, time, _, details) in enumerate(entry for entry in run.history if entry[3] == STARTED):
        found = {
            "executionArn": run.arn,
            "mapRunArn": (details or {}).get("mapRunArn"),
            "stateMachineArn": f"{run.machine.arn}/{_label(details)}",
            "startDate": moment(time),
        }
        end = ends[index] if index < len(ends) else stopped
        yield found if end is None else {**found, "stopDate": moment(end)}


def _label(details: dict[str, Any] | None) -> str:
    """The label in a map run's ARN: arn:…:mapRun:MACHINE/LABEL:ID."""
    arn: str = (details or {}).get("mapRunArn", "")
    return arn.rpartition("/")[2].partition(":")[0]
