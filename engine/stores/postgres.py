"""The store on PostgreSQL: many workers on many machines. A batch is one statement, and one trip to the server.

The lock of an owner is a session's advisory lock: it ends with the connection. A connection that breaks is opened anew
with the next call; a commit whose answer was lost on the way is looked up before anything else is done.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg

from engine.core.events import Decision, HistoryEvent
from engine.core.execution import RUNNING
from engine.errors import Conflict, ExecutionBusy, ExecutionNotFound, LeaseLost, StoreUnavailable
from engine.step import Connection
from engine.stores import (
    CHANGED,
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
from engine.stores.ownership import OWNER_BITS
from engine.stores.postgres_arrays import float8s, int8s, texts
from engine.stores.postgres_batches import change_columns, distinct, late_ones, narrow, start_columns
from engine.stores.postgres_connection import explained
from engine.stores.postgres_listener import NOTIFY, Listener
from engine.stores.postgres_schema import migrate
from engine.stores.postgres_sessions import Sessions
from engine.values import JSON, dump, equal

Cursor = psycopg.Cursor[Any]
STRAYS_BEATS: Final = 30
POLL_SECONDS: Final = 0.5


class PostgresStore(Sessions):
    """`postgresql://…`. See `engine.stores.Store` for the contract."""

    apart = True

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._lease: float | None = None
        self._extended = 0.0
        self._polled = 0.0
        self._listener: Listener | None = None
        try:
            with explained(self.url):
                migrate(self.connection, url)
        except BaseException:
            self.connection.close()
            raise

    # -- owners ----------------------------------------------------------------------------------------------------

    def enter(self, lease: float | None) -> int:
        owner = secrets.randbits(OWNER_BITS)
        with explained(self.url):
            if self.owner is not None:
                self._db().execute("SELECT pg_advisory_unlock(%s)", (self.owner,))
                self.owner = None
            self._hold(self._db(), owner)
        self._run("enter", (owner, lease, f"{os.getpid()} on {socket.gethostname()}"))
        self.owner, self._lease, self._extended, self._beats = owner, lease, time.monotonic(), 0
        if lease is not None and self._listener is None:
            self._listener = Listener(self._url)
        return owner

    def beat(self) -> int:
        if self._lease is not None and time.monotonic() > self._extended + self._lease / 3:
            if not self._run("extend", (self._lease, self.owner)).rowcount:
                raise LeaseLost(rows.GIVEN_UP)
            self._extended = time.monotonic()
        gone = [owner for (owner,) in self._read("gone", (self.owner or 0,))]
        self._beats += 1
        if self._beats % STRAYS_BEATS == 1:
            gone += [owner for (owner,) in self._read("strays")]
            self._run("drop_stale_signals")
        return self._bury(gone) if gone else 0

    def _bury(self, gone: Sequence[int]) -> int:
        with self.transaction():
            self._run("bury", (int8s(gone),))
            freed = self._run("free", (int8s(gone),)).rowcount
            if freed:
                self.announce()
        return freed

    def _owned(self) -> int:
        return self.enter(None) if self.owner is None else self.owner

    def _check_owner(self) -> None:
        """See that this owner has not been given up, and is not while the transaction lasts. Raises LeaseLost."""
        if not self._read("hold_owner", (self._owned(),)):
            raise LeaseLost(rows.GIVEN_UP)

    # -- writing ---------------------------------------------------------------------------------------------------

    def put_definition(self, digest: str, source: JSON, file: str | None) -> None:
        if digest not in self._definitions:
            self._run("put_definition", (digest, dump(source), file, time.time()))
            (self._put if self._depth else self._definitions).add(digest)

    def knows(self, digest: str) -> bool:
        return digest in self._definitions

    def create(self, starts: Sequence[Start]) -> Sequence[Begun]:
        if not distinct(starts):
            return [begun for start in starts for begun in self.create([start])]
        if not starts:
            return []
        if self._at_once(starts, ()):
            return self._batch(starts, ()).begun
        owner = self._owned() if any(start.owned for start in starts) else None
        with self.transaction():
            made = dict(self._read("start", start_columns(starts, owner)))
            begun = self._begun(starts, made)
            pairs = zip(starts, begun, strict=True)
            self._write_frames([(found.key, start.decision) for start, found in pairs if found.key is not None])
            if any(not start.owned for start in starts):
                self.announce()
            self._doubt.note(self.owner, starts, ())
        return begun

    def _begun(self, starts: Sequence[Start], made: dict[str, int]) -> list[Begun]:
        """What became of each start."""
        missing = [name for start in starts if (name := start.decision.execution.name) not in made]
        inputs = dict(self._read("inputs_of", (texts(missing),))) if missing else {}
        begun = []
        for start in starts:
            execution = start.decision.execution
            key = made.get(execution.name)
            if key is None and execution.name not in inputs:
                raise LeaseLost(rows.GIVEN_UP)
            begun.append(Begun(key, key is not None or equal(json.loads(inputs[execution.name]), execution.input)))
        return begun

    def commit(self, changes: Sequence[Change]) -> frozenset[int]:
        if not changes:
            return frozenset()
        if narrow(change.decision for change in changes) and not any(change.signals for change in changes):
            self._doubt.note(self.owner, (), changes)
            return self._commit(changes)
        with self.transaction():
            lost = self._commit(changes)
            self._write_frames([(change.key, change.decision) for change in changes if change.key not in lost])
            signals = [signal for change in changes if change.key not in lost for signal in change.signals]
            if signals:
                self._run("answer_signals", (int8s(signals),))
            self._doubt.note(self.owner, (), changes)
        return lost

    def reopen(self, redrive: Redrive) -> None:
        with self.transaction():
            if not self._run("reopen", rows.reopen_row(redrive)).rowcount:
                raise Conflict(CHANGED.format(redrive.decision.execution.name))
            self._write_frames([(redrive.key, redrive.decision)])
            for key, first, events in rows.history_rows([(redrive.key, redrive.decision)]):
                self._run("append_history", (key, first, events))
            self.announce()

    def write(self, starts: Sequence[Start], changes: Sequence[Change]) -> Written:
        if not starts:
            return Written((), self.commit(changes))
        if self._at_once(starts, changes):
            return self._batch(starts, changes)
        with self.transaction():
            return Written(self.create(starts), self.commit(changes))

    def _at_once(self, starts: Sequence[Start], changes: Sequence[Change]) -> bool:
        """Whether nothing but the two statements is to be written, in a transaction of their own."""
        decisions = [*(start.decision for start in starts), *(change.decision for change in changes)]
        alone = not self._depth and not any(change.signals for change in changes)
        return alone and narrow(decisions) and distinct(starts)

    def _batch(self, starts: Sequence[Start], changes: Sequence[Change]) -> Written:
        """The statements in one trip to the server: what a pipeline sends is one transaction."""
        owner = self._owned() if changes or any(start.owned for start in starts) else None
        self._doubt.note(owner, starts, changes)
        try:
            with explained(self.url), self._db().pipeline():
                made = self._run("start", start_columns(starts, owner))
                moved = self._run("commit", [*change_columns(changes), owner]) if changes else None
                if any(not start.owned for start in starts):
                    self.announce()
        except StoreUnavailable:
            if not self.connection.broken or not self._doubt.was_written(self._read):
                raise
            executions = [start.decision.execution for start in starts]
            names, moments = [found.name for found in executions], [found.started for found in executions]
            made_before = self._read("keys_of", (texts(names), float8s(moments)))
            return Written(self._begun(starts, dict(made_before)), frozenset())
        begun = self._begun(starts, dict(made.fetchall()))
        return Written(begun, frozenset() if moved is None else late_ones(changes, moved.fetchall()))

    def _commit(self, changes: Sequence[Change]) -> frozenset[int]:
        """Executions and history, in one statement."""
        try:
            written = self._run("commit", [*change_columns(changes), self._owned()]).fetchall()
        except StoreUnavailable:
            if self._depth or not self.connection.broken or not self._doubt.was_written(self._read):
                raise
            return frozenset()
        return late_ones(changes, written)

    def _write_frames(self, made: Sequence[tuple[int, Decision]]) -> None:
        written, gone = rows.frame_rows(made)
        if written:
            keys, paths, bodies = zip(*written, strict=True)
            self._run("put_frames", (int8s(keys), texts(paths), texts(bodies)))
        if gone:
            keys, paths = zip(*gone, strict=True)
            self._run("drop_frames", (int8s(keys), texts(paths)))

    # -- taking ----------------------------------------------------------------------------------------------------

    def claim(self, now: float, limit: int) -> Claimed:
        ((due,),) = self._read("next_due")
        if due is None or due > now:
            return Claimed([], due)
        owner = self._owned()
        try:
            keys = [key for (key,) in self._read("claim", (owner, now, limit))]
        except StoreUnavailable as problem:
            if self.connection.broken:
                # They may be ours by now without our knowing which: whoever gives this owner up frees them.
                raise LeaseLost(f"{problem} What was being taken up then is left to others") from problem
            raise
        if not keys:
            self._check_owner()
        with explained(self.url), self._db().pipeline():
            loading, coming = self._loading(keys), self._run("next_due")
        ((due,),) = coming.fetchall()
        return Claimed([rows.as_before(stored) for stored in self._loaded(keys, *loading)], due)

    def take(self, name: str) -> Stored:
        me = self._owned()
        with self.transaction():
            key, owner, status = self._find(name, "find_for_update")
            if status != RUNNING:
                return self._load([key])[0]
            if owner is not None:
                process = next((row[1] for row in self._read("owner", (owner,))), None)
                gone = process is None or owner in [found for (found,) in self._read("gone", (me,))]
                if owner == me or not gone:
                    raise ExecutionBusy(
                        f"execution {name!r} is being run by another process ({process}); "
                        "wait for it, or look with: engine show"
                    )
                self._bury([owner])
            self._check_owner()
            self._run("take", (me, key))
            (stored,) = self._load([key])
        return rows.as_before(stored)

    def post(self, name: str, event: dict[str, JSON]) -> None:
        self._find(name)
        self.tell([(name, event)])

    def tell(self, messages: Sequence[tuple[str, dict[str, JSON]]]) -> None:
        with self.transaction():
            for name, text in sorted((name, rows.encode(event)) for name, event in messages):  # one order of locks
                self._run("tell", (text, name, name))
            self.announce()

    def signals(self) -> Sequence[Signal]:
        if self.owner is None:
            return ()
        return [Signal(id, key, json.loads(event)) for id, key, event in self._read("signals", (self.owner,))]

    # -- reading ---------------------------------------------------------------------------------------------------

    def definition(self, digest: str) -> Definition:
        ((source, file),) = self._read("definition", (digest,))
        return Definition(json.loads(source), file)

    def load(self, name: str) -> Stored:
        with self.transaction() as db:
            if self._depth == 1:
                db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return self._load([self._find(name)[0]])[0]

    def _find(self, name: str, statement: str = "find") -> tuple[int, int | None, str]:
        for key, owner, status in self._read(statement, (name,)):
            return key, owner, status
        raise ExecutionNotFound(f"there is no execution {name!r} in {self.url}; see: engine list")

    def _load(self, keys: Sequence[int]) -> list[Stored]:
        """The executions of those keys, in their order."""
        return self._loaded(keys, *self._loading(keys))

    def _loading(self, keys: Sequence[int]) -> tuple[Cursor, Cursor]:
        wanted = int8s(keys)
        return self._run("load_frames", (wanted,)), self._run("load", (wanted,))

    def _loaded(self, keys: Sequence[int], frames: Cursor, executions: Cursor) -> list[Stored]:
        bodies: dict[int, list[str]] = {}
        for key, body in frames:
            bodies.setdefault(key, []).append(body)
        found = {row[0]: rows.stored(row, bodies.get(row[0], ())) for row in executions}
        return [found[key] for key in keys]

    def history(self, name: str) -> list[HistoryEvent]:
        key, _, _ = self._find(name)
        return rows.history(text for (text,) in self._read("load_history", (key,)))

    list = summaries

    # -- news ------------------------------------------------------------------------------------------------------

    def announce(self, db: Connection | None = None) -> None:
        with explained(self.url):
            (db or self._db()).execute(NOTIFY)

    def changed(self) -> bool:
        if self._listener is not None:
            return self._listener.told()
        now = time.monotonic()
        if now < self._polled + POLL_SECONDS:
            return False
        self._polled = now
        return True

    def close(self) -> None:
        self._closed = True
        if self._listener is not None:
            self._listener.close()
        if self.owner is not None and not self.connection.closed:
            with suppress(StoreUnavailable):
                self._bury([self.owner])
        for connection in [self.connection, *self._spare]:
            connection.close()
