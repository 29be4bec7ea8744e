"""Durable flows behind requests: started under a name, run by a worker here or elsewhere, waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Final, NamedTuple

from engine.core.execution import RUNNING
from engine.errors import ExecutionAlreadyExists, ExecutionBusy, ExecutionNotFound, LeaseLost
from engine.machine import StateMachine
from engine.runtime.engine import Engine
from engine.runtime.simulate import Outcome
from engine.runtime.worker import Worker
from engine.stores import Store
from engine.values import JSON

FIRST_LOOK, LONGEST_LOOK = 0.01, 0.25
READABLE_SECONDS: Final = 2.0
TOLD_SECONDS: Final = 1.0


class Ending(NamedTuple):
    """How an execution ended: its output, or the error and cause. `status` as of the execution."""

    status: str
    output: JSON = None
    error: str | None = None
    cause: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether there is an output."""
        return self.status == "SUCCEEDED"


class NotStarted(Exception):
    """The store has not taken the execution on in time; it may yet do so."""


class Started:
    """An execution that was begun, or found, under a name."""

    def __init__(self, name: str, future: Future[Outcome] | None) -> None:
        self.name = name
        self.future = future


class Runner:
    """Starts executions and waits for them. Thread-safe.

    `worker`: runs what is started here in this process; without one, a worker elsewhere does. `looking`: a store of its
    own to look at executions with, since a store belongs to one thread.
    """

    def __init__(self, engine: Engine, worker: Worker | None, looking: Store) -> None:
        self.engine = engine
        self.worker = worker
        self._looking = looking
        self._guard = threading.Lock()

    def start(self, machine: StateMachine, given: JSON, name: str) -> Started:
        """Start an execution, durably. One that has the name already is followed, whatever it was given: names are made
        of what a request is about. Raises InvalidInput, StoreUnavailable."""
        if self.worker is not None:
            return Started(name, self.worker.submit(machine, given, name=name))
        with self._guard, suppress(ExecutionAlreadyExists):
            self.engine.start(machine, given, name=name)
        return Started(name, None)

    def wait(self, started: Started, seconds: float, seen: Callable[[], bool]) -> Ending | None:
        """How it ended, or None when it has not within `seconds`; and then not before it is durable, and `seen` says
        that what it is about can be read, or some time has passed in vain. Raises NotStarted."""
        began = time.monotonic()
        until = began + seconds
        while (ending := self._once(started, began, until)) is None and time.monotonic() < until:
            pass
        if ending is not None:
            return ending
        began, patience = time.monotonic(), time.monotonic() + READABLE_SECONDS
        while not (self._exists(started.name) and seen()) and time.monotonic() < patience:
            self._pause(began, patience)
            if (found := self.ended(started.name)) is not None:
                return found
        if not self._exists(started.name):
            raise NotStarted(f"the start of {started.name} is not durable yet")
        return None

    def _exists(self, name: str) -> bool:
        with self._guard:
            try:
                self._looking.load(name)
            except ExecutionNotFound:
                return False
        return True

    def _once(self, started: Started, began: float, until: float) -> Ending | None:
        """Wait a little: for this process's worker, which tells at once, or between two looks into the store."""
        if started.future is None:
            self._pause(began, until)
            return self.ended(started.name)
        try:
            # An execution that sleeps for long is given back to the store, and its end is told by nobody.
            outcome = started.future.result(timeout=max(0.0, min(TOLD_SECONDS, until - time.monotonic())))
        except NotYet:
            return self.ended(started.name)
        except (ExecutionAlreadyExists, ExecutionBusy, LeaseLost):
            started.future = None  # it runs, or has run, elsewhere
            return self.ended(started.name)
        return Ending(outcome.status, outcome.output, outcome.error, outcome.cause)

    def ended(self, name: str) -> Ending | None:
        """How an execution has ended; None while it runs, or when there is none of that name."""
        with self._guard:
            try:
                execution = self._looking.load(name).execution
            except ExecutionNotFound:
                return None
        if execution.status == RUNNING:
            return None
        return Ending(execution.status, execution.output, execution.error, execution.cause)

    def _pause(self, began: float, until: float) -> None:
        waited = time.monotonic() - began
        time.sleep(max(0.0, min(max(FIRST_LOOK, waited / 10), LONGEST_LOOK, until - time.monotonic())))
