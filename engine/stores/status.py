"""Looking at a store, and bringing its tables up to date, without working on it.

Migrations are the numbered files `<database>_NNNN.sql`. Whoever opens a store applies the ones it lacks, under a lock
and in one transaction: a process that dies half-way, or a statement that fails, leaves the store as it was.
"""

from __future__ import annotations

from pathlib import Path

from engine.stores import open_store, psycopg_wanted
from engine.stores.schema import StoreStatus, newest


def store_status(url: str) -> StoreStatus:
    """How the store is; nothing is changed. Raises StoreUnavailable."""
    if url.startswith("sqlite:///"):
        from engine.stores.sqlite_schema import sqlite_status  # sqlite3 costs start-up time

        return sqlite_status(url, Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        with psycopg_wanted():
            from engine.stores.postgres_schema import postgres_status  # psycopg is heavy, and an extra
        return postgres_status(url)
    open_store(url).close()  # one in memory is always new, and says no more; anything else is no store
    return StoreStatus(url, "memory", newest("sqlite"), newest("sqlite"), None, {}, 0, (), {})


def migrate_store(url: str) -> tuple[int, int]:
    """Bring the tables up to date; answers the version before and after. Raises StoreUnavailable, StoreTooNew,
    MigrationFailed."""
    before = 0
    if not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).exists():
        before = store_status(url).schema
    open_store(url).close()
    return before, store_status(url).schema
