"""Removing executions that ended long ago, in batches that hold nobody up.

An execution that another one has started is kept as long as that one is: a redrive of the parent finds the child by its
name, and must not start it again. The children of a map run go with their parent. Definitions are kept; they are few,
since they are stored by their content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.core.execution import ABORTED, FAILED, SUCCEEDED, TIMED_OUT
from engine.step import Connection
from engine.stores import Store, rows
from engine.stores.sql import statements

ENDED: Final = (SUCCEEDED, FAILED, TIMED_OUT, ABORTED)
BATCH: Final = 500
BELONGINGS: Final = ("frames", "history", "signals", "map_runs")
"""The tables in which rows belong to an execution."""


def prune(store: Store, before: float, statuses: Sequence[str] = ENDED, *, count_only: bool = False) -> Iterator[int]:
    """Remove what ended before that moment (seconds since the epoch); answers the size of each batch once it is gone.

    `count_only`: only count. One transaction for each batch; breaking off between two loses nothing.
    """
    for status in statuses:
        last = (0.0, 0)
        while True:
            with store.aside(reading=True) as db:
                found = _ended(db, status, before, last)
                keys = [key for key, _, header in found if not _is_needed(db, header, before)]
            if not found:
                break
            key, started, _ = found[-1]
            last = (started, key)
            if keys and not count_only:
                for key in keys:
                    yield from _remove_children(store, key, before)
                with store.transaction() as db:
                    keys = _childless(db, _still(db, keys, before))
                    _remove(db, keys)
            if keys:
                yield len(keys)


def _ended(db: Connection, status: str, before: float, last: tuple[float, int]) -> list[tuple[int, float, str]]:
    """The next ones, those that began first first: key, start, header."""
    started, key = last
    parameters = (status, started, before, started, key, before, BATCH)
    found: list[tuple[int, float, str]] = db.execute(statements("portable")["ended"], parameters).fetchall()
    return found


def _is_needed(db: Connection, header: str, before: float) -> bool:
    """Whether it was started by an execution that stays."""
    name = rows.parent(header)
    if name is None:
        return False
    found = db.execute(statements("portable")["stopped_at"], (name,)).fetchall()
    return bool(found) and (found[0][0] is None or found[0][0] >= before)


def _remove_children(store: Store, parent: int, before: float) -> Iterator[int]:
    """Remove the children of the map runs of an execution, and theirs before; answers the size of each batch."""
    sql = statements("portable")
    while True:
        with store.reading() as db:
            found = db.execute(sql["ended_children"], (parent, BATCH)).fetchall()
        if not found:
            return
        for child, runs in found:
            if runs:
                yield from _remove_children(store, child, before)
        with store.transaction() as db:
            keys = [child for child, _ in found] if _still(db, [parent], before) else []
            _remove(db, keys)
        if not keys:
            return
        yield len(keys)


def _childless(db: Connection, keys: Sequence[int]) -> list[int]:
    """Those without children that still run."""
    text = statements("portable")["any_child"]
    return [key for key in keys if not db.execute(text, (key,)).fetchall()]


def _still(db: Connection, keys: Sequence[int], before: float) -> list[int]:
    """Those that have not been redriven since they were read."""
    text = statements("portable")["still_ended"].replace("(?)", _holes(keys))
    return [key for (key,) in db.execute(text, (*keys, before)).fetchall()]


def _remove(db: Connection, keys: Sequence[int]) -> None:
    if keys:
        for table in BELONGINGS:
            db.execute(f"DELETE FROM {table} WHERE execution IN {_holes(keys)}", tuple(keys))
        db.execute(f"DELETE FROM executions WHERE id IN {_holes(keys)}", tuple(keys))


def _holes(keys: Sequence[Any]) -> str:
    return f"({', '.join('?' * len(keys))})"
