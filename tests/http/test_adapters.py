"""The coats: real servers, and events as API Gateway sends them."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import waitress

from engine.service.http import AsgiApp, LambdaHandler, WsgiApp
from engine.service.http.serving import Server
from tests.http.conftest import ANA, Front, wish

Make = Callable[..., Front]
KEY = "a-key-of-the-client-3"


@contextmanager
def under_uvicorn(service: Front) -> Iterator[str]:
    bound = socket.create_server(("127.0.0.1", 0))
    server = Server(AsgiApp(service.service), bound)
    server.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.stop()
    bound.close()


@contextmanager
def under_waitress(service: Front) -> Iterator[str]:
    app = WsgiApp(service.service)
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=8, asyncore_use_poll=True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    until = time.monotonic() + 2
    while server.active_channels and time.monotonic() < until:
        time.sleep(0.01)
    if not server.active_channels:  # else an event stream has not noticed yet that nobody listens: it ends by itself
        server.task_dispatcher.shutdown(timeout=30)
        server.trigger.pull_trigger(server.close)  # in the thread that listens: it must not find a closed socket there
        thread.join(30)


@pytest.fixture(params=[under_uvicorn, under_waitress], ids=["uvicorn", "waitress"])
def served(request: pytest.FixtureRequest, front: Make) -> Iterator[httpx.Client]:
    """A client of a real server with the demo member's service behind it."""
    service = front(options={"demo": True})
    with request.param(service) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def test_a_ride_is_booked_read_and_listed_through_a_real_server(served: httpx.Client) -> None:
    made = served.post("/v1/bookings", json=wish(), headers={"Idempotency-Key": KEY})
    assert made.status_code == 201, made.text
    again = served.post("/v1/bookings", json=wish(), headers={"Idempotency-Key": KEY})
    assert (again.content, again.headers["idempotent-replayed"]) == (made.content, "true")
    path = made.headers["location"]
    read = served.get(path, headers={"If-None-Match": made.headers["etag"]})
    assert (read.status_code, read.content) == (304, b"")
    head = served.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", made.headers["etag"])
    listed = served.get("/v1/bookings", params={"limit": 1, "from": "2020-01-01T00:00:00+00:00"})
    assert len(listed.json()["bookings"]) == 1


def test_what_curl_sends_without_a_type_is_understood(served: httpx.Client) -> None:
    headers = {"Idempotency-Key": KEY, "Content-Type": "application/x-www-form-urlencoded"}
    made = served.post("/v1/bookings", content=json.dumps(wish()), headers=headers)
    assert made.status_code == 201


def test_events_come_as_they_happen_through_a_real_server(served: httpx.Client) -> None:
    path = served.post("/v1/bookings", json=wish(), headers={"Idempotency-Key": KEY}).headers["location"]
    seen = []
    with served.stream("GET", f"{path}/events") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        for line in stream.iter_lines():
            if line.startswith("event:"):
                seen.append(line.removeprefix("event: "))
            if seen == ["booking.requested", "booking.confirmed"]:
                break
    assert served.get("/healthz").json() == {"status": "ok"}


def test_a_body_that_is_too_long_is_refused_by_every_server(served: httpx.Client) -> None:
    headers = {"Idempotency-Key": KEY, "Content-Type": "application/json"}
    for length in (40_000, 200_000):
        assert served.post("/v1/bookings", content=b" " * length, headers=headers).status_code == 413
    chunked = served.post("/v1/bookings", content=(b" " * 1000 for _ in range(100)), headers=headers)
    assert chunked.status_code == 413


def test_paths_and_parameters_are_decoded_once(served: httpx.Client) -> None:
    assert served.get("/v1/bookings/%2e%2e").status_code in (400, 404)
    assert served.get("/v1/bookings?status=CONFIRMED%00").json()["code"] == "validation_failed"
    assert served.get("/problems/not%5Ffound").json()["code"] == "not_found"


# -- AWS Lambda ----------------------------------------------------------------------------------------------------


