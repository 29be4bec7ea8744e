"""One batch of a worker: everything that was decided since the last one, in one transaction."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from engine.errors import EngineError, ExecutionAlreadyExists, ExecutionBusy, LeaseLost, StoreUnavailable
from engine.machine import StateMachine
from engine.runtime.held import Held
from engine.runtime.kinship import write
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

    def held(self, key: int) -> Held:
        """The execution, as it is begun."""
        decision = self.start.decision
        held = Held(key, decision.apply(), 1)
        held.machine = self.machine
        held.follower, held.history = self.future, list(decision.history)
        return held


class Batch(NamedTuple):
    """What became durable; what came too late, since others own it; what cannot be written, with the reason; and what
    is left, since the store went away half-way. `entered`: by their keys, new executions that have gone on already."""

    written: Changes
    begun: Sequence[tuple[Submission, Begun | Exception]] = ()
    lost: Sequence[Held] = ()
    refused: Sequence[tuple[Held, Exception]] = ()
    left: Sequence[Held] = ()
    unbegun: Sequence[Submission] = ()
    entered: Mapping[int, Held] = MappingProxyType({})


class Flight:
    """A batch on its way to the disk. Its executions hold still until it has landed: what happens to them meanwhile
    waits (`Held.later`)."""

    __slots__ = ("_landed", "_result", "_store", "changes", "submitted")

    def __init__(self, store: Store, dirty: Iterable[Held], submitted: Sequence[Submission], now: float) -> None:
        self.changes = changes_of(dirty, now)
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
        begun, late = stored(store, starts, changes)
    except EngineError:
        raise
    except Exception:
        return one_by_one(store, changes, submitted)
    return without(changes, list(zip(submitted, begun, strict=True)), late)


def stored(store: Store, starts: Sequence[Start], changes: Changes) -> tuple[Sequence[Begun], frozenset[int]]:
    """Write starts and changes; answers what became of the starts, and the keys of what came too late."""
    return write(store, starts, [(held.execution, change) for held, change in changes])


def changes_of(dirty: Iterable[Held], now: float) -> Changes:
    """The changes to write. What was late or repeated has changed nothing."""
    changes = []
    for held in dirty:
        if held.advance is not None or held.aside is not None:
            change = held.change(now)
            decision = change.decision
            if decision.history or decision.frames or decision.commands or held.signals or change.wakes != KEEP:
                changes.append((held, change))
            else:
                held.advance, held.fed = None, []
    return changes


def one_by_one(store: Store, changes: Changes, submitted: Sequence[Submission]) -> Batch:
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
            late = _tried(lambda given: stored(store, [], [given])[1], (held, change))
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


def without(changes: Changes, begun: Sequence[tuple[Submission, Begun | Exception]], lost: frozenset[int]) -> Batch:
    if not lost:
        return Batch(changes, begun)
    written = [(held, change) for held, change in changes if held.key not in lost]
    return Batch(written, begun, [held for held, _ in changes if held.key in lost])
