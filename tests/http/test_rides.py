"""What happens to a booking afterwards: cancelled, followed, told about, forgotten."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.service.http import Request, Response
from engine.telemetry.logs import JsonLine
from steps.webhooks.signatures import profiles, sign
from tests.http.conftest import ANA, BEN, ROOT, Front, wish
from tests.http.test_faults import in_two_hours

Make = Callable[..., Front]
KEY = "a-key-of-the-client-2"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OPS = "bookings:ops"
MERGE = "application/merge-patch+json"


def cancel(service: Front, path: str, body: Any = None, **headers: str) -> Response:
    headers.setdefault("idempotency_key", KEY)
    return service.ask("POST", f"{path}/cancellation", {} if body is None else body, **headers)


def test_the_fee_is_asked_first_and_the_ride_is_cancelled(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    asked = service.ask("GET", f"{path}/cancellation")
    assert asked.status == 200, asked.body
    fee = asked.json()["fee"]
    done = cancel(service, path, {"reason": "plans changed", "accept_fee": fee})
    assert (done.status, done.json()["status"]) == (200, "CANCELLED"), done.body
    assert done.headers["ETag"] == f'"v{done.json()["version"]}"'
    assert cancel(service, path, {"reason": "plans changed", "accept_fee": fee}).body == done.body
    again = cancel(service, path, idempotency_key="another-key-of-hers")
    assert (again.status, again.json()["version"]) == (200, done.json()["version"])
    assert service.ask("GET", f"{path}/cancellation").json()["code"] == "not_cancellable_in_state"


def test_somebody_elses_ride_can_be_neither_cancelled_nor_followed_nor_tracked(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    answers = [service.ask("GET", f"{path}/{what}", member=BEN) for what in ("cancellation", "tracking", "events")]
    answers.append(cancel(service, path, member=BEN))
    assert [answer.status for answer in answers] == [404] * 4
    assert service.ask("GET", path).json()["status"] == "CONFIRMED"


def test_a_ride_without_a_driver_has_nothing_to_track(front: Make) -> None:
    service = front()
    early = service.ask("GET", f"{service.book().headers['Location']}/tracking")
    assert (early.status, early.json()["code"], early.headers["Retry-After"]) == (409, "tracking_not_available", "60")


def told(service: Front, path: str, **headers: str) -> Iterator[tuple[int, str]]:
    answer = service.ask("GET", f"{path}/events", **headers)
    assert answer.headers["Content-Type"] == "text/event-stream"
    for part in answer.body:
        lines = dict(line.split(": ", 1) for line in part.decode().splitlines() if ": " in line)  # type: ignore[attr-defined]
        if "id" in lines:
            assert json.loads(lines["data"])["status"]
            yield int(lines["id"]), lines["event"]


def test_the_events_of_a_ride_are_streamed_until_it_ends_and_from_where_a_client_was(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    stream = told(service, path)
    assert [next(stream), next(stream)] == [(1, "booking.requested"), (2, "booking.confirmed")]
    cancel(service, path)
    assert list(stream) == [(3, "booking.cancellation_requested"), (4, "booking.cancelled")]
    assert [number for number, _ in told(service, path, last_event_id="2")] == [3, 4]
    assert service.ask("GET", f"{path}/events", last_event_id="x").status == 400


def test_a_stream_that_may_not_follow_ends_with_what_there_is(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    request = Request("GET", f"{path}/events", claims={"sub": ANA, "scope": "bookings:read"})
    request.follows = False
    parts = list(service.service.handle(request).body)
    assert parts[0] == b"retry: 2000\n\n"  # type: ignore[comparison-overlap]
    assert len(parts) == 3


def message(service: Front, body: Any, *, name: str = "wh_0001", secret: str = SECRET, age: int = 0) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    moment = int(time.time()) - age
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(moment),
        "webhook-signature": sign(profiles()["standard-webhooks"], secret, name, moment, raw),
    }
    return service.ask("POST", "/v1/webhooks/globaltaxi", raw, member=None, **headers)


def event(booking: dict[str, Any], status: str, sequence: int) -> dict[str, Any]:
    data = {
        "ride_id": booking["ride"]["ride_ref"],
        "client_reference": f"{booking['booking_id']}-r1",
        "sequence": sequence,
        "status": status,
    }
    return {"type": "ride.status_changed", "timestamp": "2026-05-04T11:02:10Z", "data": data}


def test_a_signed_message_is_taken_once_and_a_forged_one_is_not(front: Make) -> None:
    service = front(TAXI_WEBHOOK_SECRET=SECRET)
    booking = service.book().json()
    taken = message(service, event(booking, "DRIVER_ASSIGNED", 2))
    assert (taken.status, taken.body) == (204, b"")
    assert message(service, event(booking, "DRIVER_ASSIGNED", 2)).status == 204
    other = "whsec_" + base64.b64encode(b"another secret, 32 bytes long....").decode()
    refused = [
        message(service, event(booking, "COMPLETED", 9), name="wh_2", secret=other),
        message(service, event(booking, "COMPLETED", 9), name="wh_3", age=3600),
        service.ask("POST", "/v1/webhooks/globaltaxi", event(booking, "COMPLETED", 9), member=None),
    ]
    assert [answer.status for answer in refused] == [401] * 3
    assert len({json.dumps({**answer.json(), "instance": "", "request_id": ""}) for answer in refused}) == 1
    with service.engine.host.store.aside(reading=True) as db:
        until = time.monotonic() + 10
        while not (rows := db.execute("SELECT webhook_id FROM webhook_inbox").fetchall()) and time.monotonic() < until:
            db.execute("COMMIT")
            db.execute("BEGIN")
            time.sleep(0.02)
    assert [tuple(row) for row in rows] == [("wh_0001",)]


def test_the_log_says_why_a_message_is_refused_and_of_which_request(
    front: Make, caplog: pytest.LogCaptureFixture
) -> None:
    service = front(TAXI_WEBHOOK_SECRET=SECRET)
    booking = service.book().json()
    caplog.clear()
    caplog.set_level("INFO")
    late = message(service, event(booking, "COMPLETED", 9), age=3600)
    service.book(x_request_id="req-of-the-app")
    lines = [json.loads(JsonLine().format(record)) for record in caplog.records]
    (refused,) = [line for line in lines if line["message"] == "a message is refused"]
    assert refused["request_id"] == late.headers["X-Request-Id"]
    assert (refused["provider"], refused["problem"]) == ("globaltaxi", "the timestamp is too far from now")
    (answered,) = [line for line in lines if line["message"] == "createBooking answered"]
    assert (answered["request_id"], answered["execution"][:4]) == ("req-of-the-app", "bkg_")


@pytest.mark.parametrize("profile", ["body-hmac-sha256", "body-hmac-sha512"])
def test_a_provider_that_signs_the_body_alone_is_believed_once(front: Make, profile: str) -> None:
    service = front(TAXI_WEBHOOK_SECRET="old", TAXI_WEBHOOK_SECRET_NEXT="new", WEBHOOK_PROFILE_GLOBALTAXI=profile)
    booking, rules = service.book().json(), profiles()[profile]
    raw = json.dumps(event(booking, "DRIVER_ASSIGNED", 2)).encode()

    def send(secret: str, body: bytes = raw) -> int:
        header = {rules["signature"]: sign(rules, secret, "", 0, raw)}
        return service.ask("POST", "/v1/webhooks/globaltaxi", body, member=None, **header).status

    assert [send("old"), send("new"), send("old")] == [204] * 3
    assert [send("another"), send("new", raw + b" ")] == [401] * 2
    named = [found.name for found in service.engine.list() if found.name.startswith("webhook-")]
    assert len(named) == 1  # a repeat is told by its body


def test_a_profile_that_there_is_not_refuses_all(front: Make, caplog: pytest.LogCaptureFixture) -> None:
    service = front(TAXI_WEBHOOK_SECRET=SECRET, WEBHOOK_PROFILE_GLOBALTAXI="standard")
    booking = service.book().json()
    assert message(service, event(booking, "DRIVER_ASSIGNED", 2)).status == 401
    assert "WEBHOOK_PROFILE_GLOBALTAXI names no profile" in caplog.text


def test_a_new_secret_with_a_mistake_leaves_the_old_one_good(front: Make) -> None:
    service = front(TAXI_WEBHOOK_SECRET=SECRET, TAXI_WEBHOOK_SECRET_NEXT="whsec_not-base64")
    booking = service.book().json()
    assert message(service, event(booking, "DRIVER_ASSIGNED", 2)).status == 204
    assert message(service, event(booking, "DRIVER_ASSIGNED", 2), secret="whsec_b3RoZXI=").status == 401


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"\xff\xfe", 400), (b"{" + b" " * 70_000 + b"}", 413)])
def test_a_message_that_cannot_be_read_is_refused(front: Make, body: bytes, status: int) -> None:
    assert message(front(TAXI_WEBHOOK_SECRET=SECRET), body).status == status


def test_a_full_inbox_sends_messages_away_to_come_again(front: Make) -> None:
    service = front(TAXI_WEBHOOK_SECRET=SECRET, WEBHOOK_INBOX_LIMIT="1")
    booking = service.book().json()
    now = "2026-05-04T08:00:00.000Z"
    row = f"('globaltaxi', 'wh_waiting', 'x', 'y', 1, 't', '{now}', '{now}', 'NEW', '{{}}', 0, '{now}')"
    with service.engine.host.store.aside() as db:
        db.execute(f"INSERT INTO webhook_inbox VALUES {row}")
    full = message(service, event(booking, "DRIVER_ASSIGNED", 2))
    assert (full.status, full.json()["code"]) == (503, "service_unavailable")
    assert int(full.headers["Retry-After"]) > 0
    with service.engine.host.store.aside() as db:
        db.execute("UPDATE webhook_inbox SET state = 'IGNORED'")
    assert message(service, event(booking, "DRIVER_ASSIGNED", 2)).status == 204


def test_the_new_fee_is_told_when_it_has_not_been_accepted(front: Make) -> None:
    service = front("F39")
    path = service.book().headers["Location"]
    fee = {"accept_fee": {"amount_minor": 0, "currency": "GBP"}}
    refused = service.ask("POST", f"{path}/cancellation", fee, idempotency_key="a-key-of-the-client-2")
    assert (refused.status, refused.json()["code"]) == (409, "cancellation_fee_not_accepted")
    assert refused.json()["fee"] == {"amount_minor": 1000, "currency": "GBP"}
    accepted = {"accept_fee": refused.json()["fee"]}
    done = service.ask("POST", f"{path}/cancellation", accepted, idempotency_key="a-key-of-the-client-3")
    assert (done.status, done.json()["cancellation"]["fee"]["amount_minor"]) == (200, 1000)


def test_messages_of_strangers_are_not_found(front: Make) -> None:
    assert front().ask("POST", "/v1/webhooks/nobody", {}, member=None).status == 404


def test_a_member_is_forgotten_by_operations_alone(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    erase = f"/v1/members/{ANA}/erasure"
    assert service.ask("POST", erase, idempotency_key=KEY).status == 403
    assert service.ask("POST", erase, scope=OPS, idempotency_key=KEY).json()["code"] == "ride_open"
    cancel(service, path)
    done = service.ask("POST", erase, member="ops", scope=OPS, idempotency_key="key-of-operations")
    assert (done.status, done.json()) == (202, {"erased": 1})
    unknown = service.ask("POST", "/v1/members/nobody/erasure", scope=OPS, idempotency_key="key-of-operations-2")
    assert unknown.status == 404


def test_members_are_told_in_their_language(front: Make) -> None:
    service = front()
    refused = service.book(wish(luggage={"large": 9, "small": 9}), accept_language="es, de-AT;q=0.8, en;q=0.5")
    assert refused.json()["user_message"].startswith("Ihr Gepäck")
    assert [one["user_message"][:10] for one in refused.json()["errors"]] == ["Ihr Gepäck"]
    assert refused.headers["Content-Language"] == "de"
    path = f"/v1/bookings/{refused.json()['booking_id']}"
    read = service.ask("GET", path, accept_language="de")
    failure = read.json()["failure"]
    assert [one["user_message"][:10] for one in (failure, *failure["errors"])] == ["Ihr Gepäck"] * 2
    assert (read.headers["Content-Language"], read.headers["Vary"]) == ("de", "Accept-Language")
    listed = service.ask("GET", "/v1/bookings", accept_language="de").json()["bookings"]
    assert listed[0]["failure"] == failure
    events = b"".join(service.ask("GET", f"{path}/events", accept_language="de").body).decode()  # type: ignore[arg-type]
    assert "Ihr Gepäck" in events
    assert "bags" in service.ask("GET", path, accept_language="es").json()["failure"]["user_message"]
    english = service.book(wish(luggage={"large": 9, "small": 9}), accept_language="en, de;q=0.5")
    assert "bags" in english.json()["user_message"]
    assert service.ask("GET", "/v1/nothing", accept_language="fr;q=x,,;;").headers["Content-Language"] == "en"


def test_the_page_for_people_needs_nothing_from_elsewhere(front: Make) -> None:
    page = front().ask("GET", "/docs", member=None)
    text = page.body.decode()  # type: ignore[union-attr]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "/v1/bookings/{booking_id}/cancellation" in text
    assert not any(word in text for word in ("<script", "http://", "https://", "src=", "mem_demo"))


def test_a_booking_is_changed_if_it_is_the_one_that_was_looked_at(front: Make) -> None:
    service = front()
    made = service.book()
    path, tag = made.headers["Location"], made.headers["ETag"]

    def change(body: Any, **headers: str) -> Response:
        headers.setdefault("content_type", "application/merge-patch+json")
        return service.ask("PATCH", path, body, idempotency_key=f"key-of-a-change-{len(headers)}", **headers)

    assert change({"child_seats": 1}).json()["code"] == "precondition_required"
    assert change({"child_seats": 1}, if_match='"v99"').json()["code"] == "version_conflict"
    assert change({"child_seats": 1}, if_match="v2").json()["code"] == "validation_failed"
    assert change({"vehicle_class": "MPV"}, if_match=tag).json()["code"] == "validation_failed"
    assert change({"notes": "x"}, if_match=tag, content_type="application/json").status == 415
    done = service.ask(
        "PATCH", path, {"notes": "by the door"}, if_match=tag, idempotency_key=KEY, content_type=MERGE, prefer="wait=20"
    )
    assert done.status in (200, 409), done.body
    if done.status == 200:
        assert done.headers["ETag"] != tag
        assert done.json()["amendment"]["status"] == "APPLIED"


def test_a_change_against_the_rules_says_which_in_the_language_of_the_member(front: Make) -> None:
    service = front()
    made = service.book(in_two_hours(hours=5))
    headers = {"if_match": made.headers["ETag"], "idempotency_key": KEY, "content_type": MERGE, "accept_language": "de"}
    refused = service.ask("PATCH", made.headers["Location"], {"luggage": {"large": 9}}, **headers)
    assert (refused.status, refused.json()["code"]) == (422, "booking_rejected")
    (error,) = refused.json()["errors"]
    assert (error["code"], error["rule_id"], error["pointer"]) == ("luggage_exceeds_vehicle", "R31", "/luggage")
    assert error["user_message"].startswith("Ihr Gepäck")


def test_what_may_be_cancelled_is_what_the_rules_say_also_when_the_fee_is_asked(front: Make, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "flows/rules", tmp_path / "rules")
    rules = tmp_path / "rules/cancel.yaml"
    rules.write_text(rules.read_text().replace("'CONFIRMED',", ""))
    service = front(RULES_FILE=str(tmp_path / "rules/booking.yaml"))
    path = service.book().headers["Location"]
    answers = [service.ask("GET", f"{path}/cancellation"), cancel(service, path)]
    assert [(one.status, one.json()["code"]) for one in answers] == [(409, "not_cancellable_in_state")] * 2
    assert len({one.json()["detail"] for one in answers}) == 1


def test_an_erased_booking_cannot_be_changed(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    cancel(service, path)
    erased = service.ask("POST", f"/v1/members/{ANA}/erasure", scope=OPS, idempotency_key="key-of-operations")
    assert erased.json() == {"erased": 1}
    headers = {"if_match": "*", "idempotency_key": KEY, "content_type": MERGE}
    refused = service.ask("PATCH", path, {"notes": "by the door"}, **headers)
    assert (refused.status, refused.json()["code"]) == (409, "not_modifiable_in_state")


def test_operations_see_what_is_counted_and_members_do_not(front: Make) -> None:
    service = front()
    service.ask("GET", "/healthz", member=None)
    assert service.ask("GET", "/metrics").status == 403
    before, after = (service.ask("GET", "/metrics", scope=OPS).body.decode() for _ in range(2))
    counted = re.compile(r'http_request_seconds_count\{operation="metrics",status="200"\} (\S+)')
    assert float(counted.findall(after)[0]) == sum(map(float, counted.findall(before))) + 1
    assert "outbox_age_seconds" in after


def test_what_is_somebody_else_s_is_not_found_even_while_the_flow_goes_on(front: Make) -> None:
    service = front()
    booked = service.book().headers["Location"]
    service.engine.pause_step("cancel.*")
    for key, path in (("k" * 20, booked), ("l" * 20, "/v1/bookings/bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA")):
        answer = service.ask(
            "POST", f"{path}/cancellation", {}, member=BEN, idempotency_key=key, prefer="respond-async"
        )
        assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert service.ask("GET", booked).json()["status"] == "CONFIRMED"
