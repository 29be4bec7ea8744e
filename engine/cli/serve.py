"""`engine serve`."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import click

from engine.cli.options import common_options, load_steps, steps_option, store_option
from engine.cli.output import Output
from engine.errors import EngineError
from engine.step import StepRegistry

DOCUMENT: Final = "schemas/openapi.yaml"
ADDED: Final = "engine.serve.added"
SETTINGS: Final = "engine.serve.settings"


class ServeCommand(click.Command):
    """Takes the options that the OpenAPI document adds: `x-service.options`, each of which is a setting of the
    steps."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ADDED] = [_option(given) for given in _declared(_named(args))]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if ADDED not in ctx.meta:  # asked for its help alone
            ctx.meta[ADDED] = [_option(given) for given in _declared(DOCUMENT)]
        known = super().get_params(ctx)
        at = len(known) - 3  # before those that every command has
        return [*known[:at], *ctx.meta[ADDED], *known[at:]]


def _named(args: list[str]) -> str:
    """The document that the command line names; options that it adds have to be known before the rest is read."""
    for at, text in enumerate(args):
        if text.startswith("--api="):
            return text.removeprefix("--api=")
        if text == "--api" and at + 1 < len(args):
            return args[at + 1]
    return os.environ.get("ENGINE_API", DOCUMENT)


def _declared(path: str) -> list[dict[str, Any]]:
    from engine.definition import read_document
    from engine.errors import DefinitionError

    try:
        value = read_document(path).value
        return list(value["x-service"].get("options", []))
    except (DefinitionError, KeyError, TypeError, AttributeError):
        return []  # what is wrong with it is said when it is served


def _option(given: dict[str, Any]) -> click.Option:
    def keep(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta.setdefault(SETTINGS, {})[given["setting"]] = value

    return click.Option(
        [f"--{given['name']}"],
        metavar=given.get("metavar", "TEXT"),
        help=given.get("help"),
        expose_value=False,
        callback=keep,
    )


@click.command(cls=ServeCommand)
@store_option
@steps_option
@click.option(
    "--api",
    metavar="FILE",
    envvar="ENGINE_API",
    default=DOCUMENT,
    show_default=True,
    show_envvar=True,
    help="The OpenAPI document that says what is served.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 takes a free one."
)
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    default=1,
    show_default=True,
    help="Processes that run what is started; the first is this one. 0: others do.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="Most steps at once in a process.",
)
@common_options
@click.pass_context
def serve(
    ctx: click.Context, store: str, steps: str | None, api: str, host: str, port: int, workers: int, concurrency: int
) -> None:
    """Answer HTTP requests with flows: API, worker and neighbours in one command.

    The OpenAPI document says which flow answers which operation. Without a configured issuer of tokens (JWT_ISSUER) the
    service listens on this machine only, and every request acts as the document's demo caller.

    The first Ctrl-C or SIGTERM lets what is being answered and the steps that are running end; the second ends at once.

    \b
    Examples:
      engine serve
      engine serve --store postgresql://app@db.internal/bookings --host 0.0.0.0 --workers 4
    """  # fmt: skip
    registry = load_steps(steps) or StepRegistry()
    settings = {**os.environ, **ctx.meta.get(SETTINGS, {})}
    secured = bool(settings.get("JWT_ISSUER"))
    if not secured and not _is_loopback(host):
        raise click.UsageError(
            f"--host {host} can be reached from other machines, and nothing says whose tokens are good: set JWT_ISSUER "
            "and JWT_AUDIENCE, or listen on 127.0.0.1"
        )
    with ExitStack() as stack:
        bound = stack.enter_context(_bind(host, port))
        _Service(stack, registry, settings, store, api, secured).run(bound, workers, concurrency)


class _Service:
    """Everything that `engine serve` starts, ended in the opposite order."""

    def __init__(
        self, stack: ExitStack, registry: StepRegistry, settings: dict[str, str], store: str, api: str, secured: bool
    ) -> None:
        self.stack = stack
        self.registry = registry
        self.settings = settings
        self.store = store
        self.api = api
        self.secured = secured
        self.url = ""
        self.log = Output(err=True)

    def say(self, text: str) -> None:
        """One line for whoever has started it."""
        self.log.line(text)

    def at_end(self, end: Callable[[], object]) -> None:
        """Call this when the serving ends."""
        self.stack.callback(end)

    def run(self, bound: socket.socket, workers: int, concurrency: int) -> None:
        """Serve until a signal comes."""
        from engine.runtime.engine import Engine
        from engine.runtime.worker import DRAIN_SECONDS, Worker, prepare_process
        from engine.service.http.asgi import AsgiApp
        from engine.service.http.service import HttpService
        from engine.service.http.serving import Jobs, Server, run_worker
        from engine.telemetry.collector import trace_to_collector
        from engine.telemetry.prometheus import prometheus

        stopped = _stop_signals()
        address, port = bound.getsockname()[:2]
        self.url = f"http://{f'[{address}]' if ':' in address else address}:{port}"
        for hook in self.registry.hooks["serve"]:
            hook(self)
        engine = self.stack.enter_context(Engine(self.store, steps=self.registry, settings=self.settings))
        prometheus()  # listens from now on
        trace_to_collector(self.settings)
        worker = Worker(engine, concurrency=concurrency) if workers else None
        verifier = self._verifier()
        service = HttpService(self.api, engine, worker=worker, verifier=verifier, demo=verifier is None)
        self.at_end(service.close)
        if worker is not None:
            thread = run_worker(worker)
            self.at_end(lambda: thread.join(DRAIN_SECONDS + 5))
            self.at_end(lambda: worker.stop(patience=DRAIN_SECONDS))
        self._more_workers(workers - 1, concurrency)
        jobs = Jobs(service, worker, service.document.service.get("jobs", []))
        self.at_end(jobs.stop)
        server = Server(AsgiApp(service), bound)
        server.start()
        self.at_end(server.stop)
        self.at_end(service.streams.close)
        jobs.start()
        prepare_process()
        self._introduce(service, engine.store_url, workers)
        stopped.wait()
        self.say("stopping: what is being answered is answered, and what is running ends")

    def _verifier(self) -> Any:
        if not self.secured:
            return None
        from engine.service.http.tokens import configured

        return configured(self.settings)

    def _more_workers(self, count: int, concurrency: int) -> None:
        command = [
            sys.executable,
            "-m",
            "engine.cli",
            "worker",
            "--store",
            self.store,
            "--concurrency",
            str(concurrency),
        ]
        for _ in range(max(0, count)):
            child = subprocess.Popen(command, env=self.settings, start_new_session=True)
            self.at_end(lambda child=child: (child.terminate(), child.wait()))  # type: ignore[misc]

    def _introduce(self, service: Any, store: str, workers: int) -> None:
        for hint in service.document.service.get("hints", []):
            self.say(hint.format(url=self.url))
        who = (
            "tokens of " + self.settings["JWT_ISSUER"]
            if self.secured
            else "no tokens: every request acts as the demo caller"
        )
        self.say(
            f"{self.url} answers as {self.api} says, for {who}; the store is {store}, workers: {workers}; "
            "stop it with Ctrl-C"
        )


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as problem:
        raise EngineError(
            f"cannot listen on {host}:{port}: {problem.strerror}; choose another with --port"
        ) from problem
    return bound


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _stop_signals() -> threading.Event:
    """Set by the first signal; the second ends the process."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopped
