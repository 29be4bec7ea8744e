"""Run a flow in memory, with virtual time: no store, no I/O, no waiting. A Wait of a year takes no time."""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from engine.core.advance import Advance
from engine.core.decide import handle
from engine.core.events import (
    DeadlineReached,
    Event,
    ExecutionStarted,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TimerFired,
    TimersFired,
)
from engine.core.execution import DEFAULT_HISTORY_LIMIT, RUNNING, Execution
from engine.core.history import render
from engine.definition import load
from engine.errors import InvalidInput
from engine.machine import StateMachine
from engine.step import StepError, TaskAnswer, TaskTimeout
from engine.values import JSON, check_json

NO_TIMEOUT = 99_999_999.0
"""Seconds after which a call without TimeoutSeconds times out on AWS."""

EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""The moment at which a simulation starts when none is given: the same every time."""


class TaskCall:
    """One call of a task, as the `tasks` function sees it.

    `state`: the state's name; `resource`: the URI as written; `arguments`: JSON; `attempt`: from 1; `frame`: path of
    the running branch or iteration; `token`: the task token; `key`: the idempotency key; `deadline`: seconds since
    the epoch or None.
    """

    __slots__ = ("_command", "_execution", "arguments", "state")

    def __init__(self, execution: str, command: ScheduleTask) -> None:
        self._execution = execution
        self._command = command
        self.state = command.state
        self.arguments = command.arguments

    @property
    def attempt(self) -> int:
        attempt: int = self._command.attempt
        return attempt

    @property
    def frame(self) -> str:
        return self._command.path

    @property
    def resource(self) -> str:
        return self._command.resource.uri

    @property
    def token(self) -> str:
        return f"{self._execution}:{self._command.token}"

    @property
    def key(self) -> str:
        return f"{self._execution}/{self._command.key}"

    @property
    def deadline(self) -> float | None:
        return self._command.due


Tasks = Callable[[TaskCall], JSON]


class Outcome:
    """How an execution ended.

    `status`: SUCCEEDED, FAILED, TIMED_OUT or ABORTED (RUNNING when only a callback can move it on). `output`: JSON of a
    succeeded one. `error`, `cause`: text or None.
    `history`: the events in the shape of GetExecutionHistory, made when first asked for. `name`: the execution's.
    """

    __slots__ = ("_events", "_history", "cause", "error", "name", "output", "status")

    def __init__(self, execution: Execution, events: Callable[[], list[HistoryEvent]]) -> None:
        self.name = execution.name
        self.status = execution.status
        self.output = execution.output
        self.error = execution.error
        self.cause = execution.cause
        self._events = events
        self._history: list[dict[str, Any]] | None = None

    @property
    def history(self) -> list[dict[str, Any]]:
        """The events in the shape of GetExecutionHistory, oldest first."""
        if self._history is None:
            self._history = render(self._events())
        return self._history

    def __repr__(self) -> str:
        what = (
            f"output={self.output!r}" if self.status == "SUCCEEDED" else f"error={self.error!r}, cause={self.cause!r}"
        )
        return f"Outcome({self.name!r}, {self.status}, {what})"


def simulate(
    definition: StateMachine | dict[str, JSON] | str | os.PathLike[str],
    input: JSON = None,
    *,
    tasks: Tasks | None = None,
    now: datetime | None = None,
    name: str | None = None,
    type: str = "STANDARD",
    history_limit: int = DEFAULT_HISTORY_LIMIT,
) -> Outcome:
    """Run a flow to its end, in memory and in virtual time.

    `definition`: a flow, a path, text or a dict. `tasks(call)` answers a task's raw result (JSON), or raises
    StepError or TaskTimeout; without it, a Task answers its own arguments. `now`: the moment of the start. `type`:
    STANDARD or EXPRESS. The same arguments give the same outcome, event for event.

    Raises DefinitionError, InvalidInput.
    """
    machine = definition if isinstance(definition, StateMachine) else load(definition)
    problem = check_json(input)
    if problem is not None:
        raise InvalidInput(f"the input is not JSON: {problem}")
    given = {} if input is None else input
    execution = Execution(name or "simulation", given, history_limit=history_limit, express=type == "EXPRESS")
    return _Simulation(machine, execution, tasks or _echo).run(EPOCH if now is None else now.timestamp())


def _echo(call: TaskCall) -> JSON:
    return call.arguments


class _Simulation:
    """Virtual time: a heap of timers, and calls that take none."""

    def __init__(self, machine: StateMachine, execution: Execution, tasks: Tasks) -> None:
        # A simulation owns its execution and keeps the working state: no decision is copied, none is stored.
        self.working = Advance(machine, execution, 0.0)
        self.execution = execution
        self.tasks = tasks
        self.timers: list[tuple[float, int, str]] = []
        self.calls: deque[ScheduleTask] = deque()
        self.order = 0

    def run(self, now: float) -> Outcome:
        self.feed(ExecutionStarted(now))
        if self.execution.deadline is not None:
            self.timer(self.execution.deadline, "")
        while self.execution.status == RUNNING:
            if self.calls:
                self.call(self.calls.popleft(), now)
                continue
            if not self.timers:
                break  # A call that waits for ever, as a callback whose token nobody sends back.
            due, _, token = heapq.heappop(self.timers)
            now = max(now, due)
            if not token:
                self.feed(DeadlineReached(now))
            elif self.timers and self.timers[0][0] == due:
                self.feed(TimersFired([token, *self.tied(due)], now))
            else:
                self.feed(TimerFired(token, now))
        return Outcome(self.execution, lambda: self.working.history)

    def timer(self, due: float, token: str) -> None:
        self.order += 1
        heapq.heappush(self.timers, (due, self.order, token))

    def tied(self, due: float) -> Iterator[str]:
        """The tokens of the other timers that are due at the same moment, but for the deadline."""
        while self.timers and self.timers[0][0] == due and self.timers[0][2]:
            yield heapq.heappop(self.timers)[2]

    def feed(self, event: Event) -> None:
        working = self.working
        handle(working, event)
        if working.commands:
            for command in working.commands:
                if isinstance(command, ScheduleTask):
                    self.calls.append(command)
                elif isinstance(command, StartTimer):
                    self.timer(command.due, command.token)
            working.commands.clear()

    def call(self, command: ScheduleTask, now: float) -> None:
        """Make one call and feed its answer. A time-out comes as the timer that it is."""
        token, waits = command.token, command.resource.waits
        if command.writes:
            self.feed(TaskSucceeded(token, {}, now))  # a simulation has nowhere to write results to
            return
        try:
            answer = self.tasks(TaskCall(self.execution.name, command))
        except TaskTimeout as timeout:
            submitted = getattr(timeout, "submitted", None)
            self.feed(TaskStarted(token, now))
            if waits and submitted is not None:
                self.feed(TaskSubmitted(token, submitted, now))
            limits = [moment for moment in (command.due, command.beat) if moment is not None]
            self.timer(min(limits) if limits else now + NO_TIMEOUT, token)
        except StepError as failure:
            if waits and failure.submitted is not None:
                self.feed(TaskSubmitted(token, failure.submitted, now))
            self.feed(TaskFailed(token, failure.error, failure.cause, now, retry_after=failure.retry_after))
        else:
            if isinstance(answer, TaskAnswer):
                if waits and answer.submitted is not None:
                    self.feed(TaskSubmitted(token, answer.submitted, now))
                answer = answer.result
            self.feed(TaskSucceeded(token, answer, now))
