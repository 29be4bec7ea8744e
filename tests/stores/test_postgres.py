"""What only PostgreSQL can get wrong. The contract is in test_conformance.py."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from engine.errors import LeaseLost, StoreUnavailable
from engine.stores import Wanted, open_store
from engine.stores.postgres_connection import connect
from tests.stores.servers import schema
from tests.stores.test_conformance import NOW, create, opened


def test_a_database_that_cannot_hold_every_text_is_refused(server: str) -> None:
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        facts = {**conninfo_to_dict(server), "dbname": name}
        try:
            with pytest.raises(StoreUnavailable, match=r"LATIN1.*UTF8"):
                open_store("postgresql://?" + "&".join(f"{key}={value}" for key, value in facts.items()))
        finally:
            db.execute(f"DROP DATABASE {name}")


class Severed:
    """A connection that the server ends once it has done what the statement of that beginning asks for: the answer is
    lost. A pipeline is ended when it has been carried out."""

    def __init__(self, real: Any, server: str, beginning: str) -> None:
        self.real, self.server, self.beginning = real, server, beginning
        self.due = False

    def execute(self, sql: str, *parameters: Any) -> Any:
        answer = self.real.execute(sql, *parameters)
        self.due |= sql.startswith(self.beginning)
        if self.due and not self.real.pgconn.pipeline_status:
            self.sever()
        return answer

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        with self.real.pipeline():
            yield
        if self.due:
            self.sever()

    def sever(self) -> None:
        with psycopg.connect(self.server, autocommit=True) as db:
            db.execute("SELECT pg_terminate_backend(%s)", (self.real.info.backend_pid,))
        self.real.execute("SELECT 1")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_executions_that_were_taken_up_without_an_answer_are_left_to_others(server: str) -> None:
    with schema(server) as url, opened(url) as store, opened(url) as other:
        create(store, "one")
        store.enter(30.0)
        connected: Any = store
        connected.use(Severed(connected.connection, server, "WITH mine AS"))
        with pytest.raises(LeaseLost, match="left to others"):
            store.claim(NOW, 10)
        store.enter(30.0)
        store.beat()
        (found,) = other.claim(NOW + 10_000_000_000, 10).executions
        assert found.execution.name == "one", "nobody waits for it in vain"


def test_a_start_without_an_answer_is_found_again(server: str) -> None:
    with schema(server) as url, opened(url) as store:
        create(store, "first")
        connected: Any = store
        connected.use(Severed(connected.connection, server, "WITH given AS"))
        (begun,) = create(store, "one")
        assert begun.key == store.load("one").key
        assert sorted(found.name for found in store.list(Wanted())) == ["first", "one"]


def test_spare_connections_that_the_server_has_ended_are_not_used(server: str) -> None:
    with schema(server) as url, opened(url) as store:
        with store.aside() as one, store.aside() as two, store.aside(reading=True) as three:
            ends = [db.execute("SELECT pg_backend_pid()").fetchone()[0] for db in (one, two, three)]
        with psycopg.connect(server, autocommit=True) as db:
            db.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", (ends[1:],))
        with store.aside() as one, store.aside() as two:
            used = [db.execute("SELECT pg_backend_pid()").fetchone()[0] for db in (one, two)]
    assert used[0] == ends[0], "one that lives is used again"
    assert used[1] not in ends


def test_a_command_waits_for_a_statement_of_another_thread(server: str) -> None:
    """libpq lets one thread use a connection at a time, and would throw the other one's answer away."""
    with connect(server) as connection, ThreadPoolExecutor(1) as threads:
        with connection.lock:
            begun = threads.submit(connection.command, "BEGIN")
            with pytest.raises(TimeoutError):
                begun.result(0.2)
        begun.result(10)
        connection.command("ROLLBACK")
