"""Connections to PostgreSQL: opening, transactions, migrations, and words for what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import psycopg

from engine.errors import StoreTooNew, StoreUnavailable
from engine.step import Connection
from engine.stores.postgres_arrays import register
from engine.stores.sql import migrations

MIGRATION_LOCK: Final = 0x666C6F7773
"""Advisory lock that whoever migrates holds."""
OLDEST: Final = 140_000
"""PostgreSQL 14."""
CONNECT_SECONDS: Final = 5
SETTINGS: Final = (
    # Batches are joined to tables by key. A plan that was made while a table was empty would read all of it for ever.
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
    # A peer that has gone without a word gives back its locks within half a minute, on either side.
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 4",
    "SET client_min_messages = warning",
)
KEEPALIVES: Final[dict[str, Any]] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|[?%]")


def connect(url: str, *, tuned: bool = True) -> psycopg.Connection[Any]:
    """A connection that commits every statement outside a transaction."""
    connection = psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=4,
    )
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10_000
        connection.close()
        raise StoreUnavailable(f"{shown(url)} is PostgreSQL {version}; 14 or newer is needed")
    connection.prepare_threshold = 2
    register(connection)
    if tuned:
        connection.execute("; ".join(SETTINGS))
    return connection


class StepConnection:
    """What steps get: `?` for parameters, as on every store."""

    dialect: Final = "postgresql"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run one statement and answer its cursor."""
        return self._connection.execute(placeholders(sql), parameters)


@lru_cache(maxsize=1024)
def placeholders(sql: str) -> str:
    """The statement with psycopg's placeholders."""
    return LITERAL.sub(lambda found: {"?": "%s", "%": "%%"}.get(found[0], found[0].replace("%", "%%")), sql)


@contextmanager
def transaction(connection: psycopg.Connection[Any], depth: int) -> Iterator[Connection]:
    """Committed at the end of the block, rolled back when it raises; `depth` says whether it is a savepoint."""
    name = f"level_{depth}"
    connection.execute(f"SAVEPOINT {name}" if depth else "BEGIN")
    try:
        yield StepConnection(connection)
        connection.execute(f"RELEASE {name}" if depth else "COMMIT")
    except BaseException:
        if not connection.broken:
            connection.execute(f"ROLLBACK TO {name}" if depth else "ROLLBACK")
        raise


def migrate(connection: psycopg.Connection[Any], url: str) -> None:
    """Bring the tables up to date, one process at a time and all or nothing. Raises StoreTooNew."""
    steps = migrations("postgres")
    version = _version(connection)
    if version < steps[-1].number:
        with transaction(connection, 0):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            connection.execute("CREATE TABLE IF NOT EXISTS engine_schema (version integer NOT NULL)")
            version = _version(connection)
            for migration in steps[version:]:
                for statement in migration.statements:
                    connection.execute(statement)
                connection.execute("DELETE FROM engine_schema")
                connection.execute("INSERT INTO engine_schema VALUES (%s)", (migration.number,))
    elif version > steps[-1].number:
        raise StoreTooNew(
            f"{shown(url)} was written by a newer version (schema {version}, this one knows {steps[-1].number}); "
            "upgrade this installation"
        )


def _version(connection: psycopg.Connection[Any]) -> int:
    (there,) = connection.execute("SELECT to_regclass('engine_schema')").fetchone() or (None,)
    if there is None:
        return 0
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM engine_schema").fetchone() or (0,)
    return int(version)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Say what is wrong with the database and what to do."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as problem:
        text = " ".join(str(problem).split()) or type(problem).__name__
        raise StoreUnavailable(f"{shown(url)}: {text}. Is the server running and the URL right?") from problem
    except psycopg.ProgrammingError as problem:
        if isinstance(problem, psycopg.errors.InsufficientPrivilege | psycopg.errors.InvalidSchemaName):
            raise StoreUnavailable(
                f"{shown(url)}: {problem}. Grant the right, or choose another with --store"
            ) from problem
        raise


def shown(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(?<=password=)[^&\s]*", "***", re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url))
