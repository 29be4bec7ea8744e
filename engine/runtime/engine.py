"""`Engine`: the durable front door. Start, run, resume, stop and look at executions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from engine.core.events import (
    Decision,
    ExecutionStopped,
    HistoryEvent,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSucceeded,
)
from engine.core.execution import DEFAULT_HISTORY_LIMIT, RUNNING, TASK, Execution, Frame
from engine.core.history import render
from engine.errors import (
    ExecutionAlreadyExists,
    ExecutionBusy,
    ExecutionPaused,
    InvalidInput,
    InvalidToken,
    LeaseLost,
    TaskDoesNotExist,
    TaskTimedOut,
    WorkerRunning,
)
from engine.machine import StateMachine
from engine.runtime import children
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.context import EngineHost
from engine.runtime.family import Family
from engine.runtime.inline import Inbox, InlineRun, Observer
from engine.runtime.kinship import Starter, child_of
from engine.runtime.machines import Definition, Machines, begin, new_name
from engine.runtime.operations import Operations
from engine.runtime.signals import Sendable, accepted, signal_of
from engine.runtime.simulate import Outcome
from engine.states.moments import format_timestamp
from engine.step import StepRegistry
from engine.stores import Start, Store, Stored, Summary, Wanted, map_runs, open_store
from engine.stores.pausing import paused_since
from engine.tasks import Resources
from engine.tasks.activities import ActivityTask, activity_arn, drop, take
from engine.values import JSON, MAX_PAYLOAD_BYTES, check_json, exceeds

Events = list[HistoryEvent]
POLL_SECONDS = 60.0
"""How long `get_activity_task` waits for work (AWS)."""
LOOK_SECONDS = 0.1
"""How often it looks for some."""
STOP_PATIENCE = 5.0
"""Seconds that `stop` waits for the process that runs the execution."""


class Engine(Operations):
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
        self.store_address = store
        self._store: Store = open_store(store)
        self.host = EngineHost(
            self._store,
            clock or SystemClock(),
            os.environ if settings is None else settings,
            log_keys=self.steps.log_keys,
        )
        self._host = self.host
        self.workers = 0
        self.resources = Resources(self.steps)
        self.machines = Machines(self._store, self.resources)
        self.resources.starter = Starter(self._store, self.machines, self.host.clock, history_limit)
        self.resources.children = children.step(self._store, self.machines)
        for hook in self.steps.hooks["open"]:
            hook(self.host)

    @property
    def store_url(self) -> str:
        """The store's URL, without a password."""
        return self._store.url

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store. Executions that wait go on with the next `resume`.

        Raises WorkerRunning, and closes nothing, while a worker runs: taking its connection away would end the process.
        """
        if self.workers:
            raise WorkerRunning
        self._store.close()

    # -- starting and running --------------------------------------------------------------------------------------

    def start(self, flow: Definition, input: JSON = None, *, name: str | None = None) -> Outcome:
        """Start an execution durably and return at once; `resume` runs it.

        Starting the same name with the same input again answers the first one. Raises DefinitionError, InvalidInput,
        UnknownStep, UnsupportedResource, ExecutionAlreadyExists.
        """
        machine = self.machines.ready(flow)
        name = name or new_name()
        created = self._create(machine, input, name, owned=False)
        if created is None:
            return self._outcome(self._store.load(name).execution)
        decision = created[1]
        return self._outcome(decision.execution, decision.history)

    def run(
        self, flow: Definition, input: JSON = None, *, name: str | None = None, observer: Observer | None = None
    ) -> Outcome:
        """Start an execution and drive it to its end in this thread.

        `observer` gets each batch of history events once it is durable, and first an empty one when the execution has a
        past. An execution of that name and input which
        exists already is driven on from where it is. The outcome's status is RUNNING when only a callback from outside
        (`send_task_success`) can move it on. Raises as `start`, and ExecutionBusy.
        """
        machine = self.machines.ready(flow)
        name = name or new_name()
        created = self._create(machine, input, name, owned=True)
        if created is None:
            return self.resume(name, observer=observer)
        begun, decision = created
        run = InlineRun(self.host, self.resources, machine, begun, observer)
        return self._drive(run, lambda: run.carry_out(decision))

    def resume(self, name: str, *, observer: Observer | None = None) -> Outcome:
        """Drive an execution on after its process ended. One that is over answers its outcome.

        Raises ExecutionNotFound, ExecutionBusy, ExecutionPaused.
        """
        self._check_not_paused(name)
        run = self._driver(self._store.take(name), observer)
        return self._drive(run, run.resume)

    def unfinished(self) -> list[str]:
        """Names of the executions that are RUNNING, the oldest first."""
        return [found.name for found in reversed(self._store.list(Wanted(RUNNING, limit=1_000_000)))]

    def stop(self, name: str, *, error: str | None = None, cause: str | None = None) -> Outcome:
        """End an execution as ABORTED. The process that runs it, if one does, is told and waited for a moment; the
        outcome's status is RUNNING when it has not answered yet. Raises ExecutionNotFound."""
        known = self._store.load(name).execution
        if known.status != RUNNING:
            return self._outcome(known)
        event = ExecutionStopped(self.host.clock.now(), error, cause)
        try:
            run = self._driver(self._store.take(name))
        except ExecutionBusy:
            self._store.post(name, signal_of(event))
            return self._told(name, event)
        run.feed(event)
        return self._outcome(run.execution)

    def _create(self, machine: StateMachine, input: JSON, name: str, *, owned: bool) -> tuple[Stored, Decision] | None:
        """Write a new execution with its first decision; None when the very same one exists already."""
        input = self.steps.prepared(self.host, name, input)
        pins, now = self.machines.pins(machine), self.host.clock.now()
        decision = begin(
            machine, input, name, now, runs=int(owned), limit=self.history_limit, pins=pins, apart=not owned
        )
        flow, digest = decision.execution.machine_id, self.machines.digest(machine)
        # Alone, the start may be one trip to the store; with a definition that is new there, it is one transaction.
        with nullcontext() if self.machines.kept(machine) else self._store.transaction():
            self.machines.keep(machine)
            (begun,) = self._store.create([Start(decision, flow, digest, owned)])
        if begun.key is not None:
            return Stored(begun.key, decision.execution, 1, digest), decision
        if not begun.same:
            raise ExecutionAlreadyExists(f"execution {name!r} exists with another input; choose another name")
        return None

    def _driver(self, stored: Stored, observer: Observer | None = None, inbox: Inbox | None = None) -> InlineRun:
        machine = self.machines.of(stored.definition)
        return InlineRun(self.host, self.resources, machine, stored, observer, inbox)

    def _drive(self, run: InlineRun, begin: Callable[[], None]) -> Outcome:
        """To its end, or until only a callback can move it on. Whatever breaks it off, the execution is given back."""
        family = Family(run, lambda child, inbox: self._driver(self._store.take(child), None, inbox))
        try:
            begin()
            execution = family.run()
        except BaseException as problem:
            if not isinstance(problem, LeaseLost):
                family.give_back(self.host.clock.now())
            raise
        whole = bool(run.history) and run.history[0][0] == 1
        return self._outcome(execution, run.history if whole else None)

    def _outcome(self, execution: Execution, events: Events | None = None) -> Outcome:
        # Not read on demand: an outcome outlives its engine.
        found = self._store.history(execution.name) if events is None else events
        return Outcome(execution, lambda: found)

    # -- callbacks -------------------------------------------------------------------------------------------------

    def send_task_success(self, token: str, output: JSON, *, drive: bool = True) -> Outcome:
        """The result of a `.waitForTaskToken` call or an activity.

        The execution is driven on, here or by the process that runs it; with `drive=False` the result is left durably
        for the process that runs it, or for the next that will. A second answer changes nothing.

        Raises InvalidToken, TaskDoesNotExist, TaskTimedOut (it was answered before, or has timed out), InvalidInput.
        """
        problem = check_json(output)
        if problem is None and exceeds(output):
            problem = f"it is larger than {MAX_PAYLOAD_BYTES} bytes"
        if problem is not None:
            raise InvalidInput(f"the output is not acceptable: {problem}")
        name, inner = self._answered(token)
        return self._send(name, TaskSucceeded(inner, output, self.host.clock.now()), drive=drive)

    def send_task_failure(
        self, token: str, error: str | None = None, cause: str | None = None, *, drive: bool = True
    ) -> Outcome:
        """A `.waitForTaskToken` call or an activity failed. `drive` and errors as of send_task_success."""
        name, inner = self._answered(token)
        return self._send(name, TaskFailed(inner, error, cause, self.host.clock.now()), drive=drive)

    def _answered(self, token: str) -> tuple[str, str]:
        """The execution and the call of a token that is answered now."""
        name, inner, _ = accepted(self._store, token)
        with self._store.transaction() as db:
            drop(db, token)
        return name, inner

    def send_task_heartbeat(self, token: str) -> Outcome:
        """The work on a `.waitForTaskToken` call or an activity goes on: restarts HeartbeatSeconds.

        Raises InvalidToken, TaskDoesNotExist, TaskTimedOut.
        """
        name, inner, _ = accepted(self._store, token)
        return self._send(name, TaskHeartbeat(inner, self.host.clock.now()), drive=False)

    def get_activity_task(
        self, activity: str, *, worker: str | None = None, wait: float = POLL_SECONDS
    ) -> ActivityTask | None:
        """Ask for work: the oldest task of an activity, given by its name or ARN; None when none has come after `wait`
        seconds.

        It is handed out once, and answered with its token by `send_task_success`, `send_task_failure`; meanwhile
        `send_task_heartbeat` restarts HeartbeatSeconds, which begin now. `worker`: who asks, for the history.
        """
        arn, until = activity_arn(activity), time.monotonic() + wait
        while True:
            task = self._take(arn, worker)
            if task is not None or time.monotonic() >= until:
                return task
            time.sleep(min(LOOK_SECONDS, max(0.0, until - time.monotonic())))

    def _take(self, arn: str, worker: str | None) -> ActivityTask | None:
        """The oldest task that something waits for; those before it are dropped."""
        while True:
            with self._store.transaction() as db:
                now = self.host.clock.now()
                task = take(db, arn, worker, now)
                if task is None:
                    return None
                try:
                    name, inner, _ = accepted(self._store, task.token)
                except (TaskDoesNotExist, TaskTimedOut, InvalidToken):
                    drop(db, task.token)
                    continue
                self._store.tell([(name, signal_of(TaskStarted(inner, now, worker)))])
                return task

    def _send(self, name: str, event: Sendable, *, drive: bool) -> Outcome:
        """Let an event happen to an execution: here if it is free and to be driven, else through whoever runs it."""
        self._store.post(name, signal_of(event))
        if not drive:
            return self._outcome(self._store.load(name).execution)
        try:
            self._check_not_paused(name)
            run = self._driver(self._store.take(name))
        except (ExecutionBusy, ExecutionPaused):
            return self._told(name, event)
        return self._drive(run, run.resume)

    def _told(self, name: str, event: Sendable) -> Outcome:
        """The process that runs the execution has been told; one that is to stop is waited for."""
        until = time.monotonic() + STOP_PATIENCE
        while True:
            execution = self._store.load(name).execution
            if execution.status != RUNNING or not isinstance(event, ExecutionStopped) or time.monotonic() > until:
                return self._outcome(execution)
            time.sleep(STOP_PATIENCE / 250)

    # -- looking ---------------------------------------------------------------------------------------------------

    def describe(self, name: str) -> dict[str, Any]:
        """One execution: name, flow, status, times, input, output, error, cause, and what each frame waits for; the
        `parent` that has started it, the `child` that a frame waits for, and the `map_runs` with their counts, if any.

        Raises ExecutionNotFound.
        """
        stored = self._store.load(name)
        execution = stored.execution
        return {
            "name": execution.name,
            "flow": execution.machine_id,
            "file": self.machines.file(stored.definition),
            "status": execution.status,
            "paused": _moment(paused_since(self._store, name)),
            "started": _moment(execution.started),
            "stopped": _moment(execution.stopped),
            "input": execution.input,
            "output": execution.output,
            "error": execution.error,
            "cause": execution.cause,
            **({"map_runs": runs} if (runs := self._map_runs(execution)) else {}),
            **({"parent": execution.parent["name"]} if execution.parent else {}),
            "waiting": [
                _waiting(frame)
                for frame in (execution.frames.values() if execution.status == RUNNING else ())
                if frame.wait is not None
            ],
        }

    def _map_runs(self, execution: Execution) -> list[dict[str, JSON]]:
        """The counts of its map runs, the oldest first."""
        if not execution.spreads:
            return []
        with self._store.reading() as db:
            return [map_runs.told(run) for run in map_runs.of(db, execution.name)]

    def history(self, name: str) -> list[dict[str, Any]]:
        """The events of an execution in the shape of GetExecutionHistory. Raises ExecutionNotFound."""
        return render(self._store.history(name))

    def events(self, name: str) -> list[HistoryEvent]:
        """The events of an execution as they are stored, with the steps' notes. Raises ExecutionNotFound."""
        return self._store.history(name)

    def list(
        self,
        *,
        status: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        state: str | None = None,
        flow: str | None = None,
        paused: bool | None = None,
        map_of: str | None = None,
    ) -> Sequence[Summary]:
        """Executions, the youngest first. `state`: running ones whose root is in that state. `paused`: only those that
        are paused, or that are not. `map_of`: the children of the map runs of that execution, else no such children."""
        wanted = Wanted(status, since.timestamp() if since else 0.0, limit, state, flow, paused, map_of)
        return self._store.list(wanted)


def _waiting(frame: Frame) -> dict[str, Any]:
    """What a frame waits for; `parked`: the paused step that it stands before; `child`: the execution it started."""
    told = {"path": frame.path, "state": frame.state, "for": frame.wait, "until": _moment(frame.wakes)}
    if frame.wait == TASK and "held" in frame.call:
        told["parked"] = frame.call["held"]
    child = child_of(frame)
    return told if child is None else {**told, "child": child}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else format_timestamp(seconds)
