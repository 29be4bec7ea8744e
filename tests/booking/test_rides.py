"""What becomes of a ride at the taxi company: which one counts, what a word means, when it costs too much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import StepError
from steps.booking import confirm, request
from steps.bookings.following import follow
from steps.bookings.repository import repository
from steps.taxi_api import rides
from steps.taxi_api.operations import expired, quote_request
from tests.booking.world import BOOKING, Desk, asap


def ride(status: str, number: int = 1) -> dict[str, Any]:
    price = {"amount_minor": 3000, "currency": "GBP"}
    return {"ride_id": f"gtx_{number}", "status": status, "sequence": 1, "price": price}


def test_a_ride_to_the_airport_names_it_as_its_end(desk: Desk) -> None:
    wish = asap()
    wish["request"]["direction"] = "TO_AIRPORT"
    request(wish, desk)
    _, whole = rides.stored(BOOKING, desk)
    asked = quote_request(whole)
    assert "airport_iata" not in asked["pickup"]
    assert asked["dropoff"]["airport_iata"] == "DXB"
    assert (asked["pickup_time"], asked["passengers"], asked["luggage"]) == (None, 1, 2)


def test_a_quote_without_an_end_is_not_understood(desk: Desk) -> None:
    assert expired({"expires_at": "2026-05-04T08:00:00Z"}, desk.now())
    assert not expired({"expires_at": "2026-05-04T08:00:01Z"}, desk.now())
    with pytest.raises(StepError) as caught:
        expired({"expires_at": "soon"}, desk.now())
    assert caught.value.error == "Taxi.BadResponse"


@pytest.fixture
def booked(desk: Desk) -> Desk:
    wish = asap()
    wish["request"]["price"] = {"max_amount_minor": 3100, "currency": "GBP"}
    request(wish, desk)
    return desk


def adopted(found: list[dict[str, Any]], desk: Desk) -> dict[str, Any]:
    with repository(desk) as repo:
        booking = repo.load(BOOKING)
    return rides.adopt(found, booking, desk)


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        (["CONFIRMED"], "CONFIRMED"),
        (["PENDING"], "PENDING"),
        (["FLYING_CARPET"], "PENDING"),  # a word that is not in the contract: look again
        (["COMPLETED"], "COMPLETED"),
        (["FAILED", "CONFIRMED"], "CONFIRMED"),
        (["NO_VEHICLES"], "Taxi.NoVehicles"),
        (["CANCELLED_BY_SUPPLIER"], "Taxi.RideFailed"),
        (["COMPLETED", "FAILED"], "COMPLETED"),
        (["FAILED", "NO_VEHICLES"], "Taxi.RideFailed"),  # newest first: the last word is the newest one's
    ],
)
def test_the_ride_that_counts(statuses: list[str], outcome: str, booked: Desk) -> None:
    found = [ride(status, number) for number, status in enumerate(statuses)]
    try:
        seen = adopted(found, booked)["status"]
    except StepError as problem:
        seen = problem.error
    assert seen == outcome


def test_a_ride_above_the_agreed_price_is_not_confirmed(booked: Desk) -> None:
    dear = {
        "ride_ref": "gtx_1",
        "status": "CONFIRMED",
        "sequence": 1,
        "price": {"amount_minor": 3101, "currency": "GBP"},
    }
    with pytest.raises(StepError) as caught:
        confirm({"booking_id": BOOKING, "ride": dear}, booked)
    assert caught.value.error == "Booking.PriceAboveMaximum"
    dear["price"] = {"amount_minor": 3100, "currency": "GBP"}
    assert confirm({"booking_id": BOOKING, "ride": dear}, booked)["price"]["amount_minor"] == 3100


def test_confirming_again_changes_nothing(booked: Desk) -> None:
    good = {"ride_ref": "gtx_1", "status": "CONFIRMED", "sequence": 1, "price": {"amount_minor": 1, "currency": "GBP"}}
    first = confirm({"booking_id": BOOKING, "ride": good}, booked)
    assert confirm({"booking_id": BOOKING, "ride": good}, booked) == first
    assert booked.db.execute("SELECT COUNT(*) FROM outbox").fetchone() == (2,)


@pytest.mark.parametrize(
    ("at_the_end", "later", "price", "reasons"),
    [
        (2900, 2900, 2900, []),  # it is what was agreed at most
        (3200, 3200, 3000, ["dearer_than_agreed"]),  # once, however often it is told
        (None, 3000, 3000, []),
        (None, 2500, 3000, ["price_after_the_end"]),  # the receipt has been told
        (None, 3200, 3000, ["price_after_the_end"]),
    ],
)
def test_the_price_in_the_end(at_the_end: int | None, later: int, price: int, reasons: list[str], booked: Desk) -> None:
    confirm({"booking_id": BOOKING, "ride": {**ride("CONFIRMED"), "ride_ref": "gtx_1"}}, booked)
    for number, final in enumerate((at_the_end, later, later), start=2):
        priced = {} if final is None else {"final_price": {"amount_minor": final, "currency": "GBP"}}
        booked.sleep(1)
        with repository(booked) as repo:
            follow(repo, repo.load(BOOKING), {**ride("COMPLETED"), "sequence": number, **priced}, actor="supplier")
    with repository(booked) as repo:
        assert (repo.load(BOOKING).status, repo.load(BOOKING).price_minor) == ("COMPLETED", price)
    told = [json.loads(row[0])["data"] for row in booked.db.execute("SELECT envelope FROM outbox ORDER BY seq")]
    assert [data["reason"] for data in told if "reason" in data] == reasons
