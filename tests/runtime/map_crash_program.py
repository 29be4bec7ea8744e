"""A program that kills itself at a chosen commit of a map run: `URL FOLDER MOMENT NUMBER WAY`.

As tests/runtime/crash_program.py, whose fuse it uses. WAY is `worker`, or `redrive`: a worker that redrives a run which
has failed with a newer definition; then only the commits of the redrive count.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engine import Engine, StepError, StepRegistry, step
from engine.runtime import children, lookout, making, pool
from engine.runtime.worker import Worker
from engine.stores.postgres_listener import Listener
from tests.runtime.crash_program import Fuse, Watched
from tests.runtime.crash_program import steps as effects

FLOW = """
QueryLanguage: JMESPath
StartAt: Rides
States:
  Rides:
    Type: Map
    Items: [1, 2, 3]
    ItemSelector: {order: "{% states.context.Map.Item.Value %}"}
    MaxConcurrency: 2
    ItemProcessor:
      ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
      StartAt: Look
      States:
        Look: {Type: Task, Resource: "step:look", Arguments: "{% states.input %}", Next: Charge}
        Charge:
          Type: Task
          Resource: step:charge
          Arguments: "{% states.input %}"
          Output: {order: "{% states.input.order %}", receipt: "{% states.result.receipt %}"}
          Next: Record
        Record:
          Type: Task
          Resource: step:record
          Arguments: "{% states.input %}"
          Output: "{% states.input.receipt %}"
          End: true
    End: true
"""
OLDER = FLOW.replace("step:look", "step:broken")
"""The definition that a redrive replaces."""
ITEMS = 3
BAD = 2
"""This item fails with the older definition."""


def steps(folder: Path, fuse: Fuse) -> StepRegistry:
    """Those of the other program, one that fails, and what stands in its place in the newer definition."""

    @step("broken", errors={"Broken": "for one of the items"})
    def broken(payload: Any, ctx: Any) -> Any:
        if payload["order"] == BAD:
            raise StepError("Broken")
        return payload

    @step("look")
    def look(payload: Any, ctx: Any) -> Any:
        return payload

    registry = effects(folder / "effects", fuse)
    for made in (broken, look):
        registry.add(getattr(made, "__step__"))  # noqa: B009
    return registry


def settle_down() -> None:
    """Every call in one thread and nothing heard from outside, so that runs have the same commits on any machine;
    children come in two batches."""
    pool.SLOW_SECONDS = making.HERE_SECONDS = lookout.POLL_SECONDS = 1e9  # type: ignore[misc]
    children.BATCH = 2  # type: ignore[misc]
    Listener.told = lambda self: False  # type: ignore[method-assign]


def main(url: str, place: str, moment: str, number: str, way: str) -> None:
    settle_down()
    fuse = Fuse(moment, int(number))
    with Engine(url, steps=steps(Path(place), fuse)) as engine:
        store: Any = engine._store
        if way == "redrive":
            engine.start(OLDER, {}, name="p")
            Worker(engine).run_until_idle()
            assert engine.describe("p")["status"] == "FAILED"
        store.use(Watched(store.connection, fuse))
        if way == "redrive":
            engine.redrive("p", flow=FLOW)
        else:
            engine.start(FLOW, {}, name="p")
        Worker(engine).run_until_idle()
        print(engine.describe("p")["status"], fuse.seen["before-commit"])


if __name__ == "__main__":
    main(*sys.argv[1:])
