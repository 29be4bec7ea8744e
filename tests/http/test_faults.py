"""Every fault of the catalogue through the running service: what is answered, and where the booking is in the end.

Each fault has a service and a taxi company of its own, on the real clock; several run side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from engine.service.http import Request
from steps.bookings.moments import stamp
from steps.simulator.catalogue import catalogue
from tests.booking import invariants
from tests.booking.world import looking
from tests.http.conftest import Front, wish

CASES: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text())
SECRET = "whsec_c2VjcmV0LWZvci10ZXN0cw=="
SIDE_BY_SIDE = 4
PATIENCE_S = 20.0
ONCE_QUIET = ("I01", "I04", "I12", "I13", "I14", "I17", "I23")
"""Invariants that hold when everything has come to rest (I01: unless the taxi company itself makes two rides)."""


def test_every_fault_of_the_catalogue_has_an_answer() -> None:
    assert list(CASES) == list(catalogue())


class Plays:
    """What comes of each fault. Those after the one that is asked for begin meanwhile: tests ask in this order."""

    def __init__(self, pool: ThreadPoolExecutor, folder: Callable[[str], Path]) -> None:
        self._pool, self._folder = pool, folder
        self._begun: dict[str, Future[dict[str, Any]]] = {}

    def of(self, fault: str) -> dict[str, Any]:
        first = list(CASES).index(fault)
        for name in list(CASES)[first : first + SIDE_BY_SIDE]:
            if name not in self._begun:
                self._begun[name] = self._pool.submit(play, name, self._folder(name))
        return self._begun[fault].result()


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plays]:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield Plays(pool, tmp_path_factory.mktemp)


@pytest.mark.parametrize("fault", CASES)
def test_a_fault_has_its_answer(fault: str, plays: Plays) -> None:
    case, found = CASES[fault], plays.of(fault)
    if case.get("ask") == "messages":
        assert found["http"] == case["http"]
    else:
        assert found["http"] in case["http"], found
    if found["http"] in (409, 502, 503) and "code" in case:
        assert (found["code"], bool(found["message"])) == (case["code"], True)
    assert found["status"] == case.get("status", found["status"])
    assert not case.get("retry_after") or found["retry_after"]
    assert found["violations"] == []


def play(fault: str, folder: Path) -> dict[str, Any]:
    """What comes of one fault."""
    case = CASES[fault]
    settings = {"TAXI_TIMEOUT_SCALE": "0.2", "EVENT_LOG": str(folder / "events.jsonl"), "TAXI_WEBHOOK_SECRET": SECRET}
    front = Front(f"sqlite:///{folder}/bookings.db", settings)
    try:
        with door(front) as (url, told):
            target = {"webhook": {"url": url, "secret": SECRET}} if case.get("ask") == "messages" else {}
            front.sim.set_plan(target, [fault])
            found = {"cancel": cancelled, "messages": driven}.get(case.get("ask", ""), booked)(front, case, told)
            return {**found, "violations": violations(front, folder)}
    finally:
        front.close()


def violations(front: Front, folder: Path) -> list[str]:
    """The invariants that do not hold, of those that hold at every moment."""
    with looking(f"sqlite:///{folder}/bookings.db", front.sim) as rows:
        found = invariants.violations(rows, front.sim, folder / "events.jsonl", stamp(datetime.now(UTC)))
    return [name for name in found if name[:3] not in ONCE_QUIET]


def booked(front: Front, case: dict[str, Any], told: list[int]) -> dict[str, Any]:
    front.settings["TAXI_TOKEN_URL"] = f"{front.sim.origin}/oauth/token"
    response = front.book(in_two_hours())
    body = response.json()
    status = wait_for(front, body["booking_id"], case.get("status"))
    found = {"http": response.status, "code": body.get("code"), "message": body.get("user_message"), "status": status}
    return {**found, "retry_after": response.headers.get("Retry-After")}


def cancelled(front: Front, case: dict[str, Any], told: list[int]) -> dict[str, Any]:
    made = front.book(in_two_hours(hours=3)).json()
    path = f"/v1/bookings/{made['booking_id']}/cancellation"
    response = front.ask("POST", path, {"reason": "plans changed"}, idempotency_key="k" * 20, prefer="wait=6")
    body = response.json()
    status = wait_for(front, made["booking_id"], case["status"])
    return {"http": response.status, "code": body.get("code"), "message": body.get("user_message"), "status": status}


def driven(front: Front, case: dict[str, Any], told: list[int]) -> dict[str, Any]:
    made = front.book(in_two_hours()).json()
    for status in case.get("drive", []):
        wait_for(front, made["booking_id"], None)
        front.sim.advance_ride(f"{made['booking_id']}-r1", status)
        Event().wait(0.5)  # the taxi company's messages are on their way
    status = wait_for(front, made["booking_id"], case["status"])
    return {"http": list(dict.fromkeys(told)), "status": status}


def in_two_hours(hours: int = 2) -> dict[str, Any]:
    moment = datetime.now(UTC) + timedelta(hours=hours, minutes=5)
    body = wish(price={"max_amount_minor": 4000, "currency": "GBP"})
    body["pickup"] |= {"type": "SCHEDULED", "time": moment.isoformat()}
    body["flight"] = {"number": "EK999", "date": f"{moment:%Y-%m-%d}"}
    return body


def wait_for(front: Front, booking_id: str, status: str | None) -> str:
    """The booking's status, once it is the one that is waited for."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found = str(front.ask("GET", f"/v1/bookings/{booking_id}").json()["status"])
        if status in (None, found) or time.monotonic() > until:
            return found
        Event().wait(0.1)


@contextmanager
def door(front: Front) -> Iterator[tuple[str, list[int]]]:
    """A real server in front of the service, for the taxi company's messages; what they were answered with."""
    told: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            response = front.service.handle(Request("POST", self.path, headers=named, body=body))
            told.append(response.status)
            self.send_response(response.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *given: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/webhooks/globaltaxi", told
    finally:
        server.shutdown()
        server.server_close()
