"""The threads of one process that write to one SQLite file: they take turns, and those who wait share a commit.

SQLite lets one connection write at a time, and whoever comes meanwhile looks again after 1 to 100 ms, in no order. Here
threads of the same process wait for each other instead, and a transaction that ends while others wait leaves its commit
to the last of them: each is a savepoint of one transaction, none is over before all of it is on the disk.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from engine.stores.sqlite_connection import BUSY_SECONDS, Beginning

LONGEST_SECONDS: Final = 0.005
"""A group that is older takes in nobody else: its members have waited long enough."""
LOOK_SECONDS: Final = 0.05
"""How long members wait before they see for themselves whether somebody is left to commit."""


class Group:
    """Transactions that are committed together. `problem`: why none of them was."""

    __slots__ = ("began", "over", "problem")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.over = threading.Event()
        self.problem: Exception | None = sqlite3.OperationalError("the commit was interrupted")

    def end(self, problem: Exception | None) -> None:
        """It is on the disk, or undone."""
        self.problem = problem
        self.over.set()


class WriteTurns:
    """Whose turn it is to write. `connect`: opens the connection that groups share."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._beginning = Beginning()
        self._group: Group | None = None  # the open one; it is for whoever has the turn to touch

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The turn, for a transaction on a connection of one's own. Raises OperationalError after BUSY_SECONDS."""
        self._take()
        try:
            self._commit()
            yield
        finally:
            self._turn.release()

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """A transaction that may share its commit. When the block is left it is on the disk, or an error says that it
        is not. Whoever comes later in a group sees what its members wrote: so all wait for it, those that failed too.
        """
        connection, group = self._join()
        try:
            yield connection
            connection.execute("RELEASE member")
        except BaseException as problem:
            self._undo(connection, group, problem)
            raise
        finally:
            if not self._waiting:
                self._commit()
            self._turn.release()
            self._wait(group)

    def close(self) -> None:
        """Close the connection of the groups; nobody may be in one."""
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> None:
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise sqlite3.OperationalError("database is locked")

    def _join(self) -> tuple[sqlite3.Connection, Group]:
        """Take the turn, and a place in the group; its connection."""
        self._wait_for(+1)
        try:
            self._take()
        finally:
            self._wait_for(-1)
        try:
            if self._group is not None and time.monotonic() > self._group.began + LONGEST_SECONDS:
                self._commit()
            if self._connection is None:
                self._connection = self._connect()
            if self._group is None:
                self._beginning(self._connection)
                self._group = Group()
            self._connection.execute("SAVEPOINT member")
        except BaseException:
            self._turn.release()
            raise
        return self._connection, self._group

    def _wait_for(self, one: int) -> None:
        with self._count:
            self._waiting += one

    def _undo(self, connection: sqlite3.Connection, group: Group, problem: BaseException) -> None:
        """Undo what one member wrote."""
        if connection.in_transaction:
            connection.execute("ROLLBACK TO member")
            connection.execute("RELEASE member")
        else:  # a disk that is full, say: SQLite has undone everything
            self._group = None
            group.end(sqlite3.OperationalError(str(problem)))

    def _commit(self) -> None:
        """End the open group, if there is one. What goes wrong is for its members."""
        group, self._group = self._group, None
        if group is None or self._connection is None:
            return
        problem = group.problem
        try:
            self._connection.execute("COMMIT")
            problem = None
        except sqlite3.Error as failure:
            problem = failure
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        finally:
            group.end(problem)

    def _wait(self, group: Group) -> None:
        """Until the group is over. Raises OperationalError when none of it was written."""
        while not group.over.wait(LOOK_SECONDS):
            # Whoever was to commit may have given up waiting for the turn.
            if self._turn.acquire(blocking=False):
                try:
                    if self._group is group:
                        self._commit()
                finally:
                    self._turn.release()
        if group.problem is not None:
            raise sqlite3.OperationalError(str(group.problem))
