"""Lambda functions, called by boto3 over HTTP: what comes of them, and AWS's names and words for what goes wrong.

The server answers as AWS's API reference says of Invoke ("Response Elements", "Errors"). Names of errors: AWS Step
Functions Developer Guide, "Handle Lambda service exceptions".
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from engine import Engine
from engine.runtime.worker import Worker

OPTIMIZED = "arn:aws:states:::lambda:invoke"
PLAIN = "arn:aws:lambda:us-east-1:111111111111:function:"
RAISED = '{"errorMessage": "no car", "errorType": "NoCar", "requestId": "r", "stackTrace": []}'
OUT_OF_TIME = '{"errorMessage":"2026-01-01T00:00:03.000Z r Task timed out after 3.00 seconds"}'
REFUSED = {
    "busy": (429, "TooManyRequestsException", "Rate Exceeded."),
    "broken": (500, "ServiceException", "An error occurred and the request cannot be processed."),
    "none": (404, "ResourceNotFoundException", "Function not found: none"),
}


class Lambda(BaseHTTPRequestHandler):
    """One invocation."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, Any]]] = []
    over: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        function = unquote(self.path).split("/")[3].rpartition(":")[2]
        payload = self.rfile.read(int(self.headers["Content-Length"]))
        Lambda.seen.append((function, json.loads(payload or b"null")))
        if function in REFUSED:
            status, code, message = REFUSED[function]
            self.answer(status, json.dumps({"Type": "User", "message": message}), {"x-amzn-ErrorType": code})
        elif function in ("raises", "late"):
            self.answer(200, RAISED if function == "raises" else OUT_OF_TIME, {"X-Amz-Function-Error": "Unhandled"})
        elif function == "lost":
            self.close_connection = True  # it ran, and nobody hears of it
        elif function == "slow":
            Lambda.over.wait(30)
            self.close_connection = True
        elif function == "text":
            self.answer(200, "no JSON", {})
        else:
            tail = self.headers.get("X-Amz-Log-Type") == "Tail"
            log = {"X-Amz-Log-Result": base64.b64encode(b"END").decode()} if tail else {}
            self.answer(200, payload.decode() or "null", log)

    def answer(self, status: int, body: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        common = {"x-amzn-RequestId": "id-1", "X-Amz-Executed-Version": "$LATEST", "Content-Length": str(len(body))}
        for name, value in {**common, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Lambda.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    Lambda.seen.clear()


def task(function: str, optimized: bool, **fields: Any) -> dict[str, Any]:
    """A flow of one call with the input as payload."""
    if optimized:
        fields = {"Resource": OPTIMIZED, "Parameters": {"FunctionName": function, "Payload.$": "$"}, **fields}
    else:
        fields = {"Resource": f"{PLAIN}{function}", **fields}
    return {"StartAt": "T", "States": {"T": {"Type": "Task", "End": True, **fields}}}


def run(endpoint: str, flow: Any, data: Any = None) -> Any:
    with Engine("memory:", settings={"AWS_ENDPOINT_URL": endpoint}) as engine:
        return engine.run(flow, {"ride": 1} if data is None else data)


def test_the_answer_has_the_payload_as_a_value_and_what_lambda_says_beside_it(endpoint: str) -> None:
    done = run(endpoint, task("echo", True))
    assert done.output == {
        "ExecutedVersion": "$LATEST",
        "Payload": {"ride": 1},
        "SdkHttpMetadata": {"HttpStatusCode": 200},
        "SdkResponseMetadata": {"RequestId": "id-1"},
        "StatusCode": 200,
    }
    told = task("echo", True, Parameters={"FunctionName": "echo", "LogType": "Tail"})
    assert base64.b64decode(run(endpoint, told).output["LogResult"]) == b"END"
    assert Lambda.seen == [("echo", {"ride": 1}), ("echo", None)]


def test_a_function_named_by_its_arn_answers_its_payload_alone(endpoint: str) -> None:
    done = run(endpoint, task("echo", False))
    assert done.output == {"ride": 1}
    kinds = [event["type"] for event in done.history]
    assert kinds[2:5] == ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"]


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize(
    ("function", "error", "cause"),
    [("raises", "NoCar", RAISED), ("late", "Lambda.Unknown", OUT_OF_TIME)],
)
def test_an_error_of_the_function_is_the_states_with_its_payload_as_the_cause(
    endpoint: str, function: str, error: str, cause: str, optimized: bool
) -> None:
    failed = run(endpoint, task(function, optimized))
    assert (failed.status, failed.error, failed.cause) == ("FAILED", error, cause)
    assert failed.history[-2]["type"] == ("TaskFailed" if optimized else "LambdaFunctionFailed")


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("function", REFUSED)
def test_what_lambda_refuses_has_its_name_and_words(endpoint: str, function: str, optimized: bool) -> None:
    status, code, message = REFUSED[function]
    failed = run(endpoint, task(function, optimized))
    assert failed.error == f"Lambda.{code}"
    facts = f"Service: AWSLambda; Status Code: {status}; Error Code: {code}; Request ID: id-1; Proxy: null"
    assert failed.cause == f"{message} ({facts})"
    assert len(Lambda.seen) == 1, "whether it is sent again is for Retry to say"


def test_a_throttled_function_is_called_again_by_the_states_retry(endpoint: str) -> None:
    retry = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    failed = run(endpoint, task("busy", True, Retry=retry))
    assert (failed.error, len(Lambda.seen)) == ("Lambda.TooManyRequestsException", 2)


@pytest.mark.parametrize("optimized", [True, False])
def test_a_lost_reply_is_an_error_that_a_retry_can_take(endpoint: str, optimized: bool) -> None:
    failed = run(endpoint, task("lost", optimized))
    assert failed.error == "Lambda.SdkClientException"
    assert len(Lambda.seen) == 1


def test_a_state_with_a_time_out_does_not_wait_for_the_function(endpoint: str) -> None:
    failed = run(endpoint, task("slow", True, TimeoutSeconds=1))
    assert (failed.error, failed.history[-2]["type"]) == ("States.Timeout", "TaskTimedOut")
    failed = run(endpoint, task("slow", False, TimeoutSeconds=1))
    assert (failed.error, failed.history[-2]["type"]) == ("States.Timeout", "LambdaFunctionTimedOut")


def test_a_payload_that_is_no_json_is_a_text(endpoint: str) -> None:
    assert run(endpoint, task("text", True)).output["Payload"] == "no JSON"


def test_a_worker_calls_functions_side_by_side(endpoint: str, url: str) -> None:
    with Engine(url, settings={"AWS_ENDPOINT_URL": endpoint}) as engine:
        for number in range(8):
            engine.start(task("echo", number % 2 == 0), {"n": number}, name=f"e-{number}")
        Worker(engine).run_until_idle()
        outputs = [engine.describe(f"e-{number}")["output"] for number in range(8)]
    assert [found.get("Payload", found) for found in outputs] == [{"n": number} for number in range(8)]
