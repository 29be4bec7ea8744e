"""Connections to a SQLite database of the engine: opening, transactions, and words for what goes wrong."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from engine.errors import StoreUnavailable
from engine.step import Connection

APPLICATION_ID: Final = 0x41534C46  # "ASLF": tells our files from other SQLite databases
OLDEST: Final = (3, 37, 0)
"""The first version with STRICT tables."""
BUSY_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.0005
"""How long until somebody who waits for SQLite's lock looks again, in a crowd."""
CROWD_SECONDS: Final = 1.0
"""How long a crowd is expected to last after a wait."""
IMMEDIATE: Final = "IMMEDIATE"
WAL_PAGES: Final = 4000
"""The log is written back to the database at that size (16 MB): more often costs more, less often lets it grow."""


class Database(sqlite3.Connection):
    """What steps get: a connection that says whose SQL it speaks."""

    dialect: Final = "sqlite"


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection on which transactions begin and end where our code says so. `None`: a database in memory."""
    connection = bare(path)
    try:
        _use_wal(connection)
        for pragma in ("synchronous = FULL", f"wal_autocheckpoint = {WAL_PAGES}"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Only the first connection ever changes the mode. SQLite does not wait for its turn at that, so we do."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def bare(path: Path | None) -> sqlite3.Connection:
    """A connection that has changed nothing, and refuses another application's file. Raises StoreUnavailable."""
    if sqlite3.sqlite_version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise StoreUnavailable(
            f"this Python brings SQLite {sqlite3.sqlite_version}; {wanted} or newer is needed: use a newer Python"
        )
    connection = sqlite3.connect(
        path or ":memory:",
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        cached_statements=256,
        factory=Database,
    )
    try:
        connection.execute("BEGIN")  # both answers from one moment: somebody may be making the tables right now
        (ours,) = connection.execute("PRAGMA application_id").fetchone()
        empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
        connection.execute("COMMIT")
        if ours != APPLICATION_ID and not (ours == 0 and empty):
            raise StoreUnavailable(f"{path} is another application's database; choose another file")
    except BaseException:
        connection.close()
        raise
    return connection


class Beginning:
    """Begins what writes on one connection.

    SQLite tells nobody that its lock is free. Whoever waits looks again after 1 ms, and ever more seldom, up to ten
    times a second: those that have waited longest wait longest, beside a worker that commits all the time. So where
    there is a crowd, everybody looks equally often. Saying so to SQLite costs as much as an empty transaction, and is
    left out where there is none.
    """

    __slots__ = ("_crowd",)

    def __init__(self) -> None:
        self._crowd = 0.0  # until when others are expected

    def __call__(self, connection: Any) -> None:
        """BEGIN IMMEDIATE. Raises OperationalError after BUSY_SECONDS."""
        now = time.monotonic()
        if now > self._crowd:
            connection.execute("BEGIN IMMEDIATE")
        else:
            _look_often(connection, now + BUSY_SECONDS)
        if time.monotonic() > now + LOOK_SECONDS:
            self._crowd = now + CROWD_SECONDS


def _look_often(connection: Any, until: float) -> None:
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(LOOK_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_SECONDS)}")


class Transactions:
    """The transactions of one connection; one inside another is a savepoint."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.depth = 0
        self._beginning = Beginning()

    @contextmanager
    def begin(self, kind: str = IMMEDIATE) -> Iterator[Connection]:
        """Committed at the end of the block, rolled back when it raises. DEFERRED: to read what belongs together."""
        name = f"level_{self.depth}"
        if self.depth or kind != IMMEDIATE:
            self.connection.execute(f"SAVEPOINT {name}" if self.depth else f"BEGIN {kind}")
        else:
            self._beginning(self.connection)
        self.depth += 1
        try:
            yield cast(Connection, self.connection)
            self.connection.execute(f"RELEASE {name}" if self.depth > 1 else "COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                if self.depth > 1:
                    self.connection.execute(f"ROLLBACK TO {name}")
                    self.connection.execute(f"RELEASE {name}")
                else:
                    self.connection.execute("ROLLBACK")
            raise
        finally:
            self.depth -= 1


class explained:
    """Say what is wrong with the database and what to do, instead of SQLite's words.

    A class, since around every statement a generator would cost more than what it watches over.
    """

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if not isinstance(problem, sqlite3.DatabaseError) or isinstance(problem, sqlite3.IntegrityError):
            return
        advice = "Is it a database of this engine?"
        if isinstance(problem, sqlite3.OperationalError):
            advice = _advice(str(problem))
        raise StoreUnavailable(f"{self._url}: {problem}. {advice}") from problem


def _advice(problem: str) -> str:
    """The next step for what SQLite says."""
    advice = {
        "locked": f"Another process has held it for {BUSY_SECONDS:.0f} s; end that one, or try again",
        "readonly": "Make the file and its folder writable, or choose another with --store",
        "unable to open": "Create the folder, or choose another file with --store",
        "full": "Free some space on the disk, then: engine resume",
        "disk I/O": "Check the disk, then: engine resume",
    }
    return next((text for words, text in advice.items() if words in problem), "Choose another file with --store") + "."
