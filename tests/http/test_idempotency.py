"""Idempotency-Key: one wish is one booking, however often it is sent."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.service.http import Response
from tests.http import conftest
from tests.http.conftest import ANA, BEN, ROOT, Front, wish
from tests.http.test_faults import in_two_hours

Make = Callable[..., Front]
KEY = "a-key-of-the-client-1"


def forget_worker(service: Front) -> None:
    """The request was taken on, and the process that answers it died: its lock ends, its booking goes on."""
    with service.engine.host.store.aside() as db:
        db.execute(
            "UPDATE idempotency_keys SET state = 'IN_PROGRESS', body = NULL, locked_until = ?",
            ("2020-01-01T00:00:00.000Z",),
        )


def bookings(service: Front) -> int:
    with service.engine.host.store.aside(reading=True) as db:
        return int(db.execute("SELECT COUNT(*) FROM bookings").fetchone()[0])


def test_a_repeat_gets_the_first_answer_byte_for_byte(front: Make) -> None:
    service = front()
    first = service.book(key=KEY)
    again = service.book(key=KEY)
    assert (again.status, again.body) == (first.status, first.body)
    assert {name: again.headers[name] for name in ("ETag", "Location", "Content-Type")} == {
        name: first.headers[name] for name in ("ETag", "Location", "Content-Type")
    }
    assert (again.headers["Idempotent-Replayed"], "Idempotent-Replayed" in first.headers) == ("true", False)
    assert bookings(service) == 1


def test_a_refusal_is_repeated_too(front: Make) -> None:
    service = front()
    first = service.book(wish(luggage={"large": 9, "small": 9}), key=KEY)
    again = service.book(wish(luggage={"large": 9, "small": 9}), key=KEY)
    assert (again.status, again.body) == (422, first.body)


@pytest.mark.parametrize(
    ("faults", "member", "status", "code"),
    [
        (("F20",), ANA, 503, "supplier_unavailable"),  # the booking has failed, and stands there
        ((), "mem_demo_owing", 403, "outstanding_balance"),  # it was rejected
    ],
)
def test_a_booking_that_came_to_nothing_is_not_begun_again_under_its_key(
    front: Make, faults: tuple[str, ...], member: str, status: int, code: str
) -> None:
    service = front(*faults)
    first = service.book(key=KEY, member=member, prefer="wait=20")
    again = service.book(key=KEY, member=member)
    assert (first.status, first.json()["code"]) == (status, code)
    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (status, first.body, "true")
    assert bookings(service) == 1


def test_quoted_and_bare_keys_are_the_same_and_so_are_bodies_that_say_the_same(front: Make) -> None:
    service = front()
    first = service.book(key=KEY)
    body = wish(airport_iata=" dxb ")
    again = service.book(dict(reversed(body.items())), key=f'"{KEY}"')
    assert again.body == first.body


def test_another_request_with_the_key_is_refused(front: Make) -> None:
    service = front()
    service.book(key=KEY)
    other = service.book(wish(vehicle_class="MPV"), key=KEY)
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")


def test_the_key_of_another_member_is_another_key(front: Make) -> None:
    service = front()
    assert service.book(key=KEY).json()["booking_id"] != service.book(key=KEY, member=BEN).json()["booking_id"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "idempotency_key_missing"),
        ({"idempotency_key": "short"}, "validation_failed"),
        ({"idempotency_key": "é" * 20}, "validation_failed"),
    ],
)
def test_a_key_is_needed_and_has_a_form(front: Make, headers: dict[str, str], code: str) -> None:
    answer = front().ask("POST", "/v1/bookings", wish(), **headers)
    assert (answer.status, answer.json()["code"]) == (400, code)


def test_nothing_is_kept_of_a_request_that_was_not_taken_on(front: Make) -> None:
    service = front()
    assert service.book(wish(airport_iata="?"), key=KEY).status == 400
    assert service.book(wish(), key=KEY).status == 201


def test_while_the_first_request_runs_a_repeat_is_told_to_wait(front: Make) -> None:
    service = front("F07", TAXI_TIMEOUT_SCALE="0.3")
    answers: list[Response] = []
    asking = threading.Thread(target=lambda: answers.append(service.book(key=KEY, prefer="wait=20")))
    asking.start()
    while not bookings(service):
        time.sleep(0.01)
    meanwhile = service.book(key=KEY)
    asking.join()
    assert (meanwhile.status, meanwhile.json()["code"], meanwhile.headers["Retry-After"]) == (
        409,
        "request_in_progress",
        "1",
    )
    assert answers[0].status in (201, 202)
    assert bookings(service) == 1


def test_after_a_crash_the_next_request_takes_over_the_same_booking(front: Make) -> None:
    service = front()
    first = service.book(key=KEY)
    forget_worker(service)
    again = service.book(key=KEY)
    assert (again.status, again.body) == (201, first.body)
    assert "Idempotent-Replayed" not in again.headers  # it is the first answer that anybody gets
    assert bookings(service) == 1
    assert service.book(key=KEY).headers["Idempotent-Replayed"] == "true"


def test_many_at_once_make_one_booking(front: Make) -> None:
    service = front()
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(service.book(key=KEY))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {answer.json()["booking_id"] for answer in answers if answer.status == 201}
    assert len(made) == 1
    assert {answer.status for answer in answers} <= {201, 409}
    assert bookings(service) == 1


def test_who_does_not_wait_is_told_where_to_look_and_it_can_be_read_at_once(front: Make) -> None:
    service = front("F07", TAXI_TIMEOUT_SCALE="0.3")
    accepted = service.book(key=KEY, prefer="respond-async")
    assert (accepted.status, accepted.headers["Retry-After"]) == (202, "2")
    assert accepted.headers["Preference-Applied"] == "respond-async"
    assert accepted.json()["status"] in ("REQUESTED", "PENDING_CONFIRMATION")
    assert service.ask("GET", accepted.headers["Location"]).status == 200
    again = service.book(key=KEY, prefer="respond-async")
    assert (again.headers["Idempotent-Replayed"], again.json()["booking_id"]) == ("true", accepted.json()["booking_id"])
    until = time.monotonic() + 30
    while service.book(key=KEY).status == 202:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert service.book(key=KEY).status == 201


@pytest.mark.parametrize(
    ("step", "fault", "ask", "comes_to"),
    [
        ("modify.*", None, ("PATCH", "", {"luggage": {"large": 9}}), (422, "booking_rejected")),
        ("cancel.*", "F38", ("POST", "/cancellation", {}), (409, "not_cancellable_in_state")),
        ("cancel.*", None, ("POST", "/cancellation", {}), (200, None)),
    ],
)
def test_a_repeat_is_told_what_came_of_what_was_still_going_on(
    front: Make, step: str, fault: str | None, ask: tuple[str, str, Any], comes_to: tuple[int, str | None]
) -> None:
    service = front(*[fault] if fault else [])
    made = service.book(in_two_hours(hours=5))
    method, path, body = ask
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {
        "idempotency_key": KEY,
        "prefer": "respond-async",
        "content_type": kind,
        "if_match": made.headers["ETag"],
    }

    def again() -> Response:
        return service.ask(method, made.headers["Location"] + path, body, **headers)

    service.engine.pause_step(step)
    assert [again().status for _ in range(2)] == [202, 202]
    service.engine.unpause_step(step)
    until = time.monotonic() + 20
    while (answer := again()).status == 202 and time.monotonic() < until:
        time.sleep(0.05)
    assert (answer.status, answer.json().get("code")) == comes_to, answer.body
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_a_repeat_of_an_erasure_tells_how_many_were_erased(front: Make) -> None:
    service = front()
    service.book(wish(luggage={"large": 9}))
    path = f"/v1/members/{ANA}/erasure"
    first, again = (service.ask("POST", path, scope="bookings:ops", idempotency_key=KEY) for _ in range(2))
    assert (first.status, first.json()) == (again.status, again.json()) == (202, {"erased": 1})
    assert again.headers["Idempotent-Replayed"] == "true"


def test_what_is_kept_is_sealed(front: Make) -> None:
    service = front()
    made = service.book(key=KEY).json()
    with service.engine.host.store.aside(reading=True) as db:
        row = db.execute("SELECT scope, booking_id, body FROM idempotency_keys").fetchone()
    assert row[1] == made["booking_id"]
    assert made["reference"] not in row[2]
    assert "mem_demo" not in json.dumps(list(row))


FAILS = {"Type": "Fail", "Error": "Db.Unavailable", "Cause": "the database cannot be used"}


def with_a_flow_of(folder: Path, states: tuple[str, ...], last: dict[str, Any]) -> Path:
    """The document, beside a booking flow that has these states alone, one after the other, and then `last`."""
    for part in ("schemas", "flows", "steps/bookings"):
        shutil.copytree(ROOT / part, folder / part)
    file = folder / "flows/booking.yaml"
    booking = yaml.safe_load(file.read_text())
    names = [*states, "HandOver"]
    kept = {name: {**booking["States"][name], "Next": after} for name, after in zip(states, names[1:], strict=True)}
    for state in kept.values():
        state.pop("Catch", None)
        if "failure" in state.get("Assign", {}):
            state["Assign"] = {**state["Assign"], "failure": {"Error": "Taxi.CircuitOpen", "Cause": "not now"}}
    booking |= {"StartAt": names[0], "States": {**kept, "HandOver": last}}
    file.write_text(json.dumps(booking))
    return folder / "schemas/openapi.yaml"


def test_a_flow_that_fails_after_it_made_a_booking_does_not_free_its_key(
    front: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "DOCUMENT", with_a_flow_of(tmp_path / "files", ("AcceptRequest",), FAILS))
    service = front()
    first = service.book(key=KEY, prefer="wait=20")
    again = service.book(key=KEY, prefer="wait=20")
    assert bookings(service) == 1
    assert (first.status, first.json()["status"]) == (202, "REQUESTED")
    assert (again.status, again.json()["booking_id"]) == (202, first.json()["booking_id"])
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_flow_that_fails_before_it_made_a_booking_frees_its_key(
    front: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "DOCUMENT", with_a_flow_of(tmp_path / "files", (), FAILS))
    service = front()
    answers = [service.book(key=KEY, prefer="wait=20") for _ in range(2)]
    assert [(answer.status, answer.json()["code"]) for answer in answers] == [(503, "service_unavailable")] * 2
    assert not any("Idempotent-Replayed" in answer.headers for answer in answers)
    assert bookings(service) == 0


def test_a_booking_that_has_failed_has_its_last_answer_while_its_flow_goes_on(
    front: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lingers = {"Type": "Wait", "Seconds": 60, "End": True}
    document = with_a_flow_of(tmp_path / "files", ("AcceptRequest", "FailBooking"), lingers)
    monkeypatch.setattr(conftest, "DOCUMENT", document)
    service = front()
    first, again = (service.book(key=KEY, prefer="wait=1") for _ in range(2))
    assert (first.status, first.json()["code"]) == (503, "supplier_unavailable")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status, again.json()) == (first.status, first.json()), "byte for byte, its request id among it"
