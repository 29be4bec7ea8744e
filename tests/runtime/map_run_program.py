"""A worker process for tests of map runs: `URL FOLDER NAME`. It runs until it is told to stop.

Every call of the step is a line of `FOLDER/effects`: item, idempotency key, worker. The first calls of a worker wait
until the effects of another one have been seen, so that both have a part in the run, however busy the machine is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from engine import Engine
from engine.runtime.worker import Worker

PATIENCE = 60.0


def main(url: str, place: str, name: str) -> None:
    effects = Path(place) / "effects"

    def work(payload: Any, ctx: Any) -> Any:
        file = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{payload} {ctx.idempotency_key} {name}\n".encode())
        finally:
            os.close(file)
        until = time.monotonic() + PATIENCE
        while len({line.split()[-1] for line in effects.read_text().splitlines()}) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        if (Path(place) / f"hold-{name}").exists():
            time.sleep(PATIENCE)  # whoever holds it up kills it now
        return payload * 10

    with Engine(url, steps={"t": work}) as engine:
        # The lease is no part of this: what is killed is known by its lock.
        worker = Worker(engine, concurrency=4, most=8, lease=600.0)
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        print("ready", flush=True)
        worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
