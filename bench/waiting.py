"""Very many executions that wait: what they cost a worker, and whether others are still on time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.databases import database
from bench.flows import wait
from bench.programs.protocol import Program
from bench.rates import quantile
from bench.seeding import seed
from bench.settings import Settings
from bench.table import Figure
from engine import Engine

WAITING = 100_000
TIMERS = 50
YEAR = 31_536_000


def measure(settings: Settings) -> Iterator[Figure]:
    """Memory of a worker while 100,000 wait for a year; how late timers fire meanwhile."""
    for kind in settings.stores:
        count, timers = settings.size(WAITING), settings.size(TIMERS)
        with database(kind, settings.folder) as url, Program("engine_worker", url, "work", 1000) as worker:
            worker.go()
            empty = worker.ask("memory")
            seed(url, wait(YEAR), count)
            _parked(url)
            grown = max(worker.ask("memory") - empty, 0.1)
            yield Figure(f"{kind}: memory while {count:,} wait", grown, "MB", 50.0, most=True)
            for label, seconds in (("held", 2), ("stored", 7)):
                late = _lateness(url, seconds, timers)
                name = f"{kind}: a {label} timer is late by, p99"
                note = f"median {1000 * quantile(late, 0.5):.1f} ms, of {timers}"
                yield Figure(name, 1000 * quantile(late, 0.99), "ms", 50.0, most=True, note=note)


def _parked(url: str) -> None:
    """Until a worker has taken up and given back every execution that is due."""
    with Engine(url) as engine:
        while True:
            with engine.host.transaction() as db:
                left = db.execute(
                    "SELECT count(*) FROM executions WHERE owner IS NOT NULL OR wakes_at < ?", (time.time(),)
                ).fetchone()
            if not left[0]:
                return
            time.sleep(0.5)


def _lateness(url: str, seconds: int, timers: int) -> list[float]:
    """Seconds that each timer was late."""
    flow = wait(seconds)
    with Engine(url) as engine:
        names = [engine.start(flow, {"id": number}).name for number in range(timers)]
        time.sleep(seconds + 0.5)
        while any(engine.describe(name)["status"] == "RUNNING" for name in names):
            time.sleep(0.1)
        late = []
        for name in names:
            events = engine.events(name)
            entered = next(event for event in events if event[3] == "WaitStateEntered")
            left = next(event for event in events if event[3] == "WaitStateExited")
            late.append(max(left[2] - entered[2] - seconds, 1e-6))
        return late
