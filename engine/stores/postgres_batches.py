"""A batch as the columns of the statements `start` and `commit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from engine.core.events import Decision
from engine.core.execution import RUNNING, SUCCEEDED
from engine.stores import KEEP, Change, Start, rows
from engine.stores.postgres_arrays import float8s, int8s, texts

Columns = tuple[Callable[[Sequence[Any]], bytes], ...]
START: Final[Columns] = (
    *(texts, texts, texts, int8s, float8s, texts, int8s, int8s, int8s, float8s, float8s, texts),
    *(texts, texts, texts, texts, texts, texts, int8s, texts),
)
"""The types of the columns of the statement `start`."""
CHANGE: Final[Columns] = (
    *(int8s, int8s, int8s, float8s, texts, texts, int8s, int8s, int8s, float8s, texts, texts),
    *(texts, texts, texts, int8s, texts),
)
"""Those of `commit`."""


def start_columns(starts: Sequence[Start], owner: int | None) -> list[bytes]:
    """The parameters of `start`."""
    return _columns(START, (_start_row(start, owner) for start in starts))


def change_columns(changes: Sequence[Change]) -> list[bytes]:
    """The parameters of `commit`, without the owner."""
    return _columns(CHANGE, map(_change_row, changes))


def _columns(kinds: Columns, found: Iterable[tuple[Any, ...]]) -> list[bytes]:
    return [kind(column) for kind, column in zip(kinds, zip(*found, strict=True), strict=True)]


def _start_row(start: Start, owner: int | None) -> tuple[Any, ...]:
    history = start.decision.history
    return (*rows.start_row(start, owner), history[0][0], rows.history_text(history))


def _change_row(change: Change) -> tuple[Any, ...]:
    """The values of the statement `commit`."""
    execution, history = change.decision.execution, change.decision.history
    going_on = execution.status == RUNNING
    state, frame = rows.root(change.decision) if execution.status != SUCCEEDED else (None, None)
    return (
        change.key,
        change.version,
        int(going_on and change.wakes == KEEP),
        change.wakes,
        execution.status,
        state,
        execution.events,
        execution.sequence,
        execution.runs,
        execution.stopped,
        rows.optional(execution.error),
        rows.optional(execution.cause),
        frame,
        rows.encode(execution.output) if execution.status == SUCCEEDED else None,
        change.parked,
        history[0][0] if history else 0,
        rows.history_text(history) if history else None,
    )


def narrow(decisions: Iterable[Decision]) -> bool:
    """Whether none of them changes another frame than the root, with nothing beside it: then there are no rows of
    frames to write."""
    return not any(map(rows.wide, decisions))


def distinct(starts: Sequence[Start]) -> bool:
    """Whether they all have names of their own."""
    return len({start.decision.execution.name for start in starts}) == len(starts)


def late_ones(changes: Sequence[Change], written: Sequence[tuple[int]]) -> frozenset[int]:
    """The keys of the changes that found their execution in other hands."""
    if len(written) == len(changes):
        return frozenset()
    return frozenset(change.key for change in changes) - {key for (key,) in written}
