"""Map runs: list, describe and change them. Source: API Reference, "ListMapRuns", "DescribeMapRun", "UpdateMapRun"."""

from __future__ import annotations

from typing import Any

from engine.core.execution import ABORTED, FAILED, RUNNING, SUCCEEDED, TIMED_OUT
from engine.core.redrive import refusal
from engine.service.errors import invalid
from engine.service.machines import Params
from engine.service.map_children import Children
from engine.service.paging import page
from engine.service.records import MapRun, Records
from engine.service.summaries import fits_redrives, latest, summary
from engine.states.moments import moment

CHANGEABLE = ("maxConcurrency", "toleratedFailurePercentage", "toleratedFailureCount")
ENDINGS = {SUCCEEDED: "succeeded", FAILED: "failed", TIMED_OUT: "timedOut", ABORTED: "aborted"}


def list_map_runs(records: Records, params: Params) -> dict[str, Any]:
    """ListMapRuns of an execution, the youngest first."""
    run = records.run(params["executionArn"])
    found, more = page(list(run.map_runs.values())[::-1], "ListMapRuns", params)
    return {"mapRuns": [_summary(one) for one in found], **more}


def describe_map_run(records: Records, params: Params) -> dict[str, Any]:
    """DescribeMapRun. A tolerance that was not given is shown as 0, as AWS's defaults are."""
    found = records.map_run(params["mapRunArn"])
    answer = {
        "mapRunArn": found.arn,
        "executionArn": found.parent.arn,
        "status": found.status,
        "startDate": moment(found.started),
        "maxConcurrency": found.concurrency,
        "toleratedFailurePercentage": float(found.share or 0),
        "toleratedFailureCount": found.count or 0,
        "itemCounts": _counts(found, found.sizes),
        "executionCounts": _counts(found, [1] * len(found.sizes)),
        "redriveCount": found.redrives,
    }
    if found.redriven is not None:
        answer["redriveDate"] = moment(found.redriven)
    return answer if found.stopped is None else {**answer, "stopDate": moment(found.stopped)}


def update_map_run(records: Records, children: Children, params: Params) -> dict[str, Any]:
    """UpdateMapRun, which takes effect at once: more children begin, or the run fails."""
    found = records.map_run(params["mapRunArn"])
    if not params.keys() & set(CHANGEABLE):
        raise invalid(f"At least one of {', '.join(CHANGEABLE)} must be specified")
    if found.status != RUNNING:
        raise invalid(f"Map Run is {found.status} and cannot be updated")
    found.concurrency = params.get("maxConcurrency", found.concurrency)
    found.share = params.get("toleratedFailurePercentage", found.share)
    found.count = params.get("toleratedFailureCount", found.count)
    children.go_on(found)
    return {}


def list_children(records: Records, params: Params) -> dict[str, Any]:
    """ListExecutions of a map run: the child executions that have begun, the youngest first."""
    found = records.map_run(params["mapRunArn"])
    waiting, wanted = set(found.waiting), params.get("statusFilter")
    shown = []
    for child in sorted(found.children.values(), key=latest, reverse=True):
        status = "PENDING_REDRIVE" if child.index in waiting else child.execution.status
        if wanted in (None, status) and fits_redrives(child, params):
            about = {"status": status, "mapRunArn": found.arn, "itemCount": found.sizes[child.index]}
            shown.append({**summary(child), **about})
    listed, more = page(shown, "ListExecutions", params)
    return {"executions": listed, **more}


def _counts(found: MapRun, sizes: list[int]) -> dict[str, int]:
    """How many children, or items of theirs, are in which state."""
    names = ("pending", "running", *ENDINGS.values(), "total", "resultsWritten", "failuresNotRedrivable")
    counts = dict.fromkeys((*names, "pendingRedrive"), 0)
    waiting = set(found.waiting)
    for index, size in enumerate(sizes):
        counts["total"] += size
        child = found.children.get(index)
        if child is None:
            # Those that will never begin have been aborted with the run.
            counts["pending" if found.status == RUNNING else "aborted"] += size
        elif index in waiting:
            counts["pendingRedrive"] += size
        else:
            status = child.execution.status
            counts[ENDINGS.get(status, "running")] += size
            if status not in (RUNNING, SUCCEEDED) and refusal(child.execution) is not None:
                counts["failuresNotRedrivable"] += size
            if found.written and child.execution.status != RUNNING:
                counts["resultsWritten"] += size
    return counts


def _summary(found: MapRun) -> dict[str, Any]:
    answer = {
        "executionArn": found.parent.arn,
        "mapRunArn": found.arn,
        "stateMachineArn": found.parent.machine.arn,
        "startDate": moment(found.started),
    }
    return answer if found.stopped is None else {**answer, "stopDate": moment(found.stopped)}
