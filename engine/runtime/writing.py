"""One batch of a worker: everything that was decided since the last one, in one transaction."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple, TypeVar

from engine.core.events import ScheduleTask
from engine.errors import EngineError, ExecutionAlreadyExists, ExecutionBusy, LeaseLost, StoreUnavailable
from engine.machine import StateMachine
from engine.runtime.held import Held
from engine.runtime.kinship import write
from engine.runtime.making import Calls
from engine.runtime.simulate import Outcome
from engine.stores import KEEP, Begun, Change, Start, Store

Changes = list[tuple[Held, Change]]
Given = TypeVar("Given")
Answer = TypeVar("Answer")


class Submission(NamedTuple):
    """An execution to be started and run by this very worker."""

    start: Start
    machine: StateMachine
    future: Future[Outcome]

    def refuse(self, begun: Begun | Exception) -> None:
        """It does not run here: its name is taken, or it cannot be written."""
        name = self.start.decision.execution.name
        if isinstance(begun, Exception):
            self.future.set_exception(begun)
        elif begun.same:
            text = f"execution {name!r} exists already; look with: engine show {name}"
            self.future.set_exception(ExecutionBusy(text))
        else:
            text = f"execution {name!r} exists with another input; choose another name"
            self.future.set_exception(ExecutionAlreadyExists(text))


class Batch(NamedTuple):
    """What became durable; what came too late, since others own it; what cannot be written, with the reason; and what
    is left, since the store went away half-way."""

    written: Changes
    begun: Sequence[tuple[Submission, Begun | Exception]] = ()
    lost: Sequence[Held] = ()
    refused: Sequence[tuple[Held, Exception]] = ()
    left: Sequence[Held] = ()
    unbegun: Sequence[Submission] = ()


class _Late(Exception):
    """The batch holds what transactional steps wrote for executions that others own: it must not be committed."""

    def __init__(self, late: list[Held]) -> None:
        super().__init__()
        self.late = late


class Flight:
    """A batch on its way to the disk. Its executions hold still until it has landed: what happens to them meanwhile
    waits (`Held.later`)."""

    __slots__ = ("_landed", "_result", "_store", "changes", "submitted")

    def __init__(self, store: Store, dirty: Iterable[Held], submitted: Sequence[Submission], now: float) -> None:
        self.changes = _changes(dirty, now)
        self.submitted = submitted
        self._store = store
        self._landed = threading.Event()
        self._result: Batch | BaseException
        for held, _ in self.changes:
            held.later = []

    @property
    def landed(self) -> bool:
        """Whether it is known what became of it."""
        return self._landed.is_set()

    def fly(self) -> None:
        """Write it, in whatever thread this is."""
        try:
            self._result = _write(self._store, self.changes, self.submitted)
        except BaseException as problem:
            self._result = problem
        self._landed.set()

    def land(self) -> Batch:
        """What became of it, as soon as that is known. Raises StoreUnavailable, LeaseLost: then nothing was written."""
        self._landed.wait()
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class Pilot:
    """The thread in which batches are written while the scheduler decides others."""

    def __init__(self) -> None:
        self._flights: queue.SimpleQueue[Flight] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self, flight: Flight) -> None:
        """Have it written."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._fly, name="writer", daemon=True)
            self._thread.start()
        self._flights.put(flight)

    def _fly(self) -> None:
        while True:
            self._flights.get().fly()


def _write(store: Store, changes: Changes, submitted: Sequence[Submission]) -> Batch:
    """Write what was decided and start what was submitted.

    Raises StoreUnavailable and LeaseLost, with everything as it was before.
    """
    if not changes and not submitted:
        return Batch([])
    starts = [submission.start for submission in submitted]
    try:
        begun, late = _stored(store, starts, changes)
    except EngineError:
        raise
    except Exception:
        return _one_by_one(store, changes, submitted)
    return _batch(changes, list(zip(submitted, begun, strict=True)), late)


