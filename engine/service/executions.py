"""Executions: start, describe, list, stop, and their histories."""

from __future__ import annotations

import math
import random
import uuid
from typing import Any, Final

from engine.core.events import ExecutionStopped
from engine.core.execution import RUNNING, SUCCEEDED, Execution
from engine.core.history import details_key, render
from engine.core.redrive import refusal
from engine.core.scope import execution_arn
from engine.service import arns
from engine.service.driver import Driver
from engine.service.errors import ApiError, invalid, named, unsupported_type
from engine.service.json_text import NotJson, read
from engine.service.machines import Params, facts
from engine.service.map_runs import list_children
from engine.service.paging import page
from engine.service.records import Alias, Machine, Records, Revision, Run, Version
from engine.service.summaries import fits_redrives, latest, redrives, route, summary
from engine.states.moments import moment
from engine.values import JSON, dump, equal

LONGEST_SECONDS: Final = 365 * 86_400.0
"""How long an execution may be open (AWS's quota)."""
REDRIVABLE_SECONDS: Final = 14 * 86_400.0
"""How long after its end an execution can be redriven (AWS)."""
DATA = ("input", "output", "parameters", "assignedVariables")
"""Details of events that are left away where execution data is not asked for."""


def start_execution(records: Records, driver: Driver, params: Params) -> dict[str, Any]:
    """StartExecution. A running execution of the same name and input is answered again."""
    return _started(begin(records, driver, params))


def begin(records: Records, driver: Driver, params: Params, depth: int = 0) -> Run:
    """The execution that StartExecution is to start, or has started before; it stands `depth` deep in others."""
    machine, _, _ = records.qualified(params["stateMachineArn"])
    data = _input(params)
    name = params.get("name")
    if name is not None:
        arns.check_name(name)
        known = records.runs.get(arns.make(arns.EXECUTION, machine.name, name))
        if known is not None and machine.kind == "STANDARD":
            if known.execution.status != RUNNING or not equal(known.execution.input, data):
                raise named("ExecutionAlreadyExists", "Execution Already Exists", known.arn)
            return known
    run = _create(records, params, data)
    run.depth = depth
    if machine.kind == "STANDARD":
        records.runs[run.arn] = run
    driver.start(run)
    return run


def start_sync_execution(records: Records, driver: Driver, params: Params) -> Run:
    """StartSyncExecution up to where it waits; see `sync_answer`."""
    machine, _, _ = records.qualified(params["stateMachineArn"])
    if machine.kind != "EXPRESS":
        raise unsupported_type()
    if "name" in params:
        arns.check_name(params["name"])
    run = _create(records, params, _input(params))
    driver.start(run)
    return run


def sync_answer(run: Run, params: Params) -> dict[str, Any]:
    """The answer to StartSyncExecution, once the execution has ended."""
    answer = _outcome(run, params.get("includedData"))
    stopped = run.execution.stopped or run.execution.started
    answer["billingDetails"] = {
        "billedMemoryUsedInMB": 64,
        "billedDurationInMilliseconds": max(100, 100 * math.ceil((stopped - run.execution.started) * 10)),
    }
    return answer


def redrive_execution(records: Records, driver: Driver, params: Params) -> dict[str, Any]:
    """RedriveExecution. The same request again, by its client token, answers as the first one did."""
    run, token = records.run(params["executionArn"]), params.get("clientToken")
    if run.dispatcher is not None:
        raise ApiError("ExecutionNotRedrivable", "A child workflow execution is redriven with its Map Run")
    if token not in run.redriven:
        now = driver.clock.now()
        reason = _refusal(records, run, now)
        if reason is not None:
            raise ApiError("ExecutionNotRedrivable", reason)
        driver.redrive(run)
        if token is None:
            return {"redriveDate": moment(now)}
        run.redriven[token] = now
    return {"redriveDate": moment(run.redriven[token])}


def describe_execution(records: Records, params: Params, now: float) -> dict[str, Any]:
    """DescribeExecution."""
    run = records.described(params["executionArn"])
    answer = {**_outcome(run, params.get("includedData")), **route(run), **_redrive(records, run, now)}
    return answer if run.dispatcher is None else {**answer, "mapRunArn": run.dispatcher.arn}


def describe_machine_for_execution(records: Records, params: Params) -> dict[str, Any]:
    """DescribeStateMachineForExecution: the state machine as it was when the execution started."""
    run = records.run(params["executionArn"])
    answer = {
        "stateMachineArn": run.machine.arn,
        "updateDate": moment(run.revision.updated),
        **facts(run.machine, run.revision, params.get("includedData")),
    }
    if run.dispatcher is None:
        return answer
    return {**answer, "mapRunArn": run.dispatcher.arn, "label": run.dispatcher.label}


