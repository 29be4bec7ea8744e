"""A client that speaks the contract over real HTTP, with short deadlines, and a receiver for webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

from steps.simulator import Simulator

START = "2026-05-04T09:10:00Z"
PICKUP = {"point": {"lat": 51.4723, "lon": -0.488}, "airport_iata": "LHR"}
DROPOFF = {"point": {"lat": 51.5136, "lon": -0.1586}}
PASSENGER = {"first_name": "Ana", "last_name": "Rivera", "phone": "+447700900123"}
REFERENCE = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA-r1"


class Taxi:
    """The contract's operations against one simulator; quotes itself where a create needs a quote."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.http = httpx.Client(base_url=sim.url, timeout=10)

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Inside, calls give up after 0.2 s."""
        self.http.timeout = httpx.Timeout(0.2)
        try:
            yield
        finally:
            self.http.timeout = httpx.Timeout(10)

    def quote_id(self) -> str:
        return str(self.quote().json()["quotes"][0]["quote_id"])

    def quote(self, **changes: Any) -> httpx.Response:
        body = {"pickup": PICKUP, "dropoff": DROPOFF, "passengers": 2, "vehicle_class": "STANDARD"}
        return self.http.post("/quotes", json={**body, "pickup_time": "2026-05-04T12:30:00+01:00", **changes})

    def order(self, reference: str = REFERENCE, **changes: Any) -> dict[str, Any]:
        quote_id = changes.pop("quote_id", None) or self.quote_id()
        order = {"client_reference": reference, "quote_id": quote_id, "passenger": PASSENGER}
        return {**order, "pickup": PICKUP, "dropoff": DROPOFF, **changes}

    def create(self, reference: str = REFERENCE, key: str | None = None, **changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": f"create-a-ride:{reference}" if key is None else key}
        return self.http.post("/rides", json=self.order(reference, **changes), headers=headers)

    def find(self, reference: str = REFERENCE) -> httpx.Response:
        return self.http.get("/rides", params={"client_reference": reference})

    def get(self, ride: str | None = None) -> httpx.Response:
        return self.http.get(f"/rides/{ride or self.ride_id()}")

    def amend(self, state_hash: str, ride: str | None = None, **changes: Any) -> httpx.Response:
        headers = {"If-Match": state_hash, "Content-Type": "application/merge-patch+json"}
        return self.http.patch(f"/rides/{ride or self.ride_id()}", content=json.dumps(changes), headers=headers)

    def fee(self, ride: str | None = None) -> httpx.Response:
        return self.http.get(f"/rides/{ride or self.ride_id()}/cancellation")

    def cancel(self, ride: str | None = None, **changes: Any) -> httpx.Response:
        return self.http.put(
            f"/rides/{ride or self.ride_id()}/cancellation", json={"reason": "MEMBER_REQUEST", **changes}
        )

    def cancel_reference(self, reference: str = REFERENCE) -> httpx.Response:
        return self.http.put(f"/references/{reference}/cancellation")

    def track(self, ride: str | None = None) -> httpx.Response:
        return self.http.get(f"/rides/{ride or self.ride_id()}/tracking")

    def ride_id(self) -> str:
        return str(self.sim.rides()[0]["ride_ref"])


class Inbox:
    """A webhook receiver: what came, and what it answers (``status``, 204 unless told otherwise)."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(inbox.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/webhooks/globaltaxi"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]

    def news(self) -> list[tuple[int, str]]:
        """(sequence, status) of what came, in order of arrival."""
        return [(event["data"]["sequence"], event["data"]["status"]) for event in self.events()]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
