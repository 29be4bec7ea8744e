"""What calls come to: a function given by the caller, or the engine's steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from engine.core.events import Event, ScheduleTask, TaskFailed, TaskSubmitted, TaskSucceeded
from engine.core.execution import Execution
from engine.errors import StoreUnavailable
from engine.runtime.calls import Declined, invoke
from engine.runtime.clock import Clock
from engine.runtime.context import CallContext
from engine.runtime.simulate import TaskCall, Tasks
from engine.step import Connection, StepError, StepRegistry, TaskAnswer, TaskTimeout
from engine.values import JSON


class Resources:
    """Makes calls. `tasks(call)` answers them all if it is given; else `steps` answers those of `step:`."""

    def __init__(self, tasks: Tasks | None, steps: StepRegistry, settings: Mapping[str, str], clock: Clock) -> None:
        self.tasks = tasks
        self.steps = steps
        self.clock = clock
        self.host = _Host(settings, clock)

    def answer(self, execution: str, command: ScheduleTask, beat: Callable[[str], None]) -> list[Event]:
        """Make a call; answers the events that say how it went.

        No event, or only TaskSubmitted, means that the result comes some other way, or never. `beat(token)` is called
        when the work says that it goes on. Whatever else `tasks` raises passes through: it is a mistake in there.
        """
        if self.tasks is not None:
            return self._ask(self.tasks, execution, command)
        resource, now = command.resource, self.clock.now()
        if resource.scheme != "step" or resource.name not in self.steps:
            cause = f"The resource {resource.uri} cannot be called here."
            return [TaskFailed(command.token, "States.Runtime", cause, now, now)]
        context: Any = CallContext(self.host, Execution(execution, None), command, beat)  # type: ignore[arg-type]
        try:
            return invoke(self.steps.get(resource.name), command, context, self.steps.schemas)
        except Declined as declined:
            return [declined.event]

    def _ask(self, tasks: Tasks, execution: str, command: ScheduleTask) -> list[Event]:
        token, started = command.token, self.clock.now()
        submitted: JSON = None
        ending: list[Event] = []
        try:
            answer = tasks(TaskCall(execution, command))
            if isinstance(answer, TaskAnswer):
                submitted, answer = answer.submitted, answer.result
            ending = [TaskSucceeded(token, answer, self.clock.now(), started)]
        except TaskTimeout as timeout:
            submitted = getattr(timeout, "submitted", None)
        except StepError as failure:
            submitted, now = failure.submitted, self.clock.now()
            ending = [TaskFailed(token, failure.error, failure.cause, now, started, failure.retry_after)]
        if submitted is not None and command.resource.waits:
            return [TaskSubmitted(token, submitted, self.clock.now(), started), *ending]
        return ending


class _Host:
    """The engine's side of steps; without a database, which the service does not have."""

    def __init__(self, settings: Mapping[str, str], clock: Clock) -> None:
        self.settings = settings
        self.clock = clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def transaction(self, *, reading: bool = False) -> AbstractContextManager[Connection]:
        raise StoreUnavailable("a step that writes to the engine's database runs under Engine, not under this service")
