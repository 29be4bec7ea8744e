"""`StepFunctionsApi`: AWS's operations by name, with boto3's parameters and answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.errors import StoreUnavailable
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.simulate import Tasks
from engine.service import activities, executions, machines, map_runs, tags, validation, versions
from engine.service.calling import Resources
from engine.service.driver import Driver
from engine.service.errors import ApiError
from engine.service.nested import Nested
from engine.service.paging import dated, undated
from engine.service.parameters import check
from engine.service.records import Records
from engine.service.shapes import OPERATIONS
from engine.service.state_test import test_state
from engine.step import StepRegistry

POLL_SECONDS: Final = 60.0
"""How long GetActivityTask waits for work (AWS)."""

READING: Final[dict[str, Callable[[Records, dict[str, Any]], dict[str, Any]]]] = {
    "DeleteActivity": activities.delete_activity,
    "DeleteStateMachine": machines.delete_machine,
    "DeleteStateMachineAlias": versions.delete_alias,
    "DeleteStateMachineVersion": versions.delete_version,
    "DescribeActivity": activities.describe_activity,
    "DescribeMapRun": map_runs.describe_map_run,
    "DescribeStateMachine": machines.describe_machine,
    "DescribeStateMachineAlias": versions.describe_alias,
    "DescribeStateMachineForExecution": executions.describe_machine_for_execution,
    "GetExecutionHistory": executions.execution_history,
    "ListActivities": activities.list_activities,
    "ListExecutions": executions.list_executions,
    "ListMapRuns": map_runs.list_map_runs,
    "ListStateMachineAliases": versions.list_aliases,
    "ListStateMachineVersions": versions.list_versions,
    "ListStateMachines": machines.list_machines,
    "ListTagsForResource": tags.list_tags,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
}
"""Operations that need the records only."""

DATED: Final[dict[str, Callable[[Records, dict[str, Any], float], dict[str, Any]]]] = {
    "CreateActivity": activities.create_activity,
    "CreateStateMachine": machines.create_machine,
    "CreateStateMachineAlias": versions.create_alias,
    "DescribeExecution": executions.describe_execution,
    "PublishStateMachineVersion": versions.publish_version,
    "UpdateStateMachine": machines.update_machine,
    "UpdateStateMachineAlias": versions.update_alias,
}
"""Operations that need the time as well."""

RUNNING: Final[dict[str, Callable[[Records, Driver, dict[str, Any]], dict[str, Any]]]] = {
    "RedriveExecution": executions.redrive_execution,
    "SendTaskFailure": activities.send_task_failure,
    "SendTaskHeartbeat": activities.send_task_heartbeat,
    "SendTaskSuccess": activities.send_task_success,
    "StartExecution": executions.start_execution,
    "StopExecution": executions.stop_execution,
}
"""Operations that move executions on."""


class StepFunctionsApi:
    """AWS Step Functions in process. Thread-safe. State is kept in memory and ends with the process.

    `store`: "memory:", the only one so far. `tasks`: a function that answers every task, as for `engine.simulate`, but
    for activities, which workers take with GetActivityTask. Without it `step:` resources are called in `steps` (a
    package name, a mapping, a StepRegistry), `states:startExecution` starts a state machine of this object, and any
    other fails. `settings`: what steps read (default: the process environment). `poll_seconds`: how long
    GetActivityTask waits.

    Wherever AWS takes a JSON text (`input`, `definition`, …) a JSON value that is no string does as well.

    Executions run in threads of this object; `close`, or a `with` block, ends them.
    """

    def __init__(
        self,
        store: str = "memory:",
        tasks: Tasks | None = None,
        *,
        steps: str | StepRegistry | Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        if store != "memory:":
            raise StoreUnavailable(f"{store!r} is no store of this service: it keeps its state in memory (memory:)")
        self._clock = clock or SystemClock()
        self._records = Records()
        known = os.environ if settings is None else settings
        self._resources = Resources(tasks, StepRegistry.of(steps), known, self._clock)
        self._driver = Driver(self._records, self._resources, self._clock)
        if tasks is None:
            self._driver.nested = Nested(self._records, self._driver)
        self._poll_seconds = poll_seconds

    def __enter__(self) -> StepFunctionsApi:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def join(self, execution_arn: str, timeout: float | None = None) -> bool:
        """Wait until a Standard execution has ended, at most `timeout` seconds; says whether it has.

        Raises ApiError.
        """
        with self._records.lock:
            run = self._records.run(execution_arn)
        return run.over.wait(timeout)

    def close(self) -> None:
        """Stop the threads. Executions stay as they are, and nothing moves them on any more."""
        self._driver.close()

    def call(self, operation: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Carry out an operation, named as in AWS's API Reference. Raises ApiError."""
        if operation not in OPERATIONS:
            raise ApiError("UnknownOperationException", f"There is no operation {operation!r}")
        given = check(OPERATIONS[operation], dict(params or {}))
        if operation == "StartSyncExecution":
            return self._start_sync(given)
        if operation == "TestState":
            return test_state(given, self._resources)
        if operation == "ValidateStateMachineDefinition":
            return validation.validate_definition(given)
        with self._records.lock:
            if operation in READING:
                now = self._clock.now()
                return dated(READING[operation](self._records, undated(given, now)), now)
            if operation in DATED:
                return DATED[operation](self._records, given, self._clock.now())
            if operation == "UpdateMapRun":
                return map_runs.update_map_run(self._records, self._driver.children, given)
            if operation == "GetActivityTask":
                return activities.get_activity_task(self._records, self._driver, given, self._poll_seconds)
            return RUNNING[operation](self._records, self._driver, given)

    def _start_sync(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._records.lock:
            run = executions.start_sync_execution(self._records, self._driver, params)
        run.over.wait()
        return executions.sync_answer(run, params)
