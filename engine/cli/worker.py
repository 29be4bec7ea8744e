"""`engine worker`."""

from __future__ import annotations

import os
import signal
from types import FrameType

import click

from engine.cli.options import common_options, load_steps, steps_option, store_option
from engine.cli.output import Output
from engine.runtime.engine import Engine
from engine.runtime.worker import DRAIN_SECONDS, LEASE_SECONDS, Worker, prepare_process
from engine.telemetry.collector import trace_to_collector
from engine.telemetry.prometheus import serve


@click.command()
@store_option
@steps_option
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="Most steps at once.",
)
@click.option(
    "--in-flight",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Most executions held at once; further ones wait in the store.",
)
@click.option(
    "--limit",
    "limits",
    metavar="STEP=N",
    multiple=True,
    help="Most calls of a step at once, by name or pattern, such as taxi.*=4; the first that fits.",
)
@click.option(
    "--per-execution",
    metavar="N",
    type=click.IntRange(1, 1000),
    help="Most steps of one execution at once; they take turns with those of others either way.",
)
@click.option(
    "--lease",
    metavar="SECONDS",
    type=click.FloatRange(1, 3600),
    default=LEASE_SECONDS,
    show_default=True,
    help="When others take over from a worker that has stopped without ending.",
)
@click.option(
    "--metrics",
    "metrics_port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    envvar="ENGINE_METRICS_PORT",
    help="Answer GET /metrics for Prometheus there, on this machine only; 0: on a free port.",
)
@common_options
def worker(
    store: str,
    steps: str | None,
    concurrency: int,
    in_flight: int,
    limits: tuple[str, ...],
    per_execution: int | None,
    lease: float,
    metrics_port: int | None,
) -> None:
    """Run every execution of a store that is due, many at once.

    Start as many workers as wanted; on PostgreSQL, on as many machines as wanted. When one dies, the others take over
    at once what it was running.

    The first Ctrl-C or SIGTERM lets the steps that are running end, and begins nothing more; the second ends at once.
    What was not finished goes on in another worker.

    \b
    Examples:
      engine worker --store postgresql://app@db.internal/bookings --concurrency 64
      engine worker --limit 'taxi.*=4'
    """  # fmt: skip
    log = Output(err=True)
    with Engine(store, steps=load_steps(steps)) as engine:
        prepare_process()
        crew = Worker(
            engine,
            concurrency=concurrency,
            most=in_flight,
            limits=_limits(limits),
            each=per_execution,
            lease=lease,
        )
        _stop_on_signals(crew)
        trace_to_collector(os.environ)
        if metrics_port is not None:
            port = serve(metrics_port, lambda: engine.steps.samples(engine.host.beside()))
            log.line(f"metrics are at http://127.0.0.1:{port}/metrics")
        log.line(f"worker {os.getpid()} runs what is due in {engine.store_url}; stop it with Ctrl-C")
        crew.run()
        log.line(f"worker {os.getpid()} has stopped; {crew.ended} executions have ended here")


def _stop_on_signals(crew: Worker) -> None:
    """The first signal drains the worker, the second ends the process."""
    stops = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stops
        stops += 1
        if stops > 1:
            os._exit(128 + number)
        crew.stop(patience=DRAIN_SECONDS)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _limits(given: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in given:
        pattern, _, most = text.rpartition("=")
        if not pattern or not most.isdecimal() or int(most) < 1:
            raise click.BadParameter(f"{text!r} is not STEP=N, such as taxi.*=4", param_hint="--limit")
        found[pattern] = int(most)
    return found
