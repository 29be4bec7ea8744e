"""What a step gets beside its arguments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from engine.core.events import ScheduleTask
from engine.core.execution import Execution
from engine.core.tokens import task_token
from engine.runtime.clock import Clock
from engine.runtime.pausing import Pauses
from engine.step import Connection
from engine.stores import Store
from engine.telemetry.logs import permitted
from engine.values import JSON

logger = logging.getLogger("engine")


class EngineHost:
    """The engine's side of hooks and steps: database, clock, settings, log. See `engine.step.Host`.

    `aside`: transactions have a connection of their own, since those that ask for them run beside the store's owner.
    `log_keys`: names of fields that may be logged beside the engine's own.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Mapping[str, str],
        *,
        aside: bool = False,
        log_keys: frozenset[str] = frozenset(),
    ) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings
        self.log_keys = log_keys
        self.pauses = Pauses(store)
        self._aside = aside

    def beside(self) -> EngineHost:
        """The same for whoever works beside the store's owner."""
        return EngineHost(self.store, self.clock, self.settings, aside=True, log_keys=self.log_keys)

    def transaction(self, *, reading: bool = False) -> AbstractContextManager[Connection]:
        return self.store.aside(reading=reading) if self._aside else self.store.transaction()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def log(self, message: str, *, warning: bool = False, **fields: JSON) -> None:
        level = logging.WARNING if warning else logging.INFO
        if logger.isEnabledFor(level):
            shown = permitted(fields, self.log_keys)
            logger.log(level, "%s%s", message, _fields(shown), extra={"said": message, "fields": shown})


class CallContext:
    """The StepContext of one call. See `engine.step.StepContext`. `running`: the execution, as it was committed."""

    __slots__ = (
        "_beat",
        "_command",
        "_host",
        "attempt",
        "clock",
        "deadline",
        "execution",
        "notes",
        "running",
        "settings",
        "state",
    )

    def __init__(
        self, host: EngineHost, execution: Execution, command: ScheduleTask, beat: Callable[[str], None]
    ) -> None:
        self._host = host
        self._beat = beat
        self._command = command
        self.clock = host.clock
        self.notes: list[str] = []
        self.running = execution
        self.execution = execution.name
        self.state = command.state
        self.attempt = command.attempt
        self.deadline = command.due
        self.settings = host.settings

    @property
    def call(self) -> str:
        """The call inside its execution, `<path>#<number>`: the same for every delivery, another one for each retry."""
        return self._command.token

    @property
    def idempotency_key(self) -> str:
        return f"{self.execution}/{self._command.key}"

    @property
    def token(self) -> str:
        return task_token(self.running, self._command.token)

    def now(self) -> datetime:
        return self._host.now()

    def sleep(self, seconds: float) -> None:
        """Wait on the engine's clock."""
        self._host.clock.sleep(seconds)

    def remaining(self, limit: float) -> float:
        if self.deadline is None:
            return limit
        return max(0.0, min(limit, self.deadline - self._host.clock.now()))

    def heartbeat(self) -> None:
        self._beat(self._command.token)

    def log(self, message: str, *, warning: bool = False, **fields: JSON) -> None:
        self._host.log(message, warning=warning, execution=self.execution, state=self.state, **fields)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def transaction(self, *, reading: bool = False) -> AbstractContextManager[Connection]:
        return self._host.transaction(reading=reading)


def _fields(fields: Mapping[str, JSON]) -> str:
    return "".join(f" {name}={value}" for name, value in fields.items())
