"""`http:invoke` against a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from engine import Engine

INVOKE = "arn:aws:states:::http:invoke"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; `/status/NNN` with that status, `/text` with a text."""

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        status = int(self.path.rpartition("/")[2]) if "/status/" in self.path else 200
        asked = {
            "path": self.path,
            "body": sent,
            "key": self.headers.get("X-Key"),
            "type": self.headers["Content-Type"],
        }
        text = b"plain" if self.path == "/text" else json.dumps(asked).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if self.path == "/text" else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def call(arguments: Any, **settings: str) -> Any:
    state = {"Type": "Task", "Resource": INVOKE, "Arguments": arguments, "End": True}
    flow = {"QueryLanguage": "JSONata", "StartAt": "T", "States": {"T": state}}
    with Engine("memory:", settings=settings) as engine:
        return engine.run(flow)


def test_a_body_goes_out_as_json_and_the_answer_comes_back_as_a_value(origin: str) -> None:
    done = call(
        {"ApiEndpoint": f"{origin}/rides", "Method": "POST", "QueryParameters": {"q": "1"}, "RequestBody": {"a": 1}}
    )
    assert done.status == "SUCCEEDED", done
    assert (done.output["StatusCode"], done.output["StatusText"]) == (200, "OK")
    assert done.output["ResponseBody"] == {
        "path": "/rides?q=1",
        "body": '{"a":1}',
        "key": None,
        "type": "application/json",
    }
    assert done.output["Headers"]["content-type"] == ["application/json"]


def test_a_text_stays_a_text(origin: str) -> None:
    assert call({"ApiEndpoint": f"{origin}/text", "Method": "GET"}).output["ResponseBody"] == "plain"


def test_a_connection_is_a_setting_and_its_secret_stands_in_no_history(origin: str) -> None:
    connection = {"ConnectionArn": "arn:aws:events:us-east-1:111111111111:connection/taxi-api/0a1b"}
    request = {"ApiEndpoint": origin, "Method": "GET", "Authentication": connection}
    done = call(request, ENGINE_CONNECTION_TAXI_API="X-Key: s3cret")
    assert done.output["ResponseBody"]["key"] == "s3cret", "the echo shows what was sent"
    before = [event for event in done.history if event["type"] in ("TaskScheduled", "TaskStarted")]
    assert "s3cret" not in str(before)
    assert call(request).error == "Events.ConnectionResource.NotFound"


@pytest.mark.parametrize("status", [302, 404, 503])
def test_a_status_of_trouble_is_an_error_of_its_name(origin: str, status: int) -> None:
    failed = call({"ApiEndpoint": f"{origin}/status/{status}", "Method": "GET"})
    assert failed.error == f"States.Http.StatusCode.{status}"
    assert json.loads(failed.cause)["StatusCode"] == status


def test_a_server_that_is_away_is_a_socket_error() -> None:
    assert call({"ApiEndpoint": "http://127.0.0.1:9/", "Method": "GET"}).error == "States.Http.Socket"


@pytest.mark.parametrize(
    "arguments",
    [
        {"Method": "GET"},
        {"ApiEndpoint": "http://example.com/", "Method": "GET"},
        {"ApiEndpoint": "file:///etc/passwd", "Method": "GET"},
        {"ApiEndpoint": "https://example.com/", "Method": "GET", "Verify": False},
    ],
)
def test_a_request_that_is_none_is_not_sent(arguments: Any) -> None:
    assert call(arguments).error == "States.Runtime"
