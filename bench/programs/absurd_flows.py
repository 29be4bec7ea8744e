"""Absurd, in a closed loop: `absurd_flows URL IN_FLIGHT SECONDS`. It claims and runs as many tasks as are in flight."""

from __future__ import annotations

import sys
import time
from typing import Any

import psycopg
from absurd_sdk import Absurd
from absurdctl import BUNDLED_SCHEMA_SQL

from bench.flows import LENGTH
from bench.programs.protocol import Loop, answer, loop, ready


def measure(app: Absurd, in_flight: int, seconds: float) -> Loop:
    times: list[float] = []
    start = time.perf_counter()
    until = start + seconds
    left = 0
    while time.perf_counter() < until or left:
        began = time.perf_counter()
        while left < in_flight and began < until:
            app.spawn("flow", {"began": began})
            left += 1
        app.work_batch(batch_size=in_flight)
        done = [when for when in ENDED if when]
        ENDED.clear()
        times += [when - began for when in done]
        left -= len(done)
    return loop(times, time.perf_counter() - start)


ENDED: list[float] = []


def main(url: str, in_flight: str, seconds: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        if not db.execute("SELECT to_regnamespace('absurd')").fetchone()[0]:  # type: ignore[index]
            db.execute(BUNDLED_SCHEMA_SQL)
    app = Absurd(url, queue_name="bench")
    app.create_queue("bench")

    @app.register_task("flow")
    def flow(payload: Any, ctx: Any) -> Any:
        for number in range(LENGTH):
            payload = ctx.step(f"s{number}", lambda: payload)  # noqa: B023
        ENDED.append(time.perf_counter())
        return payload

    measure(app, int(in_flight), min(0.5, float(seconds) / 4))
    ready()
    answer(measure(app, int(in_flight), float(seconds)))
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
