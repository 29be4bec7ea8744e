"""A worker: `engine_worker URL hang|work MOST`. With `hang` its steps never answer. It prints what is asked for on its
standard input: `memory` its resident megabytes, `peak` the most they have been, `spent` its seconds of the processor,
`ended` how many executions have ended, `held` how many it holds."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

from bench.programs.protocol import answer, ready
from engine import Engine
from engine.runtime.worker import Worker, prepare_process


def work(payload: Any, ctx: Any) -> Any:
    return payload


async def hang(payload: Any, ctx: Any) -> Any:
    await asyncio.sleep(3600)


def resident(kind: str = "VmRSS") -> float:
    """Megabytes of memory that this process has in use; `VmHWM`: the most that it ever had."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(kind))
    return int(line.split()[1]) / 1024


def main(url: str, way: str, most: str) -> None:
    with Engine(url, steps={"work": work if way == "work" else hang}) as engine:
        prepare_process()
        worker = Worker(engine, most=int(most))
        ready()
        threading.Thread(target=worker.run, daemon=True).start()
        for line in sys.stdin:
            facts = {"memory": resident(), "peak": resident("VmHWM"), "ended": worker.ended}
            facts["spent"] = time.process_time()
            facts["held"] = len(worker._scheduler.held)
            answer(facts[line.strip()])


if __name__ == "__main__":
    main(*sys.argv[1:])
