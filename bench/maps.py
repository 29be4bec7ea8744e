"""Maps over very many items: what each costs, and what a worker needs of memory meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from bench.databases import database
from bench.flows import each
from bench.programs.protocol import Program
from bench.settings import Settings
from bench.table import Figure
from engine import Engine

ITEMS = (2_000, 8_000, 32_000, 100_000)
LOOK_SECONDS = 0.2
MOST_MEMORY = 100.0
"""Megabytes on top of what a worker has anyway."""


class Measured(NamedTuple):
    """Milliseconds for each item, those of the worker's processor, and megabytes on top of what it had before."""

    each: float
    spent: float
    memory: float


def measure(settings: Settings) -> Iterator[Figure]:
    """A distributed Map over 2,000 to 100,000 items, each child an execution with one step, with one worker."""
    for kind in settings.stores:
        for items in map(settings.size, ITEMS):
            found = _spread(kind, items, settings)
            name = f"{kind}: Map over {items:,}"
            yield Figure(f"{name}, an item", found.each, "ms", note=f"{found.spent:.2f} ms of the worker's processor")
            yield Figure(f"{name}, memory", found.memory, "MB", MOST_MEMORY, most=True)


def _spread(kind: str, items: int, settings: Settings) -> Measured:
    flow = each(Type="Task", Resource="step:work")
    state = flow["States"]["M"]
    state["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state["MaxConcurrency"] = 1_000
    with database(kind, settings.folder) as url, Program("engine_worker", url, "work", 1_000) as worker:
        worker.go()
        before, spent = worker.ask("memory"), worker.ask("spent")
        with Engine(url, steps={"work": lambda payload, ctx: payload}) as engine:
            began = time.perf_counter()
            engine.start(flow, [number % 10 for number in range(items)], name="map")
            while engine.list(status="RUNNING"):  # reads none of the items
                time.sleep(LOOK_SECONDS)
            took = time.perf_counter() - began
            found = engine.describe("map")
        assert found["status"] == "SUCCEEDED", found["error"]
        spent = worker.ask("spent") - spent
        return Measured(1000 * took / items, 1000 * spent / items, max(worker.ask("peak") - before, 0.1))
