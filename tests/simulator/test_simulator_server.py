"""The server as a neighbour: doors that shut, many callers at once, nothing left behind, no personal data logged."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from simulator_clients import REFERENCE, Taxi

from steps.simulator import Simulator

TaxiFactory = Callable[..., Any]


def test_connections_are_refused_after_the_quote_until_the_door_opens(taxi: TaxiFactory) -> None:
    client = taxi(faults=["F02"], hang_s=60)
    quote_id = client.quote_id()
    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            client.create(quote_id=quote_id)
    client.sim.reopen()
    assert client.create(quote_id=quote_id).status_code == 201


@pytest.mark.skipif(sys.platform != "linux", reason="a full accept queue leaves connections unanswered on Linux only")
def test_a_black_hole_accepts_nobody_until_the_door_opens(taxi: TaxiFactory) -> None:
    client = taxi(faults=["F03"], hang_s=60)
    quote_id = client.quote_id()
    with pytest.raises(httpx.ConnectTimeout), client.impatient():
        client.create(quote_id=quote_id)
    client.sim.reopen()
    assert client.create(quote_id=quote_id).status_code == 201


def test_the_door_opens_by_itself_when_its_time_is_over(taxi: TaxiFactory) -> None:
    client = taxi(faults=["F02"], hang_s=0.05)
    quote_id = client.quote_id()
    with pytest.raises(httpx.ConnectError):
        client.create(quote_id=quote_id)
    assert _until(lambda: client.create(quote_id=quote_id)).status_code == 201


def _until(call: Callable[[], httpx.Response]) -> httpx.Response:
    """What the call answers once it is let in."""
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        try:
            return call()
        except httpx.ConnectError:
            continue
    raise AssertionError("the door stayed shut")


def test_a_hanging_call_blocks_no_other_and_not_the_end(taxi: TaxiFactory) -> None:
    with Simulator({"faults": [{"fault": "timeout_before_commit"}]}) as sim, ThreadPoolExecutor(1) as pool:
        slow, quick = Taxi(sim), Taxi(sim)
        with slow.http, quick.http:
            hanging = pool.submit(slow.create)
            while not sim.calls("createRide"):
                quick.find()
            started = time.monotonic()
            sim.stop()
            assert time.monotonic() - started < 2
            assert isinstance(hanging.exception(), httpx.TransportError)


def test_many_callers_at_once_get_one_ride_each_reference(taxi: TaxiFactory) -> None:
    client = taxi()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: client.create(f"booking{number % 10}-r1").json()["ride_id"], range(80)))
    assert len(set(made)) == len(client.sim.rides()) == 10
    assert sum(ride["create_calls"] for ride in client.sim.rides()) == 80


def test_nothing_is_left_running_after_the_end() -> None:
    with Simulator(faults=["F07"]) as sim:
        client = Taxi(sim)
        with client.http:
            quote_id = client.quote_id()
            with pytest.raises(httpx.ReadTimeout), client.impatient():
                client.create(quote_id=quote_id)
            assert _threads()
    assert _threads() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(sim.url)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("simulator ")]


def test_the_log_has_a_line_per_call_and_nobodys_data(taxi: TaxiFactory, caplog: pytest.LogCaptureFixture) -> None:
    client = taxi(faults=["F15"])
    with caplog.at_level(logging.INFO, logger="steps.simulator"):
        client.create(notes="meet me at the pub", flight_number="BA286")
        client.http.get("/Rivera")
        client.find("Ana Rivera\nGET forged")
    quoted, created, lost, odd = [record.getMessage() for record in caplog.records]
    assert quoted.startswith("POST createQuotes - 200 -")
    assert created.startswith(f"POST createRide {REFERENCE} 500 status")
    assert lost.startswith("GET - - 404")
    assert odd.startswith("GET findRides ? 200 -")
    for word in ("Ana", "Rivera", "447700900123", "pub", "51.5"):
        assert word not in caplog.text
    assert "447700900123" not in str(client.sim.ground_truth())
