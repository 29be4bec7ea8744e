"""The simulator as a running HTTP server: threads and sockets around a Simulation."""

from __future__ import annotations

import logging
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

from steps.simulator.catalogue import with_faults
from steps.simulator.clock import rfc3339
from steps.simulator.connection import Connection, Unreadable
from steps.simulator.control import PREFIX, control
from steps.simulator.door import Door
from steps.simulator.messages import Delivery, Request, Send, ShutDoor
from steps.simulator.plan import load_plan_file
from steps.simulator.postman import Postman
from steps.simulator.rides import render_ride
from steps.simulator.simulation import Simulation

_log = logging.getLogger(__name__)
_JOIN_S = 5.0
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Simulator:
    """The taxi company at ``url``, from ``start()`` (or ``with``) to ``stop()``; everything runs in daemon threads.

    ``plan``: a mapping or the path of a YAML file. ``faults``: ids of the catalogue, played on top. ``seed``, ``clock``
    (real or virtual), ``start_at`` (RFC 3339), ``hang_s``, ``webhook_url`` and ``webhook_secret`` hold against the
    plan. ``port`` 0 takes a free one. Raises PlanError; OSError when the port is taken.
    """

    def __init__(
        self,
        plan: Mapping[str, Any] | str | Path | None = None,
        *,
        faults: Iterable[str] = (),
        seed: int | None = None,
        clock: str | None = None,
        start_at: str | None = None,
        hang_s: float | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        document = load_plan_file(plan) if isinstance(plan, (str, Path)) else plan or {}
        webhook = {name: v for name, v in {"url": webhook_url, "secret": webhook_secret}.items() if v is not None}
        given = {"seed": seed, "clock": clock, "start": start_at, "hang_s": hang_s, "webhook": webhook or None}
        fixed = {name: value for name, value in given.items() if value is not None}
        self.simulation = Simulation(with_faults(document, faults), fixed)
        self._postman = Postman(self.simulation)
        self.simulation.flush = self._postman.deliver_due
        self._mail = Event()
        self.simulation.wake = self._mail.set
        self._host, self._port = host, port
        self._stopping = Event()
        self._lock = Lock()
        self._connections: set[Connection] = set()
        self._threads: set[Thread] = set()

    def start(self) -> Simulator:
        """Listen; returns when connections are taken."""
        self._door = Door(self._host, self._port)
        self._port = self._door.port
        self._wake_out, self._wake_in = socket.socketpair()
        self._spawn(self._accept)
        self._spawn(self._carry_mail)
        return self

    def stop(self) -> None:
        """End every connection and thread, and close the port; a second time it does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._mail.set()
        self._door.close()
        self._wake_in.send(b"x")
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            connection.hang_up()
        for thread in threads:
            thread.join(_JOIN_S)
        self._wake_in.close()
        self._wake_out.close()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._port

    @property
    def origin(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The base URL of the contract, ending in /v1."""
        return f"{self.origin}/v1"

    @property
    def token_url(self) -> str:
        return f"{self.origin}/oauth/token"

    @property
    def control_url(self) -> str:
        return f"{self.origin}/_sim"

    def rides(self) -> list[dict[str, Any]]:
        """Every ride there is: ride_ref, client_reference, booking_id, live, status, create_calls ..."""
        rides: list[dict[str, Any]] = self.simulation.ground_truth()["rides"]
        return rides

    def ground_truth(self) -> dict[str, Any]:
        """Rides, calls per operation and per client_reference, tombstones, webhooks, time: ``GET /_sim/rides``."""
        return self.simulation.ground_truth()

    def calls(self, op: str, client_reference: str | None = None) -> int:
        """How often an operation was called, in all or for one client_reference."""
        if client_reference is None:
            return self.simulation.calls[op]
        return self.simulation.references[client_reference][op] if client_reference in self.simulation.references else 0

    def now(self) -> str:
        """The simulator's time, RFC 3339."""
        return rfc3339(self.simulation.clock.now())

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock; what falls due has happened, and its webhooks are sent, when this returns."""
        self.simulation.advance(seconds)

    def advance_ride(self, ride: str, to: str | None = None, **how: Any) -> dict[str, Any]:
        """Drive a ride (id or client_reference) a step or to a status.

        ``how`` as Simulation.move_ride. The ride as shown.
        """
        return render_ride(self.simulation.move_ride(ride, to, **how), self.simulation.plan.pricing)

    def set_plan(self, plan: Mapping[str, Any], faults: Iterable[str] = ()) -> None:
        self.simulation.set_plan(with_faults(plan, faults))

    def reset(self) -> None:
        self.simulation.reset()

    def shut(self, seconds: float, *, silent: bool = False) -> None:
        """For ``seconds`` of real time refuse new connections, or leave them waiting (``silent``); end idle ones."""
        self._door.shut(seconds, silent)
        self._wake_in.send(b"x")
        with self._lock:
            idle = [connection for connection in self._connections if not connection.busy]
        for connection in idle:
            connection.hang_up()

    def reopen(self) -> None:
        """Take connections again."""
        self._door.reopen()
        self._wake_in.send(b"x")

    def _spawn(self, run: Callable[..., None], *arguments: Any) -> None:
        thread = Thread(target=run, args=arguments, daemon=True, name=f"simulator {run.__name__}")
        with self._lock:
            self._threads = {known for known in self._threads if known.is_alive()} | {thread}
            thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            listener = self._door.listener()
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_out, selectors.EVENT_READ)
                try:
                    if listener is not None:
                        selector.register(listener, selectors.EVENT_READ)
                except (OSError, ValueError):
                    continue  # it was replaced meanwhile
                ready = {key.fileobj for key, _ in selector.select(self._door.seconds_shut())}
            if self._wake_out in ready:
                self._wake_out.recv(1024)
            if self._door.seconds_shut() == 0:
                self._door.reopen()
            while (accepted := self._door.accept()) is not None:
                self._spawn(self._converse, Connection(accepted, lambda: self.simulation.clock.now()))

    def _converse(self, connection: Connection) -> None:
        with self._lock:
            self._connections.add(connection)
        try:
            while connection.keep_alive and not self._stopping.is_set():
                request = connection.read()
                if request is None:
                    break
                self._serve(connection, request)
        except Unreadable as error:
            connection.keep_alive = False
            self._last_words(connection, Send(error.reply))
        except OSError:
            pass  # the other side left; there is nobody to tell
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _last_words(self, connection: Connection, delivery: Delivery) -> None:
        try:
            connection.deliver(delivery)
        except OSError:
            return

    def _serve(self, connection: Connection, request: Request) -> None:
        started = time.monotonic()
        if request.path.startswith(PREFIX):
            connection.deliver(Send(control(self.simulation, request)))
            return
        visit = self.simulation.begin(request)
        self._stopping.wait(visit.delay_s)
        delivery = self.simulation.finish(visit)
        if isinstance(delivery, ShutDoor):
            self.shut(delivery.seconds, silent=delivery.silent)
        if isinstance(delivery, Send) and delivery.webhooks_first:
            self._postman.deliver_due()
        shown = delivery.reply.status if isinstance(delivery, Send) else type(delivery).__name__.lower()
        took = round(1000 * (time.monotonic() - started))
        reference = visit.client_reference or "-"
        if not _PLAIN.fullmatch(reference):
            reference = "?"  # whatever it is, it does not belong in a log
        _log.info("%s %s %s %s %s %d ms", request.method, visit.op or "-", reference, shown, visit.faults or "-", took)
        connection.deliver(delivery)

    def _carry_mail(self) -> None:
        while not self._stopping.is_set():
            self._mail.wait(self.simulation.seconds_to_next())
            self._mail.clear()
            if not self._stopping.is_set():
                self._postman.deliver_due()
