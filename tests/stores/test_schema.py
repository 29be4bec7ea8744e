"""Opening stores: migrations, old and new databases, wrong URLs. What is wrong is named, with the next step."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.errors import EngineError, MigrationFailed, StoreTooNew, StoreUnavailable
from engine.stores import (
    open_store,
    postgres_connection,
    postgres_schema,
    schema,
    sql,
    sqlite_connection,
    sqlite_schema,
)
from engine.stores.schema import newest
from engine.stores.sql import Migration, migrations, read_statements
from engine.stores.status import migrate_store, store_status
from tests.stores.test_conformance import create, opened

WRONG_URLS = [
    ("mysql://localhost/x", "write sqlite:///"),
    ("bookings.db", "write sqlite:///"),
    ("sqlite://bookings.db", "write sqlite:///"),
    ("", "write sqlite:///"),
    ("sqlite:////nowhere/at/all/x.db", "Create the folder"),
    ("postgresql://127.0.0.1:1/x", "Is the server running and the URL right"),
    ("postgresql:///x?nonsense=1", "Write postgresql://user@host:5432/database"),
]


def database(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgres"


def use(monkeypatch: pytest.MonkeyPatch, found: tuple[Migration, ...], *, of: str) -> None:
    """Let these be the migrations of a database."""
    for module in (schema, sqlite_schema, postgres_schema):
        monkeypatch.setattr(module, "migrations", lambda name: found if name == of else migrations(name))


@contextmanager
def bare(url: str) -> Iterator[Any]:
    """A plain connection, beside the engine."""
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    else:
        connection = psycopg.connect(url, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def tables(url: str) -> list[Any]:
    """Everything that a schema consists of, comparable."""
    with bare(url) as db:
        if url.startswith("sqlite"):
            names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            columns = [db.execute(f"PRAGMA table_xinfo({name})").fetchall() for (name,) in names]
            indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
            return [names, columns, db.execute(indexes).fetchall()]
        columns = db.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
            "WHERE table_schema = current_schema() ORDER BY 1, 2"
        ).fetchall()
        indexes = (
            "SELECT indexname, replace(indexdef, current_schema(), '') FROM pg_indexes "
            "WHERE schemaname = current_schema()"
        )
        return [columns, sorted(db.execute(indexes).fetchall())]


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_migrations_are_numbered_without_a_gap_and_alike_on_both_databases(name: str) -> None:
    assert [migration.number for migration in migrations(name)] == list(range(1, newest(name) + 1))
    assert newest("sqlite") == newest("postgres")


@pytest.mark.parametrize("have", range(1, newest("sqlite") + 1))
def test_a_store_of_any_older_version_becomes_what_a_new_one_is(
    shared_url: str, have: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = database(shared_url)
    with monkeypatch.context() as older:
        use(older, migrations(name)[:have], of=name)
        assert migrate_store(shared_url) == (0, have)
    assert store_status(shared_url).schema == have
    assert migrate_store(shared_url) == (have, newest(name))
    old = tables(shared_url)
    if name == "sqlite":
        fresh = f"sqlite:///{tmp_path}/fresh.db"
    else:
        with bare(shared_url) as db:
            ((mine,),) = db.execute("SELECT current_schema()").fetchall()
            db.execute(f"DROP SCHEMA {mine} CASCADE")
            db.execute(f"CREATE SCHEMA {mine}")
        fresh = shared_url
    migrate_store(fresh)
    assert tables(fresh) == old


def test_a_migration_that_fails_half_way_is_named_and_leaves_the_store_as_it_was(
    shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = database(shared_url)
    with opened(shared_url) as store:
        create(store, "x", owned=True)
    before, last = tables(shared_url), newest(name)
    broken = Migration(last + 1, ("CREATE TABLE half_way (n INTEGER)", "ALTER TABLE nobody ADD COLUMN n INTEGER"))
    with monkeypatch.context() as newer:
        use(newer, (*migrations(name), broken), of=name)
        with pytest.raises(
            MigrationFailed, match=rf"migration {last + 1} failed at its statement 2 of 2: .*nobody"
        ) as told:
            open_store(shared_url)
    assert "Nothing was changed" in str(told.value)
    assert "engine store migrate" in str(told.value)
    assert tables(shared_url) == before
    with opened(shared_url) as store:
        assert store.load("x").execution.name == "x"


def test_a_store_of_a_newer_version_is_refused_and_can_still_be_looked_at(
    shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = database(shared_url)
    last = newest(name)
    with monkeypatch.context() as newer:
        use(newer, (*migrations(name), Migration(last + 1, ("CREATE TABLE more (n INTEGER)",))), of=name)
        migrate_store(shared_url)
    with pytest.raises(StoreTooNew, match=rf"schema {last + 1}, this one knows {last}.*upgrade"):
        open_store(shared_url)
    assert (store_status(shared_url).schema, store_status(shared_url).newest) == (last + 1, last)


def test_many_that_open_a_new_store_at_once_make_it_once(shared_url: str) -> None:
    problems: list[BaseException] = []
    gate = threading.Barrier(6)

    def work(number: int) -> None:
        gate.wait()
        try:
            with opened(shared_url) as store:
                create(store, f"x{number}")
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    found = store_status(shared_url)
    assert (found.executions, found.due, found.schema) == ({"RUNNING": 6}, 6, found.newest)


@pytest.mark.parametrize(("wrong", "advice"), WRONG_URLS, ids=[url or "empty" for url, _ in WRONG_URLS])
@pytest.mark.parametrize("ask", [open_store, store_status])
def test_a_wrong_url_is_named_with_what_to_do(wrong: str, advice: str, ask: Any) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as told:
        ask(wrong)
    assert (wrong or "''") in str(told.value)
    assert advice in str(told.value) or ask is store_status
    assert time.monotonic() - began < 10


def test_a_password_is_never_shown(server: str) -> None:
    for url in ("postgresql://me:secret@127.0.0.1:1/x", "postgresql:///x?password=secret&host=127.0.0.1&port=1"):
        with pytest.raises(StoreUnavailable) as told:
            open_store(url)
        assert "secret" not in str(told.value)


def test_what_is_wrong_on_the_server_is_named_with_what_to_do(server: str) -> None:
    cases = [
        (server.replace("/postgres?", "/nobody?"), "Create it with createdb"),
        (server.replace("postgres:@", "stranger:@"), "Check the user"),
        (f"{server}&options=-csearch_path%3Dnowhere", "Create the schema"),
    ]
    for url, advice in cases:
        assert url != server
        with pytest.raises(StoreUnavailable, match=advice):
            open_store(url)


def test_a_database_that_is_too_old_is_refused(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connection, "OLDEST", 990_000)
    with pytest.raises(StoreUnavailable, match=r"is PostgreSQL .*; 99 or newer is needed"):
        open_store(server)
    monkeypatch.setattr(sqlite_connection, "OLDEST", (99, 0, 0))
    with pytest.raises(StoreUnavailable, match=r"99\.0\.0 or newer is needed: use a newer Python"):
        open_store(f"sqlite:///{tmp_path}/x.db")


def test_another_applications_file_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with bare(f"sqlite:///{path}") as db:
        db.execute("CREATE TABLE theirs (n INTEGER)")
    before = path.read_bytes()
    for ask in (open_store, store_status, migrate_store):
        with pytest.raises(EngineError, match="another application's database"):
            ask(f"sqlite:///{path}")
    assert path.read_bytes() == before
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at " * 20)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/text.db")


def test_a_migration_that_hangs_elsewhere_is_not_waited_for_for_ever(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.stores.servers import schema as empty

    monkeypatch.setattr(postgres_schema, "LOCK_SECONDS", 1)
    with empty(server) as url, psycopg.connect(server) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (postgres_schema.MIGRATION_LOCK,))
        with pytest.raises(StoreUnavailable, match="another process has been migrating it for 1 s"):
            open_store(url)


def test_status_tells_who_runs_executions_and_whether_they_live(shared_url: str) -> None:
    with opened(shared_url) as ours:
        ours.enter(-1.0)
        with opened(shared_url) as theirs:
            theirs.enter(60.0)
            create(theirs, "x", owned=True)
            found = store_status(shared_url)
            assert sorted(owner.alive for owner in found.owners) == [False, True]
            assert (found.executions, found.due) == ({"RUNNING": 1}, 0)
            assert found.bytes
            assert found.database.startswith(("SQLite 3", "PostgreSQL 1"))


def test_every_statement_of_a_migration_is_one(tmp_path: Path) -> None:
    for name in ("sqlite", "postgres"):
        for migration in sql.migrations(name):
            assert all(statement and ";" not in statement for statement in migration.statements)


def test_no_two_statements_of_a_file_have_one_name(tmp_path: Path) -> None:
    file = tmp_path / "twice.sql"
    file.write_text("-- name: a\nSELECT 1;\n-- name: b\nSELECT 2;\n-- name: a\nSELECT 3;\n")
    with pytest.raises(ValueError, match="two statements have the name a"):
        read_statements(file)
