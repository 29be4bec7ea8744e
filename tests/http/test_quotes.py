"""Prices asked for before a ride is booked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from steps.taxi_api.operations import Taxi
from tests.http.conftest import Front, wish

Make = Callable[..., Front]


def ask(service: Front, body: Any = None, **more: Any) -> Any:
    """POST /v1/quotes."""
    return service.ask("POST", "/v1/quotes", wish() if body is None else body, **more)


def test_a_quote_is_what_the_ride_is_booked_for(front: Make) -> None:
    service = front()
    answer = ask(service)
    assert answer.status == 200
    (quote,) = answer.json()["quotes"]
    assert quote["vehicle_class"] == wish()["vehicle_class"]
    price = quote["price"]
    consent = {"max_amount_minor": price["amount_minor"], "currency": price["currency"]}
    booked = service.book(wish(quote_id=quote["quote_id"], price=consent))
    assert booked.status == 201
    assert {name: booked.json()["price"][name] for name in price} == price


def test_asking_for_a_price_books_and_keeps_nothing(front: Make) -> None:
    service = front()
    ask(service)
    assert service.sim.rides() == []
    assert service.ask("GET", "/v1/bookings").json()["bookings"] == []
    with service.engine.host.transaction() as db:
        assert db.execute("SELECT count(*) FROM executions").fetchone()[0] == 0


def test_what_may_not_be_booked_has_no_price(front: Make) -> None:
    service = front()
    refused = ask(service, wish(luggage={"large": 9, "small": 9}))
    assert (refused.status, refused.json()["code"]) == (422, "luggage_exceeds_vehicle")
    assert refused.json()["errors"][0]["pointer"] == "/luggage"
    stranger = ask(service, member="mem_demo_standard")
    assert stranger.status == 403
    assert "tier_not_entitled" in [error["code"] for error in stranger.json()["errors"]]
    assert service.sim.calls("createQuotes") == 0


def test_a_price_that_the_member_could_not_book_for_is_no_offer(front: Make) -> None:
    dear = ask(front(), wish(price={"max_amount_minor": 1, "currency": "GBP"}))
    assert (dear.status, dear.json()["code"]) == (409, "price_above_consented_max")
    assert dear.json()["suggested_action"] == "REQUOTE"


@pytest.mark.parametrize(
    ("faults", "most", "code"), [((), 1, "price_above_consented_max"), (("F27",), 4000, "price_changed")]
)
def test_a_price_that_is_too_high_is_told_and_can_be_agreed_to(
    front: Make, faults: tuple[str, ...], most: int, code: str
) -> None:
    service = front(*faults)
    dear = service.book(wish(price={"max_amount_minor": most, "currency": "GBP"}))
    assert (dear.status, dear.json()["code"]) == (409, code), dear.body
    quote = dear.json()["quote"]
    assert quote["price"]["amount_minor"] > most
    agreed = {"max_amount_minor": quote["price"]["amount_minor"], "currency": quote["price"]["currency"]}
    booked = service.book(wish(quote_id=quote["quote_id"], price=agreed))
    assert booked.status == 201, booked.body
    assert booked.json()["price"]["amount_minor"] == quote["price"]["amount_minor"]


@pytest.mark.parametrize("fault", ["price_changed", "quote_expired"])
def test_a_price_that_the_taxi_company_refuses_twice_is_told_with_the_one_that_holds(front: Make, fault: str) -> None:
    service = front()
    service.sim.set_plan({"faults": [{"op": "createRide", "nth": 1, "times": 2, "fault": fault}]})
    wanted = wish(price={"max_amount_minor": 20_000, "currency": "GBP"})
    refused = service.book(wanted)
    assert (refused.status, refused.json()["code"]) == (409, fault), refused.body
    booked = service.book({**wanted, "quote_id": refused.json()["quote"]["quote_id"]})
    assert booked.status == 201, booked.body
    assert booked.json()["price"]["amount_minor"] == refused.json()["quote"]["price"]["amount_minor"]


def test_a_price_that_is_over_is_told_with_the_one_that_holds(front: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The taxi company still lists what the member saw, though its time is over."""
    service, quotes = front(), Taxi.quotes

    def with_the_old_one(taxi: Taxi, request: Any) -> list[dict[str, Any]]:
        found = quotes(taxi, request)
        return [{**found[0], "quote_id": "q_old", "expires_at": "2026-01-01T00:00:00Z"}, *found]

    monkeypatch.setattr(Taxi, "quotes", with_the_old_one)
    over = service.book(wish(quote_id="q_old"))
    assert (over.status, over.json()["code"]) == (409, "quote_expired"), over.body
    booked = service.book(wish(quote_id=over.json()["quote"]["quote_id"]))
    assert booked.status == 201, booked.body


def test_no_car_and_no_answer_are_told_as_when_booking(front: Make) -> None:
    none = ask(front("F23"))
    assert (none.status, none.json()["code"]) == (409, "no_vehicles_available")
    silent = front()
    silent.sim.set_plan({"faults": [{"op": "createQuotes", "fault": "status", "params": {"status": 503}}]})
    answer = ask(silent)
    assert (answer.status, answer.json()["code"]) == (503, "supplier_unavailable")
    assert answer.headers["Retry-After"]


def test_a_bad_request_is_answered_as_when_booking(front: Make) -> None:
    service = front()
    for body in ({}, wish(surprise=1)):
        answer = ask(service, body)
        assert (answer.status, answer.json()["code"]) == (400, "validation_failed")
    assert ask(service, scope="bookings:read").status == 403
