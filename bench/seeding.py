"""Filling a store with executions that somebody has started."""

from __future__ import annotations

import time
from typing import Any

from engine import load_flow
from engine.runtime.machines import begin
from engine.stores import Start, open_store
from engine.values import content_hash

BATCH = 1_000


def seed(url: str, flow: dict[str, Any], count: int, *, prefix: str = "s") -> None:
    """Start that many executions of the flow, durably and many at once."""
    machine, digest = load_flow(flow), content_hash(flow)
    store = open_store(url)
    try:
        store.put_definition(digest, flow, None)
        for first in range(0, count, BATCH):
            decisions = [
                begin(machine, {"id": number}, f"{prefix}{number}", time.time(), runs=0)
                for number in range(first, min(first + BATCH, count))
            ]
            store.create([Start(decision, "flow", digest, owned=False) for decision in decisions])
    finally:
        store.close()
