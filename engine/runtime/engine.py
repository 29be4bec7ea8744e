"""`Engine`: the durable front door. Start, run, resume, stop and look at executions."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.core.decide import decide
from engine.core.events import (
    Decision,
    Event,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionStopped,
    HistoryEvent,
    TaskFailed,
    TaskHeartbeat,
    TaskSucceeded,
)
from engine.core.execution import DEFAULT_HISTORY_LIMIT, RUNNING, TASK, Execution
from engine.core.history import render
from engine.definition import load
from engine.errors import InvalidInput, InvalidToken, UnknownStep, UnsupportedResource
from engine.machine import StateMachine
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.context import EngineHost
from engine.runtime.inline import InlineRun, Observer
from engine.runtime.simulate import Outcome
from engine.states.moments import format_timestamp
from engine.states.task import Task
from engine.step import StepRegistry
from engine.stores import Store, Stored, Summary, open_store
from engine.values import JSON, MAX_PAYLOAD_BYTES, check_json, content_hash, exceeds

Events = list[HistoryEvent]
Definition = StateMachine | dict[str, JSON] | str | os.PathLike[str]
NAME_CHARACTERS = 80
FORBIDDEN = set(' \t\r\n<>{}[]?*"#%\\^|~`$&,;:/')


class Engine:
    """Runs flows durably.

    `store`: a URL (`sqlite:///bookings.db`, `memory:`). `steps`: a package name, a mapping of names to functions, or a
    StepRegistry. `settings`: what steps read as `ctx.settings` (default: the process environment). `clock`: the real
    one by default. Use it as a context manager, or call `close`. Belongs to one thread.

    Raises StoreUnavailable, StoreTooNew, StepRegistrationError.
    """

    def __init__(
        self,
        store: str = "sqlite:///bookings.db",
        *,
        steps: str | StepRegistry | Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        history_limit: int = DEFAULT_HISTORY_LIMIT,
    ) -> None:
        self.steps = StepRegistry.of(steps)
        self.history_limit = history_limit
        self._store: Store = open_store(store)
        self._host = EngineHost(self._store, clock or SystemClock(), os.environ if settings is None else settings)
        self._machines: dict[str, StateMachine] = {}
        for hook in self.steps.hooks["open"]:
            hook(self._host)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store. Executions that wait go on with the next `resume`."""
        self._store.close()

    # -- starting and running --------------------------------------------------------------------------------------

    def start(self, flow: Definition, input: JSON = None, *, name: str | None = None) -> Outcome:
        """Start an execution durably and return at once; `resume` runs it.

        Starting the same name with the same input again answers the first one. Raises DefinitionError, InvalidInput,
        UnknownStep, UnsupportedResource, ExecutionAlreadyExists.
        """
        machine = self._machine(flow)
        name = name or _new_name()
        self._create(machine, input, name, runs=0)
        return self._outcome(self._store.load(name).execution)

    def run(
        self, flow: Definition, input: JSON = None, *, name: str | None = None, observer: Observer | None = None
    ) -> Outcome:
        """Start an execution and drive it to its end in this thread.

        `observer` gets each batch of history events once it is durable. An execution of that name and input which
        exists already is driven on from where it is. The outcome's status is RUNNING when only a callback from outside
        (`send_task_success`) can move it on. Raises as `start`, and ExecutionBusy.
        """
        machine = self._machine(flow)
        name = name or _new_name()
        with self._store.own(name):
            first = self._create(machine, input, name, runs=1)
            if first is None:
                return self._finish(self._take_over(name, observer))
            run = InlineRun(self._host, self.steps, machine, first.execution, 1, observer)
            run.carry_out(first)
            return self._finish(run)

    def resume(self, name: str, *, observer: Observer | None = None) -> Outcome:
        """Drive an execution on after its process ended. One that is over answers its outcome.

        Raises ExecutionNotFound, ExecutionBusy.
        """
        with self._store.own(name):
            return self._finish(self._take_over(name, observer))

    def unfinished(self) -> list[str]:
        """Names of the executions that are RUNNING, the oldest first."""
        return [found.name for found in reversed(self._store.list(status=RUNNING, limit=1_000_000))]

    def stop(self, name: str, *, error: str | None = None, cause: str | None = None) -> Outcome:
        """End an execution as ABORTED. Raises ExecutionNotFound, ExecutionBusy."""
        return self._feed(name, ExecutionStopped(self._host.clock.now(), error, cause))

    def _create(self, machine: StateMachine, input: JSON, name: str, *, runs: int) -> Decision | None:
        """Write a new execution with its first decision; None when the very same one exists already."""
        _check_name(name)
        given = {} if input is None else input
        problem = check_json(given)
        if problem is None and exceeds(given):
            problem = f"it is larger than {MAX_PAYLOAD_BYTES} bytes"
        if problem is not None:
            raise InvalidInput(f"the input is not acceptable: {problem}")
        flow = Path(machine.file).stem if machine.file else "flow"
        fresh = Execution(name, given, machine_id=flow, history_limit=self.history_limit, runs=runs)
        decision = decide(machine, fresh, ExecutionStarted(self._host.clock.now()))
        created = self._store.create(decision, flow, machine.source, machine.file)
        return decision if created else None

    def _take_over(self, name: str, observer: Observer | None = None) -> InlineRun:
        """The driver of an execution that exists, with everything that it waits for asked for again."""
        stored = self._store.load(name)
        run = self._driver(stored, observer)
        run.feed(ExecutionResumed(self._host.clock.now()))
        return run

    def _driver(self, stored: Stored, observer: Observer | None = None) -> InlineRun:
        machine = self._stored_machine(stored)
        return InlineRun(self._host, self.steps, machine, stored.execution, stored.version, observer)

    def _finish(self, run: InlineRun) -> Outcome:
        execution = run.run()
        whole = bool(run.history) and run.history[0][0] == 1
        return self._outcome(execution, run.history if whole else None)

    def _outcome(self, execution: Execution, events: Events | None = None) -> Outcome:
        # Not read on demand: an outcome outlives its engine.
        found = self._store.history(execution.name) if events is None else events
        return Outcome(execution, lambda: found)

    # -- callbacks -------------------------------------------------------------------------------------------------

    def send_task_success(self, token: str, output: JSON) -> Outcome:
        """The result of a `.waitForTaskToken` call; the execution is driven on. Raises InvalidToken, ExecutionBusy."""
        problem = check_json(output)
        if problem is not None:
            raise InvalidInput(f"the output is not acceptable: {problem}")
        name, inner = _split_token(token)
        return self._answer(name, inner, TaskSucceeded(inner, output, self._host.clock.now()))

    def send_task_failure(self, token: str, error: str | None = None, cause: str | None = None) -> Outcome:
        """A `.waitForTaskToken` call failed; the execution is driven on. Raises InvalidToken, ExecutionBusy."""
        name, inner = _split_token(token)
        return self._answer(name, inner, TaskFailed(inner, error, cause, self._host.clock.now()))

    def send_task_heartbeat(self, token: str) -> Outcome:
        """A `.waitForTaskToken` call goes on. Raises InvalidToken, ExecutionBusy."""
        name, inner = _split_token(token)
        return self._answer(name, inner, TaskHeartbeat(inner, self._host.clock.now()))

    def _answer(self, name: str, inner: str, event: Event) -> Outcome:
        with self._store.own(name):
            stored = self._store.load(name)
            frame = stored.execution.frames.get(inner.partition("#")[0])
            if frame is None or frame.wait != TASK or str(frame.token) != inner.partition("#")[2]:
                raise InvalidToken(f"nothing waits for the token {name}:{inner} (any more)")
            run = self._driver(stored)
            run.feed(event)
            return self._finish(run) if not isinstance(event, TaskHeartbeat) else self._outcome(run.execution)

    def _feed(self, name: str, event: Event) -> Outcome:
        with self._store.own(name):
            run = self._driver(self._store.load(name))
            run.feed(event)
            return self._outcome(run.execution)

    # -- looking ---------------------------------------------------------------------------------------------------

    def describe(self, name: str) -> dict[str, Any]:
        """One execution: name, flow, status, times, input, output, error, cause, and what each frame waits for.

        Raises ExecutionNotFound.
        """
        stored = self._store.load(name)
        execution = stored.execution
        return {
            "name": execution.name,
            "flow": execution.machine_id,
            "file": stored.file,
            "status": execution.status,
            "started": _moment(execution.started),
            "stopped": _moment(execution.stopped),
            "input": execution.input,
            "output": execution.output,
            "error": execution.error,
            "cause": execution.cause,
            "waiting": [
                {"path": frame.path, "state": frame.state, "for": frame.wait, "until": _moment(frame.wakes)}
                for frame in execution.frames.values()
                if frame.wait is not None
            ],
        }

    def history(self, name: str) -> list[dict[str, Any]]:
        """The events of an execution in the shape of GetExecutionHistory. Raises ExecutionNotFound."""
        return render(self._store.history(name))

    def events(self, name: str) -> list[HistoryEvent]:
        """The events of an execution as they are stored, with the steps' notes. Raises ExecutionNotFound."""
        return self._store.history(name)

    def list(self, *, status: str | None = None, since: datetime | None = None, limit: int = 100) -> Sequence[Summary]:
        """Executions, the youngest first."""
        return self._store.list(status=status, since=since.timestamp() if since else 0.0, limit=limit)

    # -- machines --------------------------------------------------------------------------------------------------

    def _machine(self, flow: Definition) -> StateMachine:
        """The machine of a flow, read if need be, with all its resources at hand."""
        machine = flow if isinstance(flow, StateMachine) else load(flow, steps=self.steps.names())
        for state in machine.walk():
            if isinstance(state, Task):
                if state.resource.scheme != "step":
                    raise UnsupportedResource(
                        f"state {state.name!r}: the resource {state.resource.uri!r} cannot be called here; "
                        "only step:NAME can"
                    )
                if state.resource.name not in self.steps:
                    raise UnknownStep(
                        f"state {state.name!r}: there is no step {state.resource.name!r}; see: engine steps"
                    )
        return machine

    def _stored_machine(self, stored: Stored) -> StateMachine:
        """The machine that a stored execution began with, whatever its file says today."""
        digest = content_hash(stored.source)
        if digest not in self._machines:
            machine = load(stored.source)
            machine.file = stored.file
            self._machines[digest] = machine
        return self._machines[digest]


def _new_name() -> str:
    return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_CHARACTERS or FORBIDDEN & set(name) or not name.isprintable():
        raise InvalidInput(
            f"{name!r} is no execution name: use 1 to {NAME_CHARACTERS} letters, digits, hyphens, underscores or dots"
        )


def _split_token(token: str) -> tuple[str, str]:
    name, _, inner = token.rpartition(":")
    if not name or "#" not in inner:
        raise InvalidToken(f"{token!r} is no task token")
    return name, inner


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else format_timestamp(seconds)
