"""Connections to PostgreSQL: opening, transactions, and words for what goes wrong."""

from __future__ import annotations

import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.pq import ExecStatus

from engine.errors import StoreUnavailable
from engine.step import Connection
from engine.stores.postgres_arrays import register

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
    "SET tcp_user_timeout = 30000",
    "SET client_min_messages = warning",
)
URL_ADVICE: Final = "Write postgresql://user@host:5432/database"
SCHEMA_ADVICE: Final = "Create the schema that search_path names, or look with: engine store status"
LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|[?%]")


class Session(psycopg.Connection[Any]):
    """A connection that can do without a cursor where there is nothing to give and nothing to fetch."""

    def command(self, text: str) -> None:
        """Run BEGIN, COMMIT and the like: a seventh of what `execute` costs here."""
        with self.lock:  # as `execute` does: another thread's answer would be thrown away on the way to ours
            result = self.pgconn.exec_(text.encode())
        if result.status == ExecStatus.COMMAND_OK:
            return
        problem = psycopg.errors.error_from_result(result, encoding=self.info.encoding)
        # The server gives every failure a code: without one it is the connection that has failed.
        raise problem if problem.sqlstate else psycopg.OperationalError(str(problem))

    def silent(self) -> bool:
        """Whether the server has said nothing since the last answer. One that ends a session says so, or hangs up."""
        ear = select.poll()
        ear.register(self.fileno(), select.POLLIN)
        return not ear.poll(0)


def connect(url: str, *, tuned: bool = True) -> Session:
    """A connection that commits every statement outside a transaction."""
    connection = Session.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=4,
        tcp_user_timeout=30_000,
    )
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10_000
        connection.close()
        raise StoreUnavailable(f"{shown(url)} is PostgreSQL {version}; {OLDEST // 10_000} or newer is needed")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in ("UTF8", "SQL_ASCII"):
        connection.close()
        raise StoreUnavailable(
            f"{shown(url)} has the encoding {encoding}, which cannot hold every text; "
            "choose a database that was created WITH ENCODING 'UTF8'"
        )
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
def transaction(connection: Session, depth: int) -> Iterator[Connection]:
    """Committed at the end of the block, rolled back when it raises; `depth` says whether it is a savepoint."""
    name = f"level_{depth}"
    connection.command(f"SAVEPOINT {name}" if depth else "BEGIN")
    try:
        yield StepConnection(connection)
        connection.command(f"RELEASE {name}" if depth else "COMMIT")
    except BaseException:
        if not connection.broken:
            connection.command(f"ROLLBACK TO {name}" if depth else "ROLLBACK")
        raise


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Say what is wrong with the database and what to do."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as problem:
        text = " ".join(str(problem).split()).rstrip(".?") or type(problem).__name__
        raise StoreUnavailable(f"{shown(url)}: {text}. {_advice(text)}") from problem
    except psycopg.errors.InsufficientPrivilege as problem:
        raise StoreUnavailable(f"{shown(url)}: {problem}. Grant the right, or choose another with --store") from problem
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable) as problem:
        raise StoreUnavailable(f"{shown(url)}: {problem}. {SCHEMA_ADVICE}") from problem
    except psycopg.ProgrammingError as problem:
        if problem.sqlstate is None and "URI" in str(problem):
            raise StoreUnavailable(f"{shown(url)}: {str(problem).strip()}. {URL_ADVICE}") from problem
        raise


def _advice(problem: str) -> str:
    """The next step for what PostgreSQL or its client says."""
    advice = {
        "authentication failed": "Check user and password in the URL",
        "role ": "Check the user in the URL",
        "database ": "Create it with createdb, or check the name in the URL",
        "too many": "Start fewer workers, or raise max_connections",
        "remaining connection slots": "Start fewer workers, or raise max_connections",
        "starting up": "Wait until it has started",
        "No space left": "Free some space on the server's disk",
        "could not extend": "Free some space on the server's disk",
        "read-only": "It takes no writes: name the primary server in the URL",
    }
    found = next((text for words, text in advice.items() if words in problem), None)
    return f"{found}." if found else "Is the server running and the URL right?"


def shown(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(?<=password=)[^&\s]*", "***", re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url))
