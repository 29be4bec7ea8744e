"""Questions that are asked twice when the answer takes long: by hand, and by bookings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from engine import StepError
from steps.taxi_api.hedging import LEAST_KNOWN, Hedge, hedge_of
from tests.booking.world import asap


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    """Lasts until it is set, at the latest when the test ends."""
    over = threading.Event()
    yield over
    over.set()


def used_to(hedge: Hedge) -> Hedge:
    """It knows how long answers take: no time at all."""
    for _ in range(LEAST_KNOWN):
        hedge.first(lambda second: {})
    return hedge


def test_the_answer_of_the_second_question_counts_when_the_first_is_not_answered(silence: threading.Event) -> None:
    def ask(second: bool) -> dict[str, Any]:
        if not second:
            silence.wait()
        return {"second": second}

    assert used_to(Hedge("GET rides")).first(ask) == {"second": True}


def test_nothing_is_asked_twice_before_it_is_known_how_long_answers_take() -> None:
    asked: list[bool] = []

    def ask(second: bool) -> dict[str, Any]:
        asked.append(second)
        return {}

    hedge = Hedge("GET rides")
    for _ in range(LEAST_KNOWN - 1):
        hedge.first(ask)
    assert hedge.usual() is None
    hedge.first(ask)
    assert hedge.usual() is not None
    assert asked == [False] * LEAST_KNOWN


def test_the_first_question_goes_on_where_no_second_one_may_be_asked(silence: threading.Event) -> None:
    def ask(second: bool) -> dict[str, Any]:
        if second:
            silence.set()
            raise StepError("Taxi.CircuitOpen", "read: most calls failed")
        silence.wait()
        return {"second": second}

    assert used_to(Hedge("GET rides")).first(ask) == {"second": False}


def test_what_fails_twice_fails_as_the_first_question_did(silence: threading.Event) -> None:
    def ask(second: bool) -> dict[str, Any]:
        if second:
            silence.set()
            raise StepError("Taxi.CircuitOpen", "read: most calls failed")
        silence.wait()
        raise StepError("Taxi.Ambiguous", "GET /rides: silence")

    with pytest.raises(StepError) as failure:
        used_to(Hedge("GET rides")).first(ask)
    assert failure.value.error == "Taxi.Ambiguous"


def test_a_question_that_fails_at_once_is_not_asked_twice() -> None:
    asked: list[bool] = []

    def ask(second: bool) -> dict[str, Any]:
        asked.append(second)
        raise StepError("Taxi.NotSent", "GET /rides: nobody there")

    with pytest.raises(StepError):
        used_to(Hedge("GET rides")).first(ask)
    assert asked == [False]


@pytest.mark.parametrize(("operation", "calls"), [("createQuotes", 2), ("createRide", 1)])
def test_a_booking_asks_twice_for_a_price_and_never_for_a_ride(world: Any, operation: str, calls: int) -> None:
    late = {"op": operation, "nth": 1, "fault": "latency", "params": {"delay_s": 0.5}}
    here = world(plan={"faults": [late]}, TAXI_TIMEOUT_SCALE="5")
    for call in ("POST quotes", "POST ride"):
        used_to(hedge_of(here.sim.url, call))
    assert here.book(asap()).output["status"] == "CONFIRMED"
    assert here.sim.calls(operation) == calls
    assert here.violations() == []
