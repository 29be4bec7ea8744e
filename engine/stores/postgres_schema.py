"""The tables of a store on PostgreSQL: which version they have, and how to bring them up to date."""

from __future__ import annotations

import time
from typing import Final

import psycopg

from engine.errors import MigrationFailed, StoreUnavailable
from engine.stores.postgres_connection import Session, connect, explained, shown, transaction
from engine.stores.schema import Owner, StoreStatus, check_known, counts, newest
from engine.stores.sql import Migration, migrations, statements

MIGRATION_LOCK: Final = 0x666C6F7773
"""Advisory lock that whoever migrates holds."""
LOCK_SECONDS: Final = 60
"""How long another process that migrates, or a table that is in use, is waited for."""


def migrate(connection: Session, url: str) -> int:
    """Bring the tables up to date, one process at a time and all or nothing. Answers the version they had.

    Raises StoreTooNew, StoreUnavailable, MigrationFailed.
    """
    before = _version(connection)
    check_known(before, "postgres", shown(url))
    if before == newest("postgres"):
        return before
    with transaction(connection, 0):
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        _take_turn(connection, url)
        connection.execute("CREATE TABLE IF NOT EXISTS engine_schema (version integer NOT NULL)")
        version = _version(connection)  # somebody may have been quicker
        check_known(version, "postgres", shown(url))
        for migration in migrations("postgres")[version:]:
            _apply(connection, migration, url)
    return before


def postgres_status(url: str) -> StoreStatus:
    """How the store is, without changing it. Raises StoreUnavailable."""
    with explained(url):
        connection = connect(url)
        try:
            with transaction(connection, 0):
                return _status(connection, url)
        finally:
            connection.close()


def _status(connection: Session, url: str) -> StoreStatus:
    version = _version(connection)
    size, due, owners = None, 0, []
    executions: dict[str, int] = {}
    children: dict[str, int] = {}
    if version:
        sql = statements("postgres")
        ((size,),) = connection.execute(sql["size"]).fetchall()
        executions, children = counts(connection, version, sql["count_before_map_runs"])
        ((due,),) = connection.execute(sql["count_due"], (time.time(),)).fetchall()
        owners = [Owner(*row) for row in connection.execute(sql["owners"]).fetchall()]
    major, minor = divmod(connection.info.server_version, 10_000)
    kind = f"PostgreSQL {major}.{minor}"
    return StoreStatus(shown(url), kind, version, newest("postgres"), size, executions, due, owners, children)


def _version(connection: Session) -> int:
    (there,) = connection.execute("SELECT to_regclass('engine_schema')").fetchone() or (None,)
    if there is None:
        return 0
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM engine_schema").fetchone() or (0,)
    return int(version)


def _take_turn(connection: Session, url: str) -> None:
    try:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    except psycopg.errors.LockNotAvailable as problem:
        raise StoreUnavailable(
            f"{shown(url)}: another process has been migrating it for {LOCK_SECONDS} s; "
            "look for it in pg_stat_activity, and try again with: engine store migrate"
        ) from problem


def _apply(connection: Session, migration: Migration, url: str) -> None:
    for number, statement in enumerate(migration.statements, 1):
        try:
            connection.execute(statement)
        except psycopg.Error as problem:
            if connection.broken:
                raise
            raise MigrationFailed(migration.failed(number, shown(url), str(problem))) from problem
    connection.execute("DELETE FROM engine_schema")
    connection.execute("INSERT INTO engine_schema VALUES (%s)", (migration.number,))
