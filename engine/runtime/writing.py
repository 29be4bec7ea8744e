"""One batch of a worker: everything that was decided since the last one, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from engine.core.events import ScheduleTask
from engine.errors import EngineError, LeaseLost, StoreUnavailable
from engine.machine import StateMachine
from engine.runtime.held import Held
from engine.runtime.making import Calls
from engine.runtime.simulate import Outcome
from engine.stores import KEEP, Begun, Change, Start, Store

Changes = list[tuple[Held, Change]]


class Submission(NamedTuple):
    """An execution to be started and run by this very worker."""

    start: Start
    machine: StateMachine
    future: Future[Outcome]


class Batch(NamedTuple):
    """What became durable; what came too late, since others own it; what cannot be written, with the reason."""

    written: Changes
    begun: Sequence[tuple[Submission, Begun]] = ()
    lost: Sequence[Held] = ()
    refused: Sequence[tuple[Held, Exception]] = ()


class _Late(Exception):
    """The batch holds what transactional steps wrote for executions that others own: it must not be committed."""

    def __init__(self, late: list[Held]) -> None:
        super().__init__()
        self.late = late


def write(store: Store, calls: Calls, dirty: Iterable[Held], submitted: Sequence[Submission], now: float) -> Batch:
    """Write what was decided on `dirty`, start what was `submitted`, and make the transactional calls inside.

    Raises StoreUnavailable and LeaseLost, with everything as it was before.
    """
    changes = _changes(dirty, now)
    try:
        if submitted or calls.within:
            return _write_within(store, calls, changes, submitted, now)
        lost = store.commit([change for _, change in changes]) if changes else frozenset()
    except EngineError:
        raise
    except Exception:
        return _one_by_one(store, changes)
    return _batch(changes, [], lost)


def _write_within(store: Store, calls: Calls, changes: Changes, submitted: Sequence[Submission], now: float) -> Batch:
    """The same when more than changes are to be written, or steps have their say inside the transaction."""
    # A transactional step must find its execution as it was committed, and its result must count when it is: what has
    # been decided beside it goes first, and of each execution there is one such call at a time.
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
                lost = store.commit([change for _, change in [*changes, *made]]) if changes or made else frozenset()
                late = [held for held, _ in made if held.key in lost]
                if late:
                    raise _Late(late)
        except BaseException as problem:
            for held, _ in within.values():
                held.advance = None
            if not isinstance(problem, _Late):
                raise
            gone += problem.late
            for held in problem.late:
                del within[held.key]
            continue
        calls.within.clear()
        calls.within.extend(later)
        batch = _batch([*changes, *made], list(zip(submitted, begun, strict=True)), lost)
        return batch._replace(lost=[*batch.lost, *gone], refused=refused)


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


def _one_by_one(store: Store, changes: Changes) -> Batch:
    """Something in the batch cannot be written: find out what, so that it does not hold up the others."""
    written: Changes = []
    lost: list[Held] = []
    refused: list[tuple[Held, Exception]] = []
    for held, change in changes:
        try:
            late = store.commit([change])
        except EngineError:
            raise
        except Exception as problem:
            refused.append((held, problem))
        else:
            (lost.append(held) if late else written.append((held, change)))
    return Batch(written, [], lost, refused)


def _batch(changes: Changes, begun: Sequence[tuple[Submission, Begun]], lost: frozenset[int]) -> Batch:
    if not lost:
        return Batch(changes, begun)
    written = [(held, change) for held, change in changes if held.key not in lost]
    return Batch(written, begun, [held for held, _ in changes if held.key in lost])
