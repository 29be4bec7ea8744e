"""Connections to a SQLite database of the engine: opening, transactions, migrations, and words for what goes wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from engine.errors import StoreTooNew, StoreUnavailable
from engine.step import Connection
from engine.stores.sql import migrations

APPLICATION_ID: Final = 0x41534C46  # "ASLF": tells our files from other SQLite databases
BUSY_SECONDS: Final = 10.0
WAL_PAGES: Final = 4000
"""The log is written back to the database at that size (16 MB): more often costs more, less often lets it grow."""


class Database(sqlite3.Connection):
    """What steps get: a connection that says whose SQL it speaks."""

    dialect: Final = "sqlite"


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection on which transactions begin and end where our code says so. `None`: a database in memory."""
    connection = sqlite3.connect(
        path or ":memory:",
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        cached_statements=256,
        factory=Database,
    )
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {WAL_PAGES}"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


class Transactions:
    """The transactions of one connection; one inside another is a savepoint."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.depth = 0

    @contextmanager
    def begin(self, kind: str = "IMMEDIATE") -> Iterator[Connection]:
        """Committed at the end of the block, rolled back when it raises. DEFERRED: to read what belongs together."""
        name = f"level_{self.depth}"
        self.connection.execute(f"SAVEPOINT {name}" if self.depth else f"BEGIN {kind}")
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


def migrate(connection: Any, url: str) -> None:
    """Bring the tables up to date, inside the caller's transaction. Raises StoreTooNew, StoreUnavailable."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    steps = migrations("sqlite")
    newest = steps[-1].number
    if owner not in (0, APPLICATION_ID) or (owner == 0 and version == 0 and _has_tables(connection)):
        raise StoreUnavailable(f"{url} is another application's database; choose another file")
    if version > newest:
        raise StoreTooNew(
            f"{url} was written by a newer version (schema {version}, this one knows {newest}); "
            "upgrade this installation"
        )
    for migration in steps[version:]:
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {migration.number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Say what is wrong with the database and what to do, instead of SQLite's words."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.OperationalError as problem:
        raise StoreUnavailable(f"{url}: {problem}. {_advice(str(problem))}") from problem
    except sqlite3.DatabaseError as problem:
        raise StoreUnavailable(f"{url}: {problem}. Is it a database of this engine?") from problem


def _has_tables(connection: Any) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())


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
