"""Where executions live. A store writes each decision in one transaction or not at all.

`open_store("sqlite:///bookings.db")` is a file (the default kind); `open_store("memory:")` is the same store on a
database that lives in this process, for tests and trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from engine.core.events import Decision, HistoryEvent
from engine.core.execution import Execution
from engine.errors import StoreUnavailable
from engine.step import Connection
from engine.values import JSON


class Stored(NamedTuple):
    """An execution as it was read: `version` goes back into `commit`; `source` is its definition as JSON."""

    execution: Execution
    version: int
    source: JSON
    file: str | None


class Summary(NamedTuple):
    """One line of a list of executions. Times in seconds since the epoch; `state` of the root while it runs."""

    name: str
    flow: str
    status: str
    started: float
    stopped: float | None
    error: str | None
    state: str | None


class Store(Protocol):
    """The contract of a store.

    One store object belongs to one thread. Every method is one transaction, or joins the one that
    `transaction()` opened. Trouble of the database raises StoreUnavailable with what to do.
    """

    url: str

    def transaction(self) -> AbstractContextManager[Connection]:
        """Everything inside is committed together at its end, or not at all when it raises."""

    def create(self, decision: Decision, flow: str, source: JSON, file: str | None) -> bool:
        """Write a new execution with its first decision. False when the same one (name and input) exists already.

        Raises ExecutionAlreadyExists when the name is taken by another input.
        """

    def load(self, name: str) -> Stored:
        """Read an execution with its frames. Raises ExecutionNotFound."""

    def commit(self, version: int, decision: Decision) -> int:
        """Write a decision that was made on `version`; answers the new version. Raises Conflict."""

    def history(self, name: str) -> list[HistoryEvent]:
        """Every history event, oldest first. Raises ExecutionNotFound."""

    def list(self, *, status: str | None = None, since: float = 0.0, limit: int = 100) -> Sequence[Summary]:
        """Executions, the youngest first."""

    def own(self, name: str) -> AbstractContextManager[None]:
        """Hold the execution against every other process. The lock ends with the process. Raises ExecutionBusy."""

    def close(self) -> None:
        """Give everything back."""


def open_store(url: str) -> Store:
    """Open a store by its URL, creating it if need be. Raises StoreUnavailable, StoreTooNew."""
    if url.startswith("sqlite:///") or url in ("memory:", "sqlite:"):
        from engine.stores.sqlite import SqliteStore  # sqlite3 costs start-up time that a simulation need not pay

        return SqliteStore(url)
    raise StoreUnavailable(f"{url!r} is no store: write sqlite:///path/to/file.db or memory:")
