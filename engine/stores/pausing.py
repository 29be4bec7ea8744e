"""Pausing in a store: one execution, or the steps whose names fit a pattern.

A paused execution is due at no time: nobody takes it up. Whoever runs it is told by a signal, and gives it back. A
step that is paused is known by a row; workers read these rows twice a second, and an execution that would call the
step parks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from engine.core.execution import RUNNING
from engine.errors import ExecutionEnded, ExecutionNotFound
from engine.step import Connection
from engine.stores import Store, rows
from engine.stores.sql import statements

PAUSED: Final = "ExecutionPaused"
"""The signal that asks an owner to give an execution back."""
SIGNAL: Final = rows.encode({"event": PAUSED})
BATCH: Final = 1000


class Pause(NamedTuple):
    """A pattern of step names that are not to be called, since when (seconds since the epoch), and why."""

    pattern: str
    since: float
    reason: str | None


def pause(store: Store, name: str, now: float) -> bool:
    """Pause an execution; False when it was paused before. Raises ExecutionNotFound, ExecutionEnded."""
    sql = statements("portable")
    with store.transaction() as db:
        if not db.execute(sql["pause"], (now, name)).rowcount:
            check_running(store, db, name)
            return False
        db.execute(sql["tell_owner"], (SIGNAL, name))
        store.announce()
    return True


def unpause(store: Store, name: str) -> bool:
    """Let a paused execution go on at once; False when it was not paused. Raises ExecutionNotFound, ExecutionEnded."""
    sql = statements("portable")
    with store.transaction() as db:
        if not db.execute(sql["unpause"], (name,)).rowcount:
            check_running(store, db, name)
            return False
        db.execute(sql["untell_owner"], (SIGNAL, name))
        store.announce()
    return True


def paused_since(store: Store, name: str) -> float | None:
    """Since when an execution is paused, if it is. Raises ExecutionNotFound."""
    with store.reading() as db:
        return _status(store, db, name)[1]


def check_running(store: Store, db: Connection, name: str) -> None:
    """Raises ExecutionNotFound, ExecutionEnded."""
    status, _ = _status(store, db, name)
    if status != RUNNING:
        raise ExecutionEnded(f"execution {name!r} has ended: {status}")


def _status(store: Store, db: Connection, name: str) -> tuple[str, float | None]:
    found: list[tuple[str, float | None]] = db.execute(statements("portable")["status_of"], (name,)).fetchall()
    if not found:
        raise ExecutionNotFound(f"there is no execution {name!r} in {store.url}; see: engine list")
    return found[0]


def pauses(store: Store) -> Sequence[Pause]:
    """What is paused, by pattern. From any thread."""
    with store.aside(reading=True) as db:
        return _pauses(db)


def _pauses(db: Connection) -> list[Pause]:
    return [Pause(*row) for row in db.execute(statements("portable")["pauses"]).fetchall()]


def pause_step(store: Store, pattern: str, now: float, reason: str | None) -> None:
    """Have the steps that fit not be called. Again with another reason: the time stays."""
    with store.transaction() as db:
        db.execute(statements("portable")["pause_step"], (pattern, now, reason))
        store.announce()


def unpause_step(store: Store, pattern: str, now: float, rate: float | None) -> int | None:
    """Have them called again. Executions that are parked there go on at `rate` a second, those that began first first;
    None: all at once. Answers how many they are, None when that pattern was not paused."""
    sql = statements("portable")
    with store.transaction() as db:
        if not db.execute(sql["unpause_step"], (pattern,)).rowcount:
            return None
        left = [found.pattern for found in _pauses(db)]
        released = 0
        for key, names in _parked(db):
            fits = any(fnmatchcase(name, pattern) for name in names)
            if not fits or any(fnmatchcase(name, other) for name in names for other in left):
                continue
            at = now if rate is None else now + released / rate
            released += db.execute(sql["release"], (at, at, key)).rowcount
        store.announce()
    return released


def release_strays(store: Store, now: float) -> None:
    """Let go on at once what is parked, with no time to wake, before steps none of which is paused: a process may have
    parked it in the very moment in which the pause ended."""
    with store.aside(reading=True) as db:
        patterns = [found.pattern for found in _pauses(db)]
        strays = [
            key
            for key, names in _parked(db)
            if not any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
        ]
    if not strays:
        return
    with store.transaction() as db:
        for key in strays:
            db.execute(statements("portable")["release_stray"], (now, key))


def parked_at(store: Store, pattern: str) -> int:
    """How many executions are parked before steps that fit."""
    with store.reading() as db:
        return sum(any(fnmatchcase(name, pattern) for name in names) for _, names in _parked(db))


def _parked(db: Connection) -> Iterator[tuple[int, list[str]]]:
    """The keys of the executions that are parked, with the steps they are parked before."""
    last = 0
    while True:
        found = db.execute(statements("portable")["parked"], (last, BATCH)).fetchall()
        if not found:
            return
        for last, names in found:
            yield last, names.split(" ")