def write_within(
    store: Store, calls: Calls, dirty: Iterable[Held], submitted: Sequence[Submission], now: float
) -> Batch:
    """The same when steps have their say inside the transaction."""
    # A transactional step must find its execution as it was committed, and its result must count when it is: what has
    # been decided beside it goes first, and of each execution there is one such call at a time.
    changes = _changes(dirty, now)
    within: dict[int, tuple[Held, ScheduleTask]] = {}
    later = []
    for held, command in calls.within:
        if held.advance is None and held.key not in within:
            within[held.key] = (held, command)
        else:
            later.append((held, command))
    gone: list[Held] = []
    while True:
        try:
            with store.transaction():
                begun = store.create([submission.start for submission in submitted])
                made, refused = _make(calls, within.values(), now)
                _, lost = _stored(store, [], [*changes, *made])
                late = [held for held, _ in made if held.key in lost]
                if late:
                    raise _Late(late)
        except BaseException as problem:
            for held, _ in within.values():
                held.advance = None
            if isinstance(problem, EngineError) or not isinstance(problem, Exception):
                raise
            if not isinstance(problem, _Late):
                if changes or submitted:
                    return _one_by_one(store, changes, submitted)
                if len(within) == 1:
                    calls.within.clear()
                    calls.within.extend(later)
                    return Batch([], lost=gone, refused=[(held, problem) for held, _ in within.values()])
                later += list(within.values())[1:]
                within = dict([next(iter(within.items()))])
                continue
            gone += problem.late
            for held in problem.late:
                del within[held.key]
            continue
        calls.within.clear()
        calls.within.extend(later)
        batch = _batch([*changes, *made], list(zip(submitted, begun, strict=True)), lost)
        return batch._replace(lost=[*batch.lost, *gone], refused=refused)


def _stored(store: Store, starts: Sequence[Start], changes: Changes) -> tuple[Sequence[Begun], frozenset[int]]:
    return write(store, starts, [(held.execution, change) for held, change in changes])


def _make(
    calls: Calls, within: Iterable[tuple[Held, ScheduleTask]], now: float
) -> tuple[Changes, list[tuple[Held, Exception]]]:
    """Make the transactional calls; what follows from each is decided at once."""
    refused: list[tuple[Held, Exception]] = []
    touched: dict[int, Held] = {}
    for held, command in within:
        held.calls.discard(command.token)
        if not held.waits_for(command):
            continue
        try:
            events = calls.make_within(held, command)
        except (StoreUnavailable, LeaseLost):
            held.calls.add(command.token)
            raise
        except EngineError as problem:
            refused.append((held, problem))
            continue
        for event in events:
            held.feed(event)
        touched[held.key] = held
    return _changes(touched.values(), now), refused


def _changes(dirty: Iterable[Held], now: float) -> Changes:
    """The changes to write. What was late or repeated has changed nothing."""
    changes = []
    for held in dirty:
        if held.advance is not None or held.aside is not None:
            change = held.change(now)
            decision = change.decision
            if decision.history or decision.frames or decision.commands or held.signals or change.wakes != KEEP:
                changes.append((held, change))
            else:
                held.advance = None
    return changes


def _one_by_one(store: Store, changes: Changes, submitted: Sequence[Submission]) -> Batch:
    """Something in the batch cannot be written: find out what, so that it does not hold up the others."""
    begun: list[tuple[Submission, Begun | Exception]] = []
    written: Changes = []
    lost: list[Held] = []
    refused: list[tuple[Held, Exception]] = []
    unbegun, left = list(submitted), [held for held, _ in changes]
    with suppress(StoreUnavailable, LeaseLost):  # it will be noticed again with what is left
        for submission in submitted:
            begun.append((submission, _tried(lambda start: store.create([start])[0], submission.start)))
            unbegun.pop(0)
        for held, change in changes:
            late = _tried(lambda given: _stored(store, [], [given])[1], (held, change))
            left.pop(0)
            if isinstance(late, Exception):
                refused.append((held, late))
            else:
                (lost.append(held) if late else written.append((held, change)))
    return Batch(written, begun, lost, refused, left, unbegun)


def _tried(work: Callable[[Given], Answer], given: Given) -> Answer | Exception:
    """What it answers, or raises; trouble of the store passes through."""
    try:
        return work(given)
    except EngineError:
        raise
    except Exception as problem:
        return problem


def _batch(changes: Changes, begun: Sequence[tuple[Submission, Begun | Exception]], lost: frozenset[int]) -> Batch:
    if not lost:
        return Batch(changes, begun)
    written = [(held, change) for held, change in changes if held.key not in lost]
    return Batch(written, begun, [held for held, _ in changes if held.key in lost])
