"""Executions that start others with `states:startExecution`, among the state machines of the service.

Source: AWS Step Functions Developer Guide, "Start a new AWS Step Functions state machine from a running execution".
"""

from __future__ import annotations

from typing import Final

from engine.core.events import ExecutionStopped, ScheduleTask, TaskFailed, TaskSubmitted, TaskSucceeded
from engine.core.execution import RUNNING
from engine.service.driver import Driver
from engine.service.errors import ApiError
from engine.service.executions import begin
from engine.service.parameters import check
from engine.service.records import Records, Run
from engine.service.shapes import OPERATIONS
from engine.tasks.flows import DEEPEST, described
from engine.values import JSON, dump

PARAMETERS: Final = {
    "StateMachineArn": "stateMachineArn",
    "Input": "input",
    "Name": "name",
    "TraceHeader": "traceHeader",
}
"""Those of `startExecution`, and what StartExecution calls them."""
SYNC: Final = ("sync", "sync:2")


class Nested:
    """Starts executions for others, tells of their ends, and stops those that nobody waits for any more."""

    def __init__(self, records: Records, driver: Driver) -> None:
        self._records = records
        self._driver = driver

    def start(self, run: Run, command: ScheduleTask) -> None:
        """Start what a call asks for; the execution that made it goes on, waits for the end, or for a task token."""
        now, token, pattern = self._driver.now(), command.token, command.resource.pattern
        try:
            child = begin(self._records, self._driver, _request(command.arguments), self._deeper(run))
        except ApiError as refused:
            self._driver.feed(run, TaskFailed(token, _error(refused.code), refused.message, now, now))
            return
        receipt = {"ExecutionArn": child.arn, "StartDate": round(child.execution.started * 1000)}
        if not pattern:
            self._driver.feed(run, TaskSucceeded(token, receipt, now, now))
            return
        self._driver.feed(run, TaskSubmitted(token, receipt, now, now))
        if pattern in SYNC:
            run.nested[token] = child
            child.waiters.append((run, token, pattern))
            if child.execution.status != RUNNING:
                self.ended(child)

    def ended(self, run: Run) -> None:
        """An execution has ended that others wait for."""
        waiters, run.waiters = run.waiters, []
        for parent, token, pattern in waiters:
            parent.nested.pop(token, None)
            self._driver.feed(parent, described(run.execution, token, pattern))

    def leave(self, run: Run) -> None:
        """Stop those that an execution does not wait for any more: its call timed out, or it has ended."""
        for token, child in list(run.nested.items()):
            if not run.tasks[token].open:
                del run.nested[token]
                child.waiters = [waiter for waiter in child.waiters if waiter[0] is not run]
                self._driver.feed(child, ExecutionStopped(self._driver.now()))

    def _deeper(self, run: Run) -> int:
        if run.depth >= DEEPEST:
            raise ApiError("States.Runtime", f"more than {DEEPEST} executions stand inside one another")
        return run.depth + 1


def _request(arguments: JSON) -> dict[str, JSON]:
    """The parameters of StartExecution. Raises ApiError."""
    given = arguments if isinstance(arguments, dict) else {}
    unknown = given.keys() - PARAMETERS.keys()
    if "StateMachineArn" not in given or unknown:
        said = f"startExecution has no parameter {min(unknown)}" if unknown else "StateMachineArn is missing"
        raise ApiError("States.Runtime", said)
    params = {PARAMETERS[name]: value for name, value in given.items() if value is not None}
    if "input" in params and not isinstance(params["input"], str):
        params["input"] = dump(params["input"])
    return check(OPERATIONS["StartExecution"], params)


def _error(code: str) -> str:
    """The name of an error of StartExecution, as tasks fail with it."""
    if code.startswith("States."):
        return code
    return f"StepFunctions.{code.removesuffix('Exception')}Exception"
