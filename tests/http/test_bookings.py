"""Bookings over HTTP: asked for, read, listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.service.http import Request
from engine.service.http.running import Ending
from steps.bookings.lifecycle import lifecycle
from tests.http.conftest import ANA, BEN, Front, wish

Make = Callable[..., Front]
UNKNOWN = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA"


def test_a_ride_is_booked_and_can_be_read(front: Make) -> None:
    service = front()
    made = service.book(wish())
    assert made.status == 201, made.body
    booking = made.json()
    assert (booking["status"], made.headers["ETag"]) == ("CONFIRMED", f'"v{booking["version"]}"')
    assert made.headers["Location"] == f"/v1/bookings/{booking['booking_id']}"
    read = service.ask("GET", made.headers["Location"])
    assert (read.status, read.headers["ETag"]) == (200, made.headers["ETag"])
    assert read.json() == {**booking, "poll_after_s": 60}


def test_what_is_known_already_is_not_sent_again(front: Make) -> None:
    service = front()
    made = service.book(wish())
    again = service.ask("GET", made.headers["Location"], if_none_match=f'"v1", {made.headers["ETag"]}')
    assert (again.status, again.body) == (304, b"")
    assert service.ask("GET", made.headers["Location"], if_none_match='"v1"').status == 200


def test_a_booking_of_somebody_else_is_the_same_as_none(front: Make) -> None:
    service = front()
    made = service.book(wish())
    others = service.ask("GET", made.headers["Location"], member=BEN, x_request_id="req_the_same")
    nobodys = service.ask("GET", f"/v1/bookings/{UNKNOWN}", member=BEN, x_request_id="req_the_same")
    assert isinstance(others.body, bytes)
    told = others.body.replace(made.json()["booking_id"].encode(), UNKNOWN.encode())
    assert (others.status, told) == (404, nobodys.body)
    assert service.ask("GET", "/v1/bookings", member=BEN).json() == {"bookings": [], "next_cursor": None}


def test_a_rejected_ride_is_a_problem_in_words_for_the_member_and_a_booking_to_read(front: Make) -> None:
    service = front()
    refused = service.book(wish(luggage={"large": 9, "small": 9}))
    assert refused.status == 422
    problem = refused.json()
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert (problem["code"], problem["booking_status"]) == ("luggage_exceeds_vehicle", "REJECTED")
    assert problem["errors"][0]["pointer"] == "/luggage"
    assert "car" in problem["user_message"]
    assert service.ask("GET", f"/v1/bookings/{problem['booking_id']}").json()["status"] == "REJECTED"
    assert service.ask("GET", problem["type"]).json()["status"] == 422


def test_who_tries_too_often_or_may_not_at_all_is_told_what_to_do(front: Make) -> None:
    service = front()
    for _ in range(5):
        service.book(wish(luggage={"large": 9}))
    answers = [service.book(), service.book(member="mem_demo_blocked"), service.book(member="mem_demo_exhausted")]
    told = [
        (one.status, one.json()["code"], one.json()["retryable"], one.json()["suggested_action"]) for one in answers
    ]
    assert told == [
        (429, "booking_velocity", True, "RETRY"),
        (403, "member_blocked", False, "CONTACT_SUPPORT"),
        (403, "ride_allowance_exhausted", False, "CHANGE_REQUEST"),
    ]
    assert answers[0].headers["Retry-After"] == "300"
    assert [service.ask("GET", one.json()["type"]).json()["status"] for one in answers] == [429, 403, 403]


def test_a_booking_that_is_on_its_way_is_answered_with_202_and_any_other_with_201(front: Make) -> None:
    service, found = front().service, {}
    (flow,) = (one.flow for one in service.routes.operations if one.id == "createBooking")
    assert flow is not None
    for status in lifecycle().statuses - {"REJECTED", "FAILED"}:  # their answer is their failure's
        ending = Ending("SUCCEEDED", {"booking_id": UNKNOWN, "status": status, "version": 3})
        answer = service.answering.of(flow, ending, {}, 0.0, Request("POST", "/v1/bookings"))
        found.setdefault((answer.status, answer.headers.get("Retry-After")), set()).add(status)
    assert found[202, "2"] == {"REQUESTED", "PENDING_CONFIRMATION", "COMPENSATING", "CANCELLATION_PENDING"}
    assert len(found) == 2


def test_a_member_who_may_not_is_forbidden(front: Make) -> None:
    assert front().book(wish(), member="mem_demo_expired").status == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (wish(airport_iata="x"), "/airport_iata"),
        (wish(surprise=1), "/surprise"),
        (wish(passengers={}), "/passengers/adults"),
        ([], ""),
        ("text", ""),
        (wish(notes="x" * 301), "/notes"),
        (wish(passengers={"adults": "1"}), "/passengers/adults"),
        ({"member_id": BEN, "request": wish()}, "/member_id"),
    ],
)
def test_a_wrong_request_is_refused_with_the_place_and_without_its_values(front: Make, body: Any, pointer: str) -> None:
    refused = front().book(body)
    assert refused.status == 400, refused.body
    problem = refused.json()
    assert problem["code"] == "validation_failed"
    if isinstance(body, dict) and "member_id" not in body:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_small_letters_and_spaces_are_no_mistake(front: Make) -> None:
    assert front().book(wish(airport_iata=" dxb ")).status == 201


def test_the_list_comes_in_pages_from_the_youngest(front: Make) -> None:
    service = front()
    ids = []
    for hour in range(5):
        made = service.book(wish(luggage={"large": 9, "small": 9 + hour}))
        ids.append(made.json()["booking_id"])
    found: list[str] = []
    path = "/v1/bookings?limit=2"
    for _ in range(3):
        page = service.ask("GET", path)
        found += [booking["booking_id"] for booking in page.json()["bookings"]]
        cursor = page.json()["next_cursor"]
        if cursor is not None:
            assert page.headers["Link"] == f'</v1/bookings?limit=2&cursor={cursor}>; rel="next"'
            path = f"/v1/bookings?limit=2&cursor={cursor}"
    assert (found, cursor) == (ids[::-1], None)
    assert service.ask("GET", "/v1/bookings?status=CONFIRMED").json()["bookings"] == []
    assert len(service.ask("GET", "/v1/bookings?to=2020-01-01T00:00:00Z").json()["bookings"]) == 0


def test_a_cursor_is_good_for_the_list_and_the_member_that_it_was_made_for(front: Make) -> None:
    service = front()
    for bags in (9, 10):
        service.book(wish(luggage={"large": 9, "small": bags}))
    cursor = service.ask("GET", "/v1/bookings?limit=1").json()["next_cursor"]
    assert service.ask("GET", f"/v1/bookings?cursor={cursor}").status == 200
    other = "B" if cursor[0] == "A" else "A"
    for bad in (cursor[:-1], other + cursor[1:], cursor + "A", "%00", "é", cursor[::-1]):
        assert service.ask("GET", f"/v1/bookings?cursor={bad}").json()["code"] == "validation_failed"
    assert service.ask("GET", f"/v1/bookings?cursor={cursor}", member=BEN).status == 400


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "from=yesterday", "status=GONE", "who=me"]
)
def test_a_parameter_that_is_wrong_or_unknown_is_refused(front: Make, query: str) -> None:
    assert front().ask("GET", f"/v1/bookings?{query}").json()["code"] == "validation_failed"


def test_an_unknown_path_and_an_unknown_method_are_told_apart(front: Make) -> None:
    service = front()
    assert service.ask("GET", "/v1/nothing").json()["code"] == "not_found"
    wrong = service.ask("DELETE", "/v1/bookings")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD, POST")


def test_head_is_get_without_a_body(front: Make) -> None:
    service = front()
    answer = service.ask("HEAD", service.book(wish()).headers["Location"])
    assert (answer.status, answer.body, answer.headers["ETag"]) == (200, b"", '"v2"')


def test_the_service_tells_that_it_is_ready_and_what_it_can_do(front: Make) -> None:
    service = front()
    assert service.ask("GET", "/healthz", member=None).json() == {"status": "ok"}
    assert service.ask("GET", "/readyz", member=None).json() == {"status": "ready", "checks": {"store": True}}
    document = service.ask("GET", "/openapi.json", member=None)
    assert b"x-flow" not in document.body  # type: ignore[operator]
    assert "/v1/bookings" in document.json()["paths"]
    assert ANA.encode() not in document.body  # type: ignore[operator]