def http_api(method: str, path: str, body: Any = None, *, claims: Any = None, **more: Any) -> dict[str, Any]:
    """An event of an HTTP API, payload 2.0, as API Gateway's documentation shows it."""
    authorizer = {} if claims is None else {"authorizer": {"jwt": {"claims": claims, "scopes": ["bookings:read"]}}}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": more.get("query", ""),
        "cookies": ["cookie1", "cookie2"],
        "headers": {"content-type": "application/json", "idempotency-key": KEY, **more.get("headers", {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            **authorizer,
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": more.get("stage", "$default"),
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": bool(more.get("encoded")),
        **({} if body is None else {"body": body}),
    }


def rest_api(method: str, path: str, body: str | None = None, *, authorizer: Any = None, query: Any = None) -> Any:
    """An event of a REST API, payload 1.0, as API Gateway's documentation shows it."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", "Idempotency-Key": KEY},
        "multiValueHeaders": {"Content-Type": ["application/json"], "Idempotency-Key": [KEY]},
        "queryStringParameters": {name: values[-1] for name, values in (query or {}).items()} or None,
        "multiValueQueryStringParameters": query,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "agent"},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": "id",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
            **({} if authorizer is None else {"authorizer": authorizer}),
        },
        "body": body,
        "isBase64Encoded": False,
    }


CLAIMS = {"sub": ANA, "scope": "bookings:read bookings:write", "iss": "https://issuer.example", "exp": "1583348638"}


def test_an_event_of_an_http_api_is_answered(front: Make) -> None:
    handler = LambdaHandler(front().service)
    made = handler(http_api("POST", "/v1/bookings", json.dumps(wish()), claims=CLAIMS))
    assert (made["statusCode"], made["isBase64Encoded"]) == (201, False), made
    path = json.loads(made["body"])["links"]["self"]
    assert handler(http_api("GET", f"/prod{path}", claims=CLAIMS, stage="prod"))["statusCode"] == 200
    encoded = base64.b64encode(json.dumps(wish()).encode()).decode()
    again = handler(http_api("POST", "/v1/bookings", encoded, claims=CLAIMS, encoded=True))
    assert (again["body"], again["headers"]["Idempotent-Replayed"]) == (made["body"], "true")
    page = handler(http_api("GET", "/v1/bookings", claims=CLAIMS, query="limit=1&status=CONFIRMED"))
    assert len(json.loads(page["body"])["bookings"]) == 1
    stream = handler(http_api("GET", f"{path}/events", claims=CLAIMS))
    assert "event: booking.confirmed" in stream["body"]


@pytest.mark.parametrize(
    "authorizer",
    [
        {"claims": CLAIMS},
        {"principalId": ANA, "scope": CLAIMS["scope"], "integrationLatency": 12},
        {"claims": {**CLAIMS, "scope": "[bookings:read bookings:write]"}},
    ],
    ids=["cognito", "lambda", "list"],
)
def test_an_event_of_a_rest_api_is_answered(front: Make, authorizer: Any) -> None:
    handler = LambdaHandler(front().service)
    made = handler(rest_api("POST", "/v1/bookings", json.dumps(wish()), authorizer=authorizer))
    assert made["statusCode"] == 201, made
    page = handler(rest_api("GET", "/v1/bookings", authorizer=authorizer, query={"limit": ["1"]}))
    assert len(json.loads(page["body"])["bookings"]) == 1
    twice = handler(rest_api("GET", "/v1/bookings", authorizer=authorizer, query={"limit": ["1", "2"]}))
    assert twice["statusCode"] == 400


@pytest.mark.parametrize("event", [http_api("GET", "/v1/bookings"), rest_api("GET", "/v1/bookings")])
def test_without_an_authorizer_nobody_is_let_in(front: Make, event: Any) -> None:
    assert LambdaHandler(front().service)(event)["statusCode"] == 401


def test_a_body_that_is_no_base64_and_an_event_of_something_else(front: Make) -> None:
    handler = LambdaHandler(front().service)
    broken = handler(http_api("POST", "/v1/bookings", "%%%", claims=CLAIMS, encoded=True))
    assert broken["statusCode"] == 400
    with pytest.raises(ValueError, match="API Gateway"):
        handler({"Records": []})


def test_the_body_of_a_response_does_not_wait_for_the_client_to_acknowledge_its_head(front: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        Server(AsgiApp(front().service), bound)
        with socket.create_connection(bound.getsockname()), bound.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
