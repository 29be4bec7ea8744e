"""Starting executions at a steady rate while a worker runs them: how long until each is on the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.databases import database
from bench.flows import chain
from bench.programs.protocol import Program
from bench.rates import quantile
from bench.settings import Settings
from bench.table import Figure
from engine import Engine

RATE = 500


def measure(settings: Settings) -> Iterator[Figure]:
    """500 starts a second from one process; each is counted from when it was due, so that a stall counts for all."""
    for kind in settings.stores:
        with database(kind, settings.folder) as url, Program("engine_worker", url, "work", 1000) as worker:
            worker.go()
            with Engine(url, steps={"work": lambda payload, ctx: payload}) as engine:
                flow = engine.machines.ready(chain())
                engine.start(flow, {"id": 0})
                taken, start = [], time.perf_counter()
                for number in range(max(10, int(RATE * settings.seconds))):
                    due = start + number / RATE
                    time.sleep(max(0.0, due - time.perf_counter()))
                    engine.start(flow, {"id": number})
                    taken.append(1000 * (time.perf_counter() - due))
                reached = len(taken) / (time.perf_counter() - start)
            note = f"median {quantile(taken, 0.5):.1f} ms; {reached:.0f} starts/s reached"
            yield Figure(f"{kind}: a start at {RATE}/s, p99", quantile(taken, 0.99), "ms", 10.0, most=True, note=note)
