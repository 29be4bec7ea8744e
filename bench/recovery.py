"""What was in flight when a worker was killed: how long until all of it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.databases import database
from bench.flows import chain
from bench.programs.protocol import Program
from bench.seeding import seed
from bench.settings import Settings
from bench.table import Figure

FEW, MANY = 200, 10_000


def measure(settings: Settings) -> Iterator[Figure]:
    """Another process started after kill -9, and one that was there already."""
    for kind in settings.stores:
        few, many = settings.size(FEW), settings.size(MANY)
        yield Figure(f"{kind}: {few} done after a restart", _restart(kind, few, settings), "s", 1.0, most=True)
        yield Figure(f"{kind}: {few} done by another worker", _takeover(kind, few, settings), "s")
        yield Figure(f"{kind}: {many} done after a restart", _restart(kind, many, settings), "s", 10.0, most=True)


def _restart(kind: str, count: int, settings: Settings) -> float:
    """Seconds from starting the process that goes on, its own start included."""
    with database(kind, settings.folder) as url:
        _killed(url, count)
        start = time.perf_counter()
        with Program("engine_worker", url, "work", count) as second:
            second.go()
            _until(second, "ended", count)
            return time.perf_counter() - start


def _takeover(kind: str, count: int, settings: Settings) -> float:
    """Seconds from kill -9 until the other worker has done everything."""
    with database(kind, settings.folder) as url, Program("engine_worker", url, "hang", count) as first:
        seed(url, chain(), count)
        first.go()
        _until(first, "held", count)
        with Program("engine_worker", url, "work", count) as second:
            second.go()
            time.sleep(1.5)
            start = time.perf_counter()
            first.kill()
            _until(second, "ended", count)
            return time.perf_counter() - start


def _killed(url: str, count: int) -> None:
    """Have a worker hold that many executions, each in the middle of a call, and kill it."""
    with Program("engine_worker", url, "hang", count) as first:
        seed(url, chain(), count)
        first.go()
        _until(first, "held", count)


def _until(program: Program, fact: str, count: int) -> None:
    while program.ask(fact) < count:
        time.sleep(0.01)
