"""How many bytes a flow writes: history and state, every time that they are written, against what its calls carry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bench.databases import database
from bench.flows import LENGTH, chain
from bench.settings import Settings
from bench.table import Figure
from engine import Engine

PAYLOADS = {"small payloads": {"id": 1}, "1 kB payloads": {"id": 1, "text": "x" * 1000}}
TARGET = 3.0


class Counted:
    """A connection that counts the text it is given to write."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.history = self.state = 0

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self._count(sql, [parameters])
        return self._real.execute(sql, parameters)

    def executemany(self, sql: str, rows: Any) -> Any:
        self._count(sql, rows)
        return self._real.executemany(sql, rows)

    def _count(self, sql: str, rows: Any) -> None:
        size = sum(len(value) for row in rows for value in row if isinstance(value, str))
        if sql.startswith("INSERT INTO history"):
            self.history += size
        elif sql.startswith(("INSERT INTO executions", "UPDATE executions")):
            self.state += size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def measure(settings: Settings) -> Iterator[Figure]:
    """Flows of five steps, with payloads of some bytes and of a kilobyte."""
    steps = {"work": lambda payload, ctx: payload}
    with database("sqlite", settings.folder) as url, Engine(url, steps=steps) as engine:
        store: Any = engine.host.store
        for label, payload in PAYLOADS.items():
            counted = Counted(store.connection)
            store.use(counted)
            engine.run(chain(), payload)
            store.use(counted._real)
            written = counted.state + counted.history
            carried = 2 * LENGTH * len(json.dumps(payload))
            note = f"state {counted.state:,}, history {counted.history:,}; the calls carry {carried:,}"
            yield Figure(f"bytes of a flow, {label}", written, "bytes", note=note)
        yield Figure("  times what the calls carry, 1 kB", written / carried, "times", TARGET, most=True)
