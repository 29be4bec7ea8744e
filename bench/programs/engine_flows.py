"""Our own worker, in a closed loop: `engine_flows URL IN_FLIGHT SECONDS`."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future
from typing import Any

from bench.flows import chain
from bench.programs.protocol import Loop, answer, loop, ready
from engine import Engine
from engine.runtime.worker import Worker, prepare_process


def work(payload: Any, ctx: Any) -> Any:
    return payload


def measure(worker: Worker, flow: Any, in_flight: int, seconds: float) -> Loop:
    """Whenever a flow has ended, the next one is started."""
    times: list[float] = []
    left, over = in_flight, threading.Event()
    start = time.perf_counter()
    until = start + seconds

    def submit() -> None:
        began = time.perf_counter()
        worker.submit(flow, {"id": 1}).add_done_callback(lambda future: ended(began, future))

    def ended(began: float, future: Future[Any]) -> None:
        nonlocal left
        assert future.result().status == "SUCCEEDED"
        now = time.perf_counter()
        times.append(now - began)
        if now < until:
            submit()
        else:
            left -= 1
            if not left:
                over.set()

    for _ in range(in_flight):
        submit()
    over.wait()
    return loop(times, time.perf_counter() - start)


def main(url: str, in_flight: str, seconds: str) -> None:
    with Engine(url, steps={"work": work}) as engine:
        flow = engine.machines.ready(chain())
        prepare_process()  # as `engine worker` does
        worker = Worker(engine)
        thread = threading.Thread(target=worker.run)
        thread.start()
        measure(worker, flow, int(in_flight), min(0.5, float(seconds) / 4))
        ready()
        answer(measure(worker, flow, int(in_flight), float(seconds)))
        worker.stop()
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
