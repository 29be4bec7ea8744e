"""The store on SQLite: one file, write-ahead log, every commit on the disk before anything follows from it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Final, cast

from engine.core.events import Decision, HistoryEvent
from engine.core.execution import Execution
from engine.errors import Conflict, ExecutionAlreadyExists, ExecutionNotFound, StoreTooNew, StoreUnavailable
from engine.step import Connection
from engine.stores import Stored, Summary
from engine.stores.ownership import own
from engine.stores.sql import statements
from engine.values import JSON, content_hash, dump, equal

HERE: Final = Path(__file__).parent
SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x464C4F57  # "FLOW": tells our files from other SQLite databases
BUSY_SECONDS: Final = 10.0


class SqliteStore:
    """`sqlite:///path` or `memory:`. See `engine.stores.Store` for the contract."""

    def __init__(self, url: str) -> None:
        self.url = url
        path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
        self.path = Path(path) if path else None
        self.sql = statements(HERE / "queries.sql")
        self._thread = threading.get_ident()
        self._lock = threading.RLock()
        self._inside = False
        with self._trouble():
            self.connection = self._connect()
            self._prepare()

    def _connect(self) -> sqlite3.Connection:
        # autocommit: transactions begin and end where this file says so
        connection = sqlite3.connect(
            self.path or ":memory:", isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _prepare(self) -> None:
        db = self.connection
        with self.transaction():
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            if version > SCHEMA_VERSION:
                raise StoreTooNew(
                    f"{self.url} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION}); "
                    "upgrade this installation"
                )
            if owner not in (0, APPLICATION_ID) or (version == 0 and _has_tables(db)):
                raise StoreUnavailable(f"{self.url} is another application's database; choose another file")
            if version == 0:
                for statement in (HERE / "schema.sql").read_text(encoding="utf-8").split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Say what is wrong with the database and what to do, instead of SQLite's words."""
        try:
            yield
        except sqlite3.OperationalError as problem:
            raise StoreUnavailable(f"{self.url}: {problem}. {_advice(str(problem))}") from problem
        except sqlite3.DatabaseError as problem:
            if isinstance(problem, sqlite3.IntegrityError):
                raise
            raise StoreUnavailable(f"{self.url}: {problem}. Is it a database of this engine?") from problem

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See Store. A step in a thread of its own gets a connection of its own: it must not slip into ours."""
        if self.path is not None and threading.get_ident() != self._thread:
            with self._trouble(), closing(self._connect()) as own_connection, _begin(own_connection):
                yield cast(Connection, own_connection)
            return
        with self._lock:
            if self._inside:
                yield cast(Connection, self.connection)
                return
            self._inside = True
            try:
                with self._trouble(), _begin(self.connection):
                    yield cast(Connection, self.connection)
            finally:
                self._inside = False

    def create(self, decision: Decision, flow: str, source: JSON, file: str | None) -> bool:
        execution = decision.execution
        with self.transaction() as db, self._trouble():
            digest = content_hash(source)
            db.execute(self.sql["put_definition"], (digest, dump(source), file, time.time()))
            known = db.execute("SELECT input FROM executions WHERE name = ?", (execution.name,)).fetchone()
            if known is not None:
                if equal(json.loads(known[0]), execution.input):
                    return False
                raise ExecutionAlreadyExists(
                    f"execution {execution.name!r} exists with another input; choose another name"
                )
            db.execute(
                self.sql["insert_execution"],
                (
                    execution.name,
                    digest,
                    flow,
                    execution.status,
                    _header(execution),
                    dump(execution.input),
                    _optional(execution.output, execution.status == "SUCCEEDED"),
                    execution.error,
                    execution.cause,
                    execution.started,
                    execution.stopped,
                ),
            )
            self._write(db, decision)
        return True

    def load(self, name: str) -> Stored:
        with self._trouble():
            row = self.connection.execute(self.sql["load_execution"], (name,)).fetchone()
            if row is None:
                raise ExecutionNotFound(f"there is no execution {name!r} in {self.url}; see: engine list")
            frames = self.connection.execute(self.sql["load_frames"], (name,)).fetchall()
        header, given, output, version, source, file = row
        whole = {
            **json.loads(header),
            "input": json.loads(given),
            "output": None if output is None else json.loads(output),
        }
        execution = Execution.from_json(whole, [json.loads(body) for (body,) in frames])
        return Stored(execution, version, json.loads(source), file)

    def commit(self, version: int, decision: Decision) -> int:
        execution = decision.execution
        with self.transaction() as db, self._trouble():
            changed = db.execute(
                self.sql["update_execution"],
                (
                    execution.status,
                    _header(execution),
                    _optional(execution.output, execution.status == "SUCCEEDED"),
                    execution.error,
                    execution.cause,
                    execution.stopped,
                    execution.name,
                    version,
                ),
            )
            if changed.rowcount != 1:
                raise Conflict(f"execution {execution.name!r} was changed by another process; nothing was written")
            self._write(db, decision)
        return version + 1

    def _write(self, db: Connection, decision: Decision) -> None:
        """Frames and history of a decision, inside the caller's transaction."""
        name = decision.execution.name
        for path, frame in decision.frames.items():
            if frame is None:
                db.execute(self.sql["drop_frame"], (name, path))
            else:
                row = (name, path, frame.state, frame.wait, frame.wakes, dump(frame.to_json()))
                db.execute(self.sql["put_frame"], row)
        if decision.history:
            db.execute(self.sql["append_history"], (name, decision.history[0][0], dump(decision.history)))

    def history(self, name: str) -> list[HistoryEvent]:
        with self._trouble():
            known = self.connection.execute("SELECT 1 FROM executions WHERE name = ?", (name,)).fetchone()
            if known is None:
                raise ExecutionNotFound(f"there is no execution {name!r} in {self.url}; see: engine list")
            rows = self.connection.execute(self.sql["load_history"], (name,)).fetchall()
        return [cast(HistoryEvent, tuple(event)) for (events,) in rows for event in json.loads(events)]

    def list(self, *, status: str | None = None, since: float = 0.0, limit: int = 100) -> Sequence[Summary]:
        with self._trouble():
            rows = self.connection.execute(self.sql["list_executions"], (status, since, limit)).fetchall()
        return [Summary(*row) for row in rows]

    def own(self, name: str) -> AbstractContextManager[None]:
        lock_file = None if self.path is None else self.path.with_name(self.path.name + "-owners")
        return own(lock_file, self.url if self.path is not None else f"memory:{id(self)}", name)

    def close(self) -> None:
        self.connection.close()


@contextmanager
def _begin(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction: committed at the end of the block, rolled back when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _has_tables(db: Any) -> bool:
    return bool(db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())


def _header(execution: Execution) -> str:
    header = execution.header()
    del header["input"], header["output"]
    return dump(header)


def _optional(value: JSON, present: bool) -> str | None:
    return dump(value) if present else None


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
