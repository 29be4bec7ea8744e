"""The connections of a store on PostgreSQL: its own, opened anew when it broke, and spare ones for work beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from engine.step import Connection
from engine.stores.postgres_connection import Session, StepConnection, connect, explained, shown, transaction
from engine.stores.postgres_doubt import Doubt
from engine.stores.sql import statements


class Sessions:
    """`owner`: whose lock the own connection holds."""

    def __init__(self, url: str) -> None:
        self.url = shown(url)
        self._url = url
        self.owner: int | None = None
        self._sql = statements("postgres")
        self._depth = self._beats = 0
        self._closed = False
        self._spare: list[Session] = []
        self._doubt = Doubt()
        self._definitions: set[str] = set()
        self._put: set[str] = set()
        with explained(self.url):
            self.connection = connect(url)

    def use(self, connection: Session) -> None:
        """Work on that connection from now on."""
        self.connection = connection

    def _db(self) -> Session:
        """The connection, opened anew if it broke."""
        if self.connection.closed and not self._depth:
            self.connection = connect(self._url)
            if self.owner is not None:
                # The server lets go of the old session's lock a moment after it has ended.
                self._hold(self.connection, self.owner)
                self._beats = 0
        return self.connection

    def _hold(self, connection: Session, owner: int) -> None:
        for _ in range(100):
            (held,) = connection.execute("SELECT pg_try_advisory_lock(%s)", (owner,)).fetchone() or (False,)
            if held:
                return
            time.sleep(0.05)
        raise psycopg.OperationalError("the lock of this process is still held by its old connection")

    def _run(self, name: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        with explained(self.url):
            return self._db().execute(self._sql[name], parameters)

    def _read(self, name: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self._run(name, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See Store."""
        with explained(self.url):
            connection, depth = self._db(), self._depth
            self._depth += 1
            try:
                with transaction(connection, depth) as db:
                    yield db
            except psycopg.OperationalError:
                self._depth = depth
                if depth or not connection.broken or not self._doubt.was_written(self._read):
                    raise
            except BaseException:
                self._put.clear()
                raise
            finally:
                self._depth = depth
                if not depth:
                    self._doubt.clear()
            if not depth:
                self._definitions |= self._put
                self._put.clear()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with explained(self.url):
            yield StepConnection(self._db())

    @contextmanager
    def aside(self, *, reading: bool = False) -> Iterator[Connection]:
        """See Store."""
        with explained(self.url):
            connection = self._beside()
            try:
                with transaction(connection, 0) as db:
                    yield db
            finally:
                if connection.closed or self._closed:
                    connection.close()
                else:
                    self._spare.append(connection)

    def _beside(self) -> Session:
        """A spare connection, or a new one. Those that the server has ended since, with a restart, are not used."""
        while True:
            try:
                connection = self._spare.pop()
            except IndexError:
                return connect(self._url, tuned=False)
            if connection.silent():
                return connection
            connection.close()
