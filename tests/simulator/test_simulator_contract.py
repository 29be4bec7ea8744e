"""The contract without faults: creating once, looking up, amending, cancelling, prices, tokens, limits."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from simulator_clients import REFERENCE

REFUSED: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("requests.yaml").read_text(encoding="utf-8"))
TaxiFactory = Callable[..., Any]


@pytest.mark.parametrize("case", REFUSED, ids=json.dumps)
def test_a_bad_request_is_refused_by_name(case: dict[str, Any], taxi: TaxiFactory) -> None:
    client = taxi()
    if case["do"] == "find":
        response = client.http.get(case["path"])
    else:
        good = client.order() if case["do"] == "create" else json.loads(client.quote().request.content)
        changed = {**good, **case.get("body", {})}
        text = case.get("raw", json.dumps({name: value for name, value in changed.items() if value is not None}))
        key = case.get("key", "a-key-of-good-length")
        headers = {} if key is None else {"Idempotency-Key": key}
        response = client.http.post("/rides" if case["do"] == "create" else "/quotes", content=text, headers=headers)
    assert response.status_code == case["status"]
    problem = response.json()
    assert problem["code"] == case.get("code", "invalid_request")
    assert problem["status"] == case["status"]
    assert problem["executed"] is False
    assert problem.get("detail", "").startswith(case.get("names", ""))
    assert client.sim.rides() == []


def test_a_quote_is_a_fixed_price_for_300_seconds(taxi: TaxiFactory) -> None:
    (quote,) = taxi().quote().json()["quotes"]
    assert quote == {
        "quote_id": quote["quote_id"],
        "vehicle_class": "STANDARD",
        "price": {"amount_minor": 5800, "currency": "GBP"},
        "price_type": "FIXED",
        "max_passengers": 3,
        "max_luggage": 2,
        "pickup_type": "MEET_AND_GREET",
        "free_waiting_min": 60,
        "expires_at": "2026-05-04T09:15:00Z",
        "cancellation": [
            {"kind": "TIME_BEFORE_PICKUP", "minutes": 120, "fee": {"amount_minor": 0, "currency": "GBP"}},
            {"kind": "TIME_BEFORE_PICKUP", "minutes": 0, "fee": {"amount_minor": 2900, "currency": "GBP"}},
        ],
    }


def test_a_car_now_is_quoted_with_its_eta(taxi: TaxiFactory) -> None:
    (quote,) = taxi().quote(pickup_time=None).json()["quotes"]
    assert quote["eta_min"] > 0
    assert quote["cancellation"] == [{"kind": "BEFORE_DRIVER_EN_ROUTE", "fee": {"amount_minor": 0, "currency": "GBP"}}]


def test_quotes_without_a_class_offer_every_vehicle_with_enough_seats(taxi: TaxiFactory) -> None:
    body = taxi().quote(vehicle_class=None, passengers=5)
    assert body.status_code == 422  # null is no class
    client = taxi()
    request = {**json.loads(client.quote().request.content), "passengers": 5}
    del request["vehicle_class"]
    quotes = client.http.post("/quotes", json=request).json()["quotes"]
    assert [quote["vehicle_class"] for quote in quotes] == ["MPV", "MINIBUS"]


def test_prices_follow_the_price_list(taxi: TaxiFactory) -> None:
    client = taxi({"pricing": {"currency": "JPY", "base_minor": 1000, "per_km_minor": 0, "round_to_minor": 1}})
    (quote,) = client.quote(vehicle_class="EXECUTIVE").json()["quotes"]
    assert quote["price"] == {"amount_minor": 1500, "currency": "JPY"}


def test_a_create_confirms_the_ride(taxi: TaxiFactory) -> None:
    response = taxi().create()
    ride = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/rides/{ride['ride_id']}"
    assert response.headers["date"] == "Mon, 04 May 2026 09:10:00 GMT"
    assert (ride["client_reference"], ride["status"], ride["sequence"]) == (REFERENCE, "CONFIRMED", 1)
    assert ride["price"] == {"amount_minor": 5800, "currency": "GBP"}
    assert ride["pickup_time"] == "2026-05-04T11:30:00Z"


def test_a_repeated_create_gives_back_the_same_ride(taxi: TaxiFactory) -> None:
    client = taxi()
    first, same_key, other_key = client.create(), client.create(), client.create(key="another-key-for-it")
    assert {first.json()["ride_id"]} == {same_key.json()["ride_id"], other_key.json()["ride_id"]}
    assert len(client.sim.rides()) == 1
    assert client.sim.rides()[0]["create_calls"] == client.sim.calls("createRide", REFERENCE) == 3


def test_a_key_belongs_to_one_reference_until_it_is_forgotten(taxi: TaxiFactory) -> None:
    client = taxi({"contract": {"idempotency_ttl_h": 1}})
    client.create("first-r1", key="the-one-and-only-key")
    refused = client.create("second-r1", key="the-one-and-only-key")
    assert (refused.status_code, refused.json()["detail"][:15]) == (422, "Idempotency-Key")
    client.sim.advance(3600)
    assert client.create("second-r1", key="the-one-and-only-key").status_code == 201


def test_a_supplier_that_does_not_deduplicate_makes_a_ride_each_time(taxi: TaxiFactory) -> None:
    client = taxi({"contract": {"dedupes_creates": False}})
    client.create()
    client.create()
    rides = client.find().json()["rides"]
    assert len({ride["ride_id"] for ride in rides}) == 2
    assert [ride["ride_id"] for ride in rides] == [ride["ride_ref"] for ride in reversed(client.sim.rides())]


def test_an_expired_quote_is_refused_with_a_new_one(taxi: TaxiFactory) -> None:
    client = taxi()
    quote_id = client.quote_id()
    client.sim.advance(300)
    refused = client.create(quote_id=quote_id).json()
    assert (refused["code"], refused["quote"]["expires_at"]) == ("quote_expired", "2026-05-04T09:20:00Z")
    assert client.create(quote_id=refused["quote"]["quote_id"]).status_code == 201


def test_a_price_above_the_clients_maximum_is_refused(taxi: TaxiFactory) -> None:
    client = taxi()
    refused = client.create(max_price={"amount_minor": 5799, "currency": "GBP"}).json()
    assert (refused["code"], refused["quote"]["price"]["amount_minor"]) == ("price_changed", 5800)
    assert client.create(max_price={"amount_minor": 5800, "currency": "GBP"}).status_code == 201


def test_look_ups_show_every_ride_of_the_reference_and_no_other(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create("a-r1")
    client.create("a-r2")
    assert [ride["client_reference"] for ride in client.find("a-r1").json()["rides"]] == ["a-r1"]
    assert client.find("b-r1").json() == {"rides": []}


def test_cancelling_costs_more_the_later_it_is(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    assert client.fee().json() == {"fee": {"amount_minor": 0, "currency": "GBP"}, "valid_until": "2026-05-04T09:30:00Z"}
    client.sim.advance(20 * 60)
    assert client.fee().json() == {
        "fee": {"amount_minor": 2900, "currency": "GBP"},
        "valid_until": "2026-05-04T11:30:00Z",
    }
    client.sim.advance(2 * 3600)
    assert client.fee().json() == {"fee": {"amount_minor": 5800, "currency": "GBP"}}


def test_cancelling_a_car_now_is_free_until_the_driver_leaves(taxi: TaxiFactory) -> None:
    client = taxi()
    quote_id = client.quote(pickup_time=None).json()["quotes"][0]["quote_id"]
    client.create(quote_id=quote_id)
    assert client.fee().json()["fee"]["amount_minor"] == 0
    client.sim.advance_ride(REFERENCE, "DRIVER_EN_ROUTE")
    assert client.fee().json()["fee"]["amount_minor"] == 5800


def test_cancelling_twice_costs_the_same_fee_once(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    client.sim.advance(30 * 60)
    first = client.cancel()
    client.sim.advance(3600)
    again = client.cancel(max_fee={"amount_minor": 0, "currency": "GBP"})
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["cancellation_fee"] == {"amount_minor": 2900, "currency": "GBP"}


def test_a_running_ride_is_not_cancelled(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    client.sim.advance_ride(REFERENCE, "PASSENGER_ON_BOARD")
    assert client.cancel().json()["code"] == "ride_in_progress"
    assert client.cancel_reference().json()["code"] == "ride_in_progress"
    assert client.create().json()["status"] == "PASSENGER_ON_BOARD"  # no tombstone was left


def test_a_cancelled_reference_is_refused_ever_after(taxi: TaxiFactory) -> None:
    client = taxi()
    assert client.cancel_reference().json() == {"cancelled": []}
    refused = client.create()
    assert (refused.status_code, refused.json()["code"], refused.json()["executed"]) == (
        409,
        "reference_cancelled",
        False,
    )
    assert client.sim.ground_truth()["tombstones"] == [REFERENCE]


def test_cancelling_by_reference_cancels_its_rides_and_may_be_repeated(taxi: TaxiFactory) -> None:
    client = taxi({"faults": [{"fault": "two_live_rides"}]})
    client.create()
    first, again = client.cancel_reference(), client.cancel_reference()
    assert sorted(first.json()["cancelled"]) == sorted(ride["ride_ref"] for ride in client.sim.rides())
    assert first.json() == again.json()
    assert not any(ride["live"] for ride in client.sim.rides())


def test_without_tombstones_there_is_no_cancelling_by_reference(taxi: TaxiFactory) -> None:
    assert taxi({"contract": {"tombstones": False}}).cancel_reference().status_code == 404


def test_an_amendment_needs_the_state_last_seen(taxi: TaxiFactory) -> None:
    client = taxi()
    seen = client.create().json()["state_hash"]
    amended = client.amend(seen, pickup_time="2026-05-04T13:00:00Z", passengers=3)
    assert (amended.status_code, amended.json()["pickup_time"]) == (200, "2026-05-04T13:00:00Z")
    assert amended.json()["sequence"] == 2
    stale = client.amend(seen, passengers=1)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_state")
    assert client.amend(client.get().headers["etag"], passengers=1).status_code == 200
    assert client.http.patch(f"/rides/{client.ride_id()}", json={}).json()["detail"].startswith("If-Match")


@pytest.mark.parametrize(
    ("status", "code"),
    [("DRIVER_EN_ROUTE", "too_late"), ("PASSENGER_ON_BOARD", "ride_in_progress"), ("COMPLETED", "too_late")],
)
def test_a_ride_under_way_is_not_amended(status: str, code: str, taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    state_hash = client.sim.advance_ride(REFERENCE, status)["state_hash"]
    assert client.amend(state_hash, passengers=1).json()["code"] == code


def test_tracking_has_a_position_while_a_driver_is_on_the_way(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    assert "position" not in client.track().json()
    client.sim.advance_ride(REFERENCE, "DRIVER_EN_ROUTE")
    first = client.track().json()
    client.sim.advance(300)
    second = client.track().json()
    assert first["eta"] == second["eta"] == "2026-05-04T09:20:00Z"
    assert second["position"]["lat"] < first["position"]["lat"]
    assert second["updated_at"] == "2026-05-04T09:15:00Z"


def test_a_life_shows_driver_vehicle_and_final_price_in_their_time(taxi: TaxiFactory) -> None:
    client = taxi()
    assert "driver" not in client.create().json()
    assigned = client.sim.advance_ride(REFERENCE)
    assert assigned["status"] == "DRIVER_ASSIGNED"
    assert assigned["driver"].keys() == {"first_name", "phone", "photo_url"}
    assert assigned["vehicle"].keys() == {"make", "model", "colour", "plate"}
    completed = client.sim.advance_ride(REFERENCE, "COMPLETED")
    assert completed["final_price"] == {"amount_minor": 5800, "currency": "GBP"}
    assert client.sim.rides()[0]["live"] is False


def test_calls_beyond_the_limit_wait_for_the_hour_to_pass(taxi: TaxiFactory) -> None:
    client = taxi({"contract": {"rate_limit": 2}})
    client.find()
    client.sim.advance(600)
    client.find()
    limited = client.find()
    assert (limited.status_code, limited.json()["executed"], limited.headers["retry-after"]) == (429, False, "3000")
    assert client.quote().status_code == 200
    client.sim.advance(3000)
    assert client.find().status_code == 200


def test_tokens_are_asked_for_only_where_the_plan_says_so_and_run_out(taxi: TaxiFactory) -> None:
    client = taxi({"auth": {"required": True, "client_id": "me", "client_secret": "secret", "ttl_s": 60}})
    refused = client.find()
    assert (refused.status_code, refused.json()["code"]) == (401, "token_expired")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    url, form = client.sim.token_url, {"grant_type": "client_credentials"}
    assert client.http.post(url, data={**form, "client_id": "me", "client_secret": "guess"}).status_code == 401
    assert client.http.post(url, data={"grant_type": "password"}).json() == {"error": "unsupported_grant_type"}
    granted = client.http.post(url, data={**form, "client_id": "me", "client_secret": "secret"}).json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 60)
    other = client.http.post(url, data=form, auth=("me", "secret")).json()
    assert other["access_token"] != granted["access_token"]
    client.http.headers["Authorization"] = f"Bearer {granted['access_token']}"
    assert client.find().status_code == 200
    client.sim.advance(60)
    assert client.find().json()["code"] == "token_expired"


def test_one_connection_serves_many_calls(taxi: TaxiFactory) -> None:
    client = taxi()
    streams = {client.find().extensions["network_stream"].get_extra_info("socket").getsockname() for _ in range(3)}
    assert len(streams) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"HELLO\r\n\r\n", b"400"),
        (b"POST /v1/rides HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST /v1/rides HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /v1/rides HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"GET /v1/rides?client_reference=a HTTP/1.0\r\n\r\n", b"200"),
    ],
)
def test_what_is_not_a_good_request_is_answered_and_ended(sent: bytes, status: bytes, taxi: TaxiFactory) -> None:
    with socket.create_connection(("127.0.0.1", taxi().sim.port), timeout=1) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            assert answer.read().split(b" ")[1] == status


def test_the_control_surface_drives_the_simulator(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    control = httpx.Client(base_url=client.sim.control_url)
    with control:
        assert control.post("/clock/advance", json={"seconds": 90}).json() == {"now": "2026-05-04T09:11:30Z"}
        moved = control.post(f"/rides/{client.ride_id()}/advance", json={"to": "DRIVER_ARRIVED"}).json()
        assert (moved["status"], moved["sequence"]) == ("DRIVER_ARRIVED", 4)
        truth = control.get("/rides").json()
        assert truth["now"] == "2026-05-04T09:11:30Z"
        assert truth["calls"] == {"createQuotes": 1, "createRide": 1}
        assert truth["references"] == {REFERENCE: {"createRide": 1}}
        (ride,) = truth["rides"]
        assert (ride["booking_id"], ride["live"], ride["status"]) == (
            REFERENCE.removesuffix("-r1"),
            True,
            "DRIVER_ARRIVED",
        )
        assert control.put("/plan", json={"faults": [{"op": "findRides", "fault": "forbidden"}]}).status_code == 204
        assert client.find().status_code == 403
        assert control.put("/plan", content="faults: [{op: findRides, fault: token_expired}]").status_code == 204
        assert client.find().status_code == 401
        assert control.post("/reset").status_code == 204
        assert control.get("/rides").json()["rides"] == []
        assert client.sim.now() == "2026-05-04T09:10:00Z"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("PUT", "/plan", {"faults": [{"fault": "earthquake"}]}, 422, "faults[0].fault: earthquake"),
        ("POST", "/clock/advance", {"seconds": -1}, 422, "seconds"),
        ("POST", "/clock/advance", {}, 422, "seconds"),
        ("POST", "/clock/advance", [], 400, "body"),
        ("POST", "/rides/none/advance", {}, 404, ""),
        ("POST", "/rides/none/advance", {"where": "x"}, 422, "where"),
        ("GET", "/nothing", None, 404, ""),
    ],
)
def test_the_control_surface_refuses_nonsense(
    method: str, path: str, body: Any, status: int, detail: str, taxi: TaxiFactory
) -> None:
    client = taxi()
    response = client.http.request(method, client.sim.control_url + path, json=body)
    assert response.status_code == status
    assert response.json().get("detail", "").startswith(detail)


def test_an_ended_ride_stays_ended_unless_forced(taxi: TaxiFactory) -> None:
    client = taxi()
    client.create()
    client.cancel()
    url = f"{client.sim.control_url}/rides/{client.ride_id()}/advance"
    assert client.http.post(url, json={}).status_code == 409
    assert client.http.post(url, json={"to": "COMPLETED"}).status_code == 409
    assert client.http.post(url, json={"to": "COMPLETED", "force": True}).json()["status"] == "COMPLETED"
