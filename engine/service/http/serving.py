"""A whole service in one process: the HTTP server, the worker beside it, and what has to happen every so often."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.errors import EngineError
from engine.machine import StateMachine
from engine.runtime.context import logger
from engine.runtime.worker import Worker
from engine.service.http.asgi import AsgiApp
from engine.service.http.service import HttpService

TICK_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 25
BACKLOG: Final = 2048


class Server:
    """uvicorn in a thread of its own, on a socket that is bound already."""

    def __init__(self, app: AsgiApp, bound: socket.socket) -> None:
        import uvicorn  # heavy, and needed by `engine serve` alone

        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=BACKLOG,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        # Head and body of a response are two writes. Without this the body waits for the client to acknowledge the
        # head: 40 ms. Connections have it from the listening socket; asyncio sets it only where the protocol is named.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = bound
        self._app = app
        self._thread = threading.Thread(target=self._serve, name="http-server", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Answer those that are being answered, and no more."""
        self._server.should_exit = True
        self._thread.join(GRACE_SECONDS + 5)
        self._app.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as problem:
            self.failure = problem
            logger.error("the HTTP server has ended: %s", problem)


class Jobs:
    """Flows that are started every so often.

    `jobs`: `[{flow, every_s}]` of the document. An execution is named by its flow and turn, so that several processes
    on one store start each turn once.
    """

    def __init__(self, service: HttpService, worker: Worker | None, jobs: Sequence[Mapping[str, Any]]) -> None:
        engine = service.engine
        self._engine = engine
        self._worker = worker
        self._jobs: list[tuple[StateMachine, str, float]] = [
            (service.machine(job["flow"]), str(job["flow"]).rpartition("/")[2].partition(".")[0], float(job["every_s"]))
            for job in jobs
        ]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._turns: dict[str, int] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present tick."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            self.tick()

    def tick(self) -> None:
        """What is due now. Trouble is logged, and tried again at the next tick or turn."""
        now = self._engine.host.clock.now()
        for machine, name, every in self._jobs:
            turn = int(now // every)
            if self._worker is None or self._turns.get(name) == turn:
                continue
            self._turns[name] = turn
            try:
                self._worker.submit(machine, {}, name=f"{name}-{turn}")
            except Exception as problem:  # a hook's too: one bad turn must not end the others
                text = problem if isinstance(problem, EngineError) else type(problem).__name__
                logger.warning("the job %s could not be started: %s", name, text)


def run_worker(worker: Worker) -> threading.Thread:
    """Run the worker in a thread of its own."""

    def work() -> None:
        try:
            worker.run()
        except BaseException as problem:
            logger.error("the worker has ended: %s: %s", type(problem).__name__, problem)

    thread = threading.Thread(target=work, name="worker", daemon=True)
    thread.start()
    return thread
