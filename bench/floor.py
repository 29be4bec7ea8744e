"""What this machine could do at best: its disk, its databases, its interpreter."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from bench.databases import database
from bench.rates import quantile, rate
from bench.settings import Settings
from bench.table import Figure

ROW = "x" * 200
BATCH = 100


def measure(settings: Settings) -> Iterator[Figure]:
    """fdatasync, commits of one row, rows in commits of a hundred, function calls."""
    yield Figure("fdatasync of a page", fdatasync(settings.folder), "µs")
    yield Figure("a function call", calls(settings.seconds), "/s")
    for kind in settings.stores:
        yield Figure(f"{kind}: commits of one row", commits(kind, settings), "/s")
        yield Figure(f"{kind}: rows, {BATCH} in a commit", rows(kind, settings), "/s")


def fdatasync(folder: Path) -> float:
    """Microseconds, the median of 500."""
    path = folder / "bench-fdatasync"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    times = []
    try:
        for number in range(500):
            start = time.perf_counter()
            os.pwrite(file, b"x" * 4096, 4096 * number)
            os.fdatasync(file)
            times.append(1e6 * (time.perf_counter() - start))
    finally:
        os.close(file)
        path.unlink()
    return quantile(times, 0.5)


def calls(seconds: float) -> float:
    """Calls of a function that does nothing, per second."""

    def nothing(value: object) -> object:
        return value

    def work() -> int:
        for _ in range(10_000):
            nothing(1)
        return 10_000

    return rate(work, seconds)


@lru_cache
def commits(kind: str, settings: Settings) -> float:
    """Durable commits of one row, per second."""
    return _insert(kind, settings, 1)


@lru_cache
def rows(kind: str, settings: Settings) -> float:
    """Rows per second, a hundred in a commit."""
    return _insert(kind, settings, BATCH)


def _insert(kind: str, settings: Settings, count: int) -> float:
    given = [(ROW,)] * count
    with database(kind, settings.folder) as url:
        if kind == "sqlite":
            lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            for text in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (a TEXT)"):
                lite.execute(text)

            def insert() -> int:
                lite.execute("BEGIN")
                lite.executemany("INSERT INTO t VALUES (?)", given)
                lite.execute("COMMIT")
                return count

            found = rate(insert, settings.seconds)
            lite.close()
            return found

        import psycopg

        with psycopg.connect(url, autocommit=True) as db:
            db.prepare_threshold = 0
            db.execute("CREATE TABLE t (a text)")

            def copy() -> int:
                if count == 1:
                    db.execute("INSERT INTO t VALUES (%s)", (ROW,))
                else:
                    with db.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as into:
                        into.write((ROW + "\n") * count)
                return count

            return rate(copy, settings.seconds)
