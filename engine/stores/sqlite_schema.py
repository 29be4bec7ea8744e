"""The tables of a store on SQLite: which version they have, and how to bring them up to date."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from engine.errors import MigrationFailed
from engine.stores.ownership import Locks
from engine.stores.schema import Owner, StoreStatus, check_known, counts, newest
from engine.stores.sql import Migration, migrations, statements
from engine.stores.sqlite_connection import APPLICATION_ID, Transactions, bare, explained


def migrate(connection: Any, url: str) -> int:
    """Bring the tables up to date, one process at a time and all or nothing. Answers the version they had.

    Raises StoreTooNew, MigrationFailed.
    """
    before = _version(connection)
    check_known(before, "sqlite", url)
    if before == newest("sqlite"):
        return before
    with Transactions(connection).begin():  # takes the lock; somebody may have been quicker
        version = _version(connection)
        check_known(version, "sqlite", url)
        for migration in migrations("sqlite")[version:]:
            _apply(connection, migration, url)
    return before


def sqlite_status(url: str, path: Path) -> StoreStatus:
    """How the store is, without changing it. Raises StoreUnavailable."""
    with explained(url):
        connection = bare(path)
        try:
            version = _version(connection)
            executions: dict[str, int] = {}
            children: dict[str, int] = {}
            owners: list[Owner] = []
            due = 0
            if version:
                sql = statements("sqlite")
                executions, children = counts(connection, version, sql["count_before_map_runs"])
                ((due,),) = connection.execute(sql["count_due"], (time.time(),)).fetchall()
                locks = Locks(path.with_name(path.name + "-owners"), url)
                owners = [
                    Owner(process, since, not locks.free(owner) and (until is None or until > time.time()))
                    for owner, process, since, until in connection.execute(sql["owners"]).fetchall()
                ]
        finally:
            connection.close()
    size = sum(found.stat().st_size for found in (path, path.with_name(path.name + "-wal")) if found.exists())
    return StoreStatus(
        url, f"SQLite {sqlite3.sqlite_version}", version, newest("sqlite"), size, executions, due, owners, children
    )


def _version(connection: Any) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _apply(connection: Any, migration: Migration, url: str) -> None:
    for number, statement in enumerate(migration.statements, 1):
        try:
            connection.execute(statement)
        except sqlite3.Error as problem:
            raise MigrationFailed(migration.failed(number, url, str(problem))) from problem
    connection.execute(f"PRAGMA user_version = {migration.number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