def list_executions(records: Records, params: Params) -> dict[str, Any]:
    """ListExecutions, the youngest first: those that run by their start, the others by their end."""
    if ("stateMachineArn" in params) == ("mapRunArn" in params):
        raise invalid("Must specify exactly one of stateMachineArn and mapRunArn")
    if "mapRunArn" in params:
        return list_children(records, params)
    if params.get("statusFilter") == "PENDING_REDRIVE":
        raise invalid("mapRunArn must be specified when statusFilter is PENDING_REDRIVE")
    machine, version, alias = records.qualified(params["stateMachineArn"])
    if machine.kind != "STANDARD":
        raise unsupported_type()
    status = params.get("statusFilter")
    runs = [
        run
        for run in records.runs.values()
        if run.machine.arn == machine.arn
        and (version is None or run.version == version.arn)
        and (alias is None or run.alias == alias.arn)
        and status in (None, run.execution.status)
        and fits_redrives(run, params)
    ]
    runs.reverse()
    runs.sort(key=latest, reverse=True)
    found, more = page(runs, "ListExecutions", params)
    return {"executions": [summary(run) for run in found], **more}


def stop_execution(records: Records, driver: Driver, params: Params) -> dict[str, Any]:
    """StopExecution; one that has ended stays as it is."""
    run = records.run(params["executionArn"])
    if run.execution.status == RUNNING:
        driver.feed(run, ExecutionStopped(driver.clock.now(), params.get("error"), params.get("cause")))
    return {"stopDate": moment(run.execution.stopped or driver.clock.now())}


def execution_history(records: Records, params: Params) -> dict[str, Any]:
    """GetExecutionHistory."""
    run = records.run(params["executionArn"])
    reverse = params.get("reverseOrder", False)
    entries = run.history[::-1] if reverse else run.history
    found, more = page(entries, "GetExecutionHistory", params, growing=reverse)
    events = render(found)
    for event in events:
        details = event.get(details_key(event["type"]), {})
        if event["type"] == "ExecutionStarted":
            details |= {"roleArn": run.revision.settings["roleArn"], **route(run)}
        for name in DATA if params.get("includeExecutionData") is False else ():
            details.pop(name, None)
    return {"events": events, **more}


# -- making one ------------------------------------------------------------------------------------------------------


def _input(params: Params) -> JSON:
    text = params.get("input", "{}")
    subject = "Invalid State Machine Execution Input"
    if not text.strip():
        raise named("InvalidExecutionInput", subject, "Invalid execution input.")
    try:
        return read(text)
    except NotJson as wrong:
        raise named("InvalidExecutionInput", subject, wrong.message) from None


def _create(records: Records, params: Params, data: JSON) -> Run:
    machine, version, alias = records.qualified(params["stateMachineArn"])
    if alias is not None:
        version = _choose(machine, alias)
    name = params.get("name") or str(uuid.uuid4())
    execution = Execution(name, data, machine_id=machine.name, express=machine.kind == "EXPRESS", spreads=True)
    execution.instance = str(uuid.uuid4()) if execution.express else ""
    revision, text = _revision(machine, version), params.get("input", "{}")
    run = Run(execution_arn(execution), machine, revision, execution, text, params.get("traceHeader"))
    run.version = version.arn if version is not None else None
    run.alias = alias.arn if alias is not None else None
    return run


def _choose(machine: Machine, alias: Alias) -> Version:
    """One of the alias's versions, drawn by their weights."""
    arn = random.choices(list(alias.routes), list(alias.routes.values()))[0]
    return machine.versions[int(arns.parse(arn, arns.STATE_MACHINE).qualifier)]


def _revision(machine: Machine, version: Version | None) -> Revision:
    return machine.revision if version is None else version.revision


# -- telling of one --------------------------------------------------------------------------------------------------


def _started(run: Run) -> dict[str, Any]:
    return {"executionArn": run.arn, "startDate": moment(run.execution.started)}


def _outcome(run: Run, included: str | None) -> dict[str, Any]:
    """Names, times, status, and what went in and came out."""
    execution = run.execution
    whole = included != "METADATA_ONLY"
    answer: dict[str, Any] = {
        "executionArn": run.arn,
        "stateMachineArn": run.machine.arn,
        "name": run.name,
        "status": execution.status,
        "startDate": moment(execution.started),
    }
    if execution.stopped is not None:
        answer["stopDate"] = moment(execution.stopped)
    if whole:
        answer |= {"input": run.input, "inputDetails": {"included": True}}
    if whole and execution.status == SUCCEEDED:
        answer |= {"output": dump(execution.output), "outputDetails": {"included": True}}
    told = {"error": execution.error, "cause": execution.cause, "traceHeader": run.trace}
    return answer | {key: value for key, value in told.items() if value is not None}


def _redrive(records: Records, run: Run, now: float) -> dict[str, Any]:
    """How often it was redriven, and whether it can be."""
    reason = _refusal(records, run, now)
    told = {"redriveStatus": "REDRIVABLE"}
    if reason is not None:
        told = {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
    return {**redrives(run), **told}


def _refusal(records: Records, run: Run, now: float) -> str | None:
    """Why it cannot be redriven, in AWS's words (API Reference, "DescribeExecution"); None when it can."""
    execution, root = run.execution, run
    while root.dispatcher is not None:
        root = root.dispatcher.parent
    if execution.status not in (RUNNING, SUCCEEDED) and root.machine.arn not in records.machines:
        return "State machine is in DELETING status"
    reason = refusal(execution)
    if reason is None and now > execution.started + LONGEST_SECONDS:
        return "Execution has exceeded the max execution time"
    if reason is None and now > (execution.stopped or now) + REDRIVABLE_SECONDS:
        return "Execution redrivable period exceeded"
    return reason
