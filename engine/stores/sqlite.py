"""The store on SQLite: one file, write-ahead log, every commit on the disk before anything follows from it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from engine.core.events import HistoryEvent
from engine.core.execution import RUNNING
from engine.errors import Conflict, ExecutionBusy, ExecutionNotFound, LeaseLost
from engine.step import Connection
from engine.stores import (
    CHANGED,
    KEEP,
    Begun,
    Change,
    Claimed,
    Definition,
    Redrive,
    Signal,
    Start,
    Stored,
    Written,
    rows,
)
from engine.stores.listing import summaries
from engine.stores.ownership import OWNER_BITS, Locks
from engine.stores.sql import statements
from engine.stores.sqlite_connection import Transactions, connect, explained
from engine.stores.sqlite_schema import migrate
from engine.stores.sqlite_turns import WriteTurns
from engine.values import JSON, dump, equal


class SqliteStore:
    """`sqlite:///path` or `memory:`. See `engine.stores.Store` for the contract.

    The one of `memory:` has a single connection, which threads take turns on.
    """

    apart = False

    def __init__(self, url: str) -> None:
        self.url = url
        path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
        self.path = Path(path) if path else None
        self.owner: int | None = None
        self._lease: float | None = None
        self._extended = 0.0
        self._sql = statements("sqlite")
        self._lock = threading.RLock()
        self._turns = WriteTurns(lambda: connect(self.path))
        self._spare: list[sqlite3.Connection] = []
        self._definitions: set[str] = set()
        self._put: set[str] = set()
        self._data_version = -1
        with explained(url):
            self.use(connect(self.path))
            try:
                migrate(self.connection, url)
            except BaseException:
                self.connection.close()
                raise
        lock_file = None if self.path is None else self.path.with_name(self.path.name + "-owners")
        self._locks = Locks(lock_file, f"memory:{id(self)}")

    def use(self, connection: Any) -> None:
        """Work on that connection from now on."""
        self.connection = connection
        self._transactions = Transactions(connection)

    # -- transactions ----------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See Store."""
        with self._lock, explained(self.url):
            was = self.owner
            inside = self.path is None or self._transactions.depth
            try:
                with nullcontext() if inside else self._turns.alone(), self._transactions.begin() as db:
                    yield db
            except BaseException:
                self._put.clear()
                if self.owner != was:  # it was to become an owner in this very transaction
                    self._leave()
                raise
            if not self._transactions.depth:
                self._definitions |= self._put
                self._put.clear()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See Store."""
        with self._lock, explained(self.url), self._transactions.begin("DEFERRED") as db:
            yield db

    @contextmanager
    def aside(self, *, reading: bool = False) -> Iterator[Connection]:
        """See Store. A database in memory has no second connection: there it waits for its turn."""
        if self.path is None:
            with self._lock if reading else self.transaction():
                yield self.connection
            return
        with explained(self.url):
            if not reading:
                with self._turns.together() as connection:
                    yield cast(Connection, connection)
                return
            try:
                connection = self._spare.pop()
            except IndexError:
                connection = connect(self.path)
            try:
                with Transactions(connection).begin("DEFERRED") as db:
                    yield db
            finally:
                self._spare.append(connection)

    def _read(self, name: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._lock, explained(self.url):
            return list(self.connection.execute(self._sql[name], parameters).fetchall())

    def _many(self, name: str, values: Sequence[Any]) -> int:
        """Run a statement once for each row of values; answers how many rows it changed in all."""
        if not values:
            return 0
        return int(self.connection.executemany(self._sql[name], values).rowcount)

    # -- owners ----------------------------------------------------------------------------------------------------

    def enter(self, lease: float | None) -> int:
        owner = secrets.randbits(OWNER_BITS)
        self._locks.hold(owner)
        until = None if lease is None else time.time() + lease
        with self.transaction() as db:
            db.execute(self._sql["enter"], (owner, until, f"{os.getpid()} on {socket.gethostname()}", time.time()))
        self._leave()
        self.owner, self._lease, self._extended = owner, lease, time.monotonic()
        return owner

    def beat(self) -> int:
        if self.owner is not None and not self._read("owner", (self.owner,)):
            raise LeaseLost(rows.GIVEN_UP)
        if self._lease is not None and time.monotonic() > self._extended + self._lease / 3:
            with self.transaction() as db:
                db.execute(self._sql["extend"], (time.time() + self._lease, self.owner))
            self._extended = time.monotonic()
        others = self._read("others", (self.owner or 0,))
        gone = [owner for owner, until in others if self._gone(owner, until)]
        gone += [owner for (owner,) in self._read("strays")]
        if not gone and not self._read("stale_signals"):
            return 0
        with self.transaction() as db:
            db.execute(self._sql["drop_stale_signals"])
            return sum(self._bury(db, owner) for owner in gone)

    def _bury(self, db: Any, owner: int) -> int:
        """Forget an owner; answers how many executions that frees."""
        db.execute(self._sql["bury"], (owner,))
        return int(db.execute(self._sql["free"], (owner,)).rowcount)

    def _gone(self, owner: int, until: float | None) -> bool:
        return (until is not None and until < time.time()) or self._locks.free(owner)

    def _owned(self) -> int:
        if self.owner is None:
            return self.enter(None)
        return self.owner

    def _leave(self) -> None:
        if self.owner is not None:
            self._locks.give_back(self.owner)
            self.owner = None

    # -- writing ---------------------------------------------------------------------------------------------------

    def put_definition(self, digest: str, source: JSON, file: str | None) -> None:
        if digest not in self._definitions:
            with self.transaction() as db:
                db.execute(self._sql["put_definition"], (digest, dump(source), file, time.time()))
                self._put.add(digest)

    def knows(self, digest: str) -> bool:
        return digest in self._definitions

    def definition(self, digest: str) -> Definition:
        ((source, file),) = self._read("definition", (digest,))
        return Definition(json.loads(source), file)

    def create(self, starts: Sequence[Start]) -> Sequence[Begun]:
        with self.transaction() as db:
            if any(start.owned for start in starts):
                self._check_owner()
            begun = [self._start(db, start) for start in starts]
            made = [(found.key, start.decision) for found, start in zip(begun, starts, strict=True) if found.key]
            self._write(made)
        if not all(start.owned for start in starts):
            self._data_version = -1
        return begun

    def commit(self, changes: Sequence[Change]) -> frozenset[int]:
        with self.transaction() as db:
            self._check_owner()
            changes, lost = self._update_all(db, changes)
            self._write([(change.key, change.decision) for change in changes])
            self._many("answer_signal", [(signal,) for change in changes for signal in change.signals])
        return lost

    def reopen(self, redrive: Redrive) -> None:
        with self.transaction() as db:
            if not db.execute(self._sql["reopen"], rows.reopen_row(redrive)).rowcount:
                raise Conflict(CHANGED.format(redrive.decision.execution.name))
            self._write([(redrive.key, redrive.decision)])
        self._data_version = -1

    def write(self, starts: Sequence[Start], changes: Sequence[Change]) -> Written:
        if not starts:
            return Written((), self.commit(changes))
        with self.transaction():
            return Written(self.create(starts), self.commit(changes) if changes else frozenset())

    def _check_owner(self) -> None:
        if not self._read("owner", (self._owned(),)):
            raise LeaseLost(rows.GIVEN_UP)

    def _update_all(self, db: Any, changes: Sequence[Change]) -> tuple[Sequence[Change], frozenset[int]]:
        """Move on the executions that are still ours; answers their changes and the keys of the others."""
        db.execute("SAVEPOINT changes")
        if self._update(changes) == len(changes):
            return changes, frozenset()
        db.execute("ROLLBACK TO changes")
        held = set(self._read("held", (self.owner, json.dumps([change.key for change in changes]))))
        ours = [change for change in changes if (change.key, change.version) in held]
        self._update(ours)
        return ours, frozenset(change.key for change in changes) - {change.key for change in ours}

    def _update(self, changes: Iterable[Change]) -> int:
        """Move the executions on; answers how many of them were still ours."""
        owner = self._owned()
        advanced, parked, finished = [], [], []
        for change in changes:
            if change.decision.execution.status != RUNNING:
                finished.append(rows.finish_row(change, owner))
            elif change.wakes == KEEP:
                advanced.append(rows.advance_row(change, owner))
            else:
                parked.append(rows.park_row(change, owner))
        return self._many("advance", advanced) + self._many("park", parked) + self._many("finish", finished)

    def _write(self, made: Sequence[tuple[int, Any]]) -> None:
        """Frames and history of decisions."""
        written, gone = rows.frame_rows(made)
        self._many("put_frame", written)
        self._many("drop_frame", gone)
        self._many("append_history", list(rows.history_rows(made)))

    def _start(self, db: Any, start: Start) -> Begun:
        cursor = db.execute(self._sql["start"], rows.start_row(start, self._owned() if start.owned else None))
        if cursor.rowcount:
            return Begun(cursor.lastrowid)
        execution = start.decision.execution
        (text,) = db.execute(self._sql["input_of"], (execution.name,)).fetchone()
        return Begun(None, equal(json.loads(text), execution.input))

    # -- taking ----------------------------------------------------------------------------------------------------

    def claim(self, now: float, limit: int) -> Claimed:
        found: list[Stored] = []
        if self._read("any_due", (now,)):
            with self.transaction() as db:
                self._check_owner()
                keys = [key for (key,) in db.execute(self._sql["claim"], (self._owned(), now, limit)).fetchall()]
                found = self._load(keys)
        ((due,),) = self._read("next_due")
        fresh = [rows.as_before(stored) for stored in found]
        return Claimed(fresh, due)

    def take(self, name: str) -> Stored:
        if self._find(name)[2] != RUNNING:
            return self.load(name)
        me = self._owned()
        with self.transaction() as db:
            key, owner, status = self._find(name)
            if status != RUNNING:
                return self._load([key])[0]
            if owner is not None:
                row = next(iter(self._read("owner", (owner,))), None)
                if owner == me or (row is not None and not self._gone(owner, row[0])):
                    raise ExecutionBusy(
                        f"execution {name!r} is being run by another process ({row and row[1]}); "
                        "wait for it, or look with: engine show"
                    )
                self._bury(db, owner)
            self._check_owner()
            db.execute(self._sql["take"], (me, key))
            (stored,) = self._load([key])
        return rows.as_before(stored)

    def post(self, name: str, event: dict[str, JSON]) -> None:
        self._find(name)
        self.tell([(name, event)])

    def tell(self, messages: Sequence[tuple[str, dict[str, JSON]]]) -> None:
        with self.transaction():
            self._many("tell", [(rows.encode(event), name) for name, event in messages])
            self._many("wake_running", [(name,) for name, _ in messages])
        self._data_version = -1

    def signals(self) -> Sequence[Signal]:
        if self.owner is None:
            return ()
        return [Signal(id, key, json.loads(event)) for id, key, event in self._read("signals", (self.owner,))]

    # -- reading ---------------------------------------------------------------------------------------------------

    def load(self, name: str) -> Stored:
        with self._lock, explained(self.url), self._transactions.begin("DEFERRED"):
            key, _, _ = self._find(name)
            return self._load([key])[0]

    def _find(self, name: str) -> tuple[int, int | None, str]:
        found = self._read("find", (name,))
        if not found:
            raise ExecutionNotFound(f"there is no execution {name!r} in {self.url}; see: engine list")
        key, owner, status = found[0]
        return key, owner, status

    def _load(self, keys: Sequence[int]) -> list[Stored]:
        """The executions of those keys, in their order."""
        wanted = json.dumps(keys)
        bodies: dict[int, list[str]] = {}
        for key, body in self._read("load_frames", (wanted,)):
            bodies.setdefault(key, []).append(body)
        found = {row[0]: rows.stored(row, bodies.get(row[0], ())) for row in self._read("load", (wanted,))}
        return [found[key] for key in keys]

    def history(self, name: str) -> list[HistoryEvent]:
        key, _, _ = self._find(name)
        return rows.history(text for (text,) in self._read("load_history", (key,)))

    list = summaries

    def announce(self, db: Connection | None = None) -> None:
        self._data_version = -1  # others see for themselves

    def changed(self) -> bool:
        before, self._data_version = self._data_version, self.connection.execute("PRAGMA data_version").fetchone()[0]
        return before != self._data_version

    def close(self) -> None:
        with explained(self.url):
            if self.owner is not None:
                # Not worth waiting for the disk: the lock says the same.
                self.connection.execute("PRAGMA synchronous = NORMAL")
                with self.transaction() as db:
                    self._bury(db, self.owner)
                self._leave()
            for connection in [self.connection, *self._spare]:
                connection.close()
            self._turns.close()
