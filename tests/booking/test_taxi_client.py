"""The client of the taxi company on real sockets: whatever the peer does, the call ends in time and has a name."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from engine import StepError, traceparent
from steps.simulator import Simulator
from steps.taxi_api.client import MAX_BODY, Call, TaxiClient
from steps.taxi_api.operations import Taxi
from tests.booking.world import START

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("wire.yaml").read_text())
PATIENCE, SHORT = 30.0, 0.8
"""Seconds for a call: so many that no busy machine needs them, and for peers that are too slow."""
RIDE = (
    b'{"ride_id":"gtx_1","client_reference":"r","status":"CONFIRMED","state_hash":"h","sequence":1,"price":'
    b'{"amount_minor":1,"currency":"GBP"}}'
)


class Peer:
    """A server that reads one request per connection and does what it is told with it."""

    def __init__(self, act: Callable[[socket.socket], None]) -> None:
        self._act = act
        self.requests: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            try:
                self.requests.append(connection.recv(65536))
                self._act(connection)
            except OSError:
                pass  # the client has hung up, as it should

    def stop(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)


@pytest.fixture
def peer() -> Iterator[Callable[[Callable[[socket.socket], None]], Peer]]:
    made: list[Peer] = []

    def make(act: Callable[[socket.socket], None]) -> Peer:
        made.append(Peer(act))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def client(url: str, **settings: str) -> TaxiClient:
    return TaxiClient({"TAXI_URL": url, **settings}, lambda: datetime.fromisoformat(START).astimezone(UTC))


def create(url: str, seconds: float = PATIENCE, **settings: str) -> dict[str, Any]:
    return client(url, **settings).call(Call("POST", "/rides", "ride", seconds, body={"a": 1}))


def acting(case: dict[str, Any]) -> Callable[[socket.socket], None]:
    def act(connection: socket.socket) -> None:
        if case.get("drip"):
            for byte in case["send"].encode():
                connection.sendall(bytes([byte]))
                time.sleep(case["drip"])  # the peer is slow, not the test: the call ends at its deadline
        else:
            connection.sendall(case["send"].encode())
        if case.get("reset"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if not case.get("hold"):
            connection.close()

    return act


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
def test_whatever_the_peer_does_has_a_name_and_ends_in_time(case: dict[str, Any], peer: Any) -> None:
    started = time.monotonic()
    with pytest.raises(StepError) as caught:
        create(peer(acting(case)).url, SHORT if "hold" in case or "drip" in case else PATIENCE)
    assert (caught.value.error, caught.value.retry_after) == (case["error"], case.get("retry_after"))
    assert time.monotonic() - started < PATIENCE


def test_a_good_answer_is_given_back(peer: Any) -> None:
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(RIDE), RIDE)
    there = peer(lambda connection: connection.sendall(answer))
    assert create(there.url)["ride_id"] == "gtx_1"
    head = there.requests[0].lower()
    assert b"accept: application/json" in head
    assert b"x-request-id: req_" in head


def test_the_taxi_company_is_told_whose_trace_a_call_belongs_to(peer: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(RIDE), RIDE)
    there = peer(lambda connection: connection.sendall(answer))
    ctx: Any = SimpleNamespace(
        execution="booking-1",
        settings={"TAXI_URL": there.url},
        now=lambda: datetime.fromisoformat(START).astimezone(UTC),
        remaining=lambda limit: PATIENCE,
    )
    assert Taxi(ctx).get("gtx_1")["status"] == "CONFIRMED"
    assert f"traceparent: {traceparent('booking-1')}".encode() in there.requests[0].lower()


def test_an_answer_without_end_is_cut(peer: Any) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * MAX_BODY)

    with pytest.raises(StepError) as caught:
        create(peer(flood).url)
    assert caught.value.error == "Taxi.BadResponse"


def test_an_answer_nested_too_deeply_is_not_understood(peer: Any) -> None:
    body = b"[" * 100_000
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(StepError) as caught:
        create(peer(lambda connection: connection.sendall(answer)).url)
    assert caught.value.error == "Taxi.BadResponse"


def test_a_closed_port_proves_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", "http://name.invalid"):
        with pytest.raises(StepError) as caught:
            create(url)
        assert caught.value.error == "Taxi.NotSent"


def test_tls_to_a_peer_without_it_proves_that_nothing_was_sent(peer: Any) -> None:
    there = peer(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))
    with pytest.raises(StepError) as caught:
        create(there.url.replace("http:", "https:"))
    assert caught.value.error == "Taxi.NotSent"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, peer: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(RIDE), RIDE)
    assert create(peer(lambda connection: connection.sendall(answer)).url)["status"] == "CONFIRMED"


def test_a_cookie_of_one_call_does_not_go_with_the_calls_of_other_bookings(peer: Any) -> None:
    head = b"HTTP/1.1 201 Created\r\nSet-Cookie: AWSALB=one; Path=/\r\nConnection: close\r\n"
    answer = head + b"Content-Length: %d\r\n\r\n%s" % (len(RIDE), RIDE)
    there = peer(lambda connection: connection.sendall(answer))
    for _ in range(2):
        create(there.url)
    assert [b"cookie" in request.lower() for request in there.requests] == [False, False]


def test_without_an_address_the_error_says_what_to_do() -> None:
    with pytest.raises(StepError) as caught:
        client("")
    assert caught.value.error == "Taxi.NotConfigured"
    assert "TAXI_URL" in str(caught.value.cause)
    assert "steps.simulator" in str(caught.value.cause)


def quote() -> Call:
    point = {"point": {"lat": 25.25, "lon": 55.36}}
    body = {"pickup": point, "dropoff": {"point": {"lat": 25.2, "lon": 55.27}}, "passengers": 1}
    return Call("POST", "/quotes", "quotes", 2.0, body=body)


def test_waiting_for_an_access_token_is_part_of_a_call_s_time() -> None:
    slow = {"op": "createToken", "fault": "latency", "params": {"delay_s": 0.3}}
    with Simulator({"auth": {"required": True, "ttl_s": 600}, "faults": [slow]}, start_at=START) as sim:
        settings = {"TAXI_CLIENT_ID": "booking", "TAXI_CLIENT_SECRET": "booking-secret"}
        taxi = client(sim.url, TAXI_TOKEN_URL=f"{sim.origin}/oauth/token", **settings)
        with pytest.raises(StepError) as caught:
            taxi.call(replace(quote(), seconds=0.2))
        assert caught.value.error == "Taxi.NotSent"
        assert sim.calls("createQuotes") == 0
        assert taxi.call(quote())["quotes"]


def test_an_access_token_is_fetched_once_and_renewed_when_it_is_refused() -> None:
    plan = {"auth": {"required": True, "ttl_s": 600}}
    with Simulator(plan, clock="virtual", start_at=START) as sim:
        settings = {
            "TAXI_TOKEN_URL": f"{sim.origin}/oauth/token",
            "TAXI_CLIENT_ID": "booking",
            "TAXI_CLIENT_SECRET": "booking-secret",
        }
        taxi = client(sim.url, **settings)
        assert taxi.call(quote())["quotes"]
        assert taxi.call(quote())["quotes"]
        assert sim.calls("createToken") == 1
        sim.advance(601)
        assert taxi.call(quote())["quotes"]
        assert sim.calls("createToken") == 2
        with pytest.raises(StepError) as caught:
            client(sim.url, **{**settings, "TAXI_CLIENT_ID": "nobody"}).call(quote())
        assert caught.value.error == "Taxi.Refused"
