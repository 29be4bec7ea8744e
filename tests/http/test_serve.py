"""`engine serve` as it is used: one command, a curl line, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from steps.neighbours import taxi_simulator

ROOT = Path(__file__).parents[2]
BODY = (ROOT / "flows/examples/booking.json").read_bytes()


class Served:
    """A running `engine serve`."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAXI", "JWT", "ENGINE"))
        }
        environment |= {"EVENT_LOG": str(folder / "events.jsonl"), **settings}
        command = [
            sys.executable,
            "-m",
            "engine.cli",
            "serve",
            "--port",
            "0",
            "--store",
            f"sqlite:///{folder}/served.db",
        ]
        self.process = subprocess.Popen(
            [*command, *options], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            if "stop it with Ctrl-C" in line:
                break
        self.text = "\n".join(self.said)
        found = re.search(r"(http://127\.0\.0\.1:\d+) answers", self.text)
        self.url = found[1] if found else ""

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=60)
        self.text += rest
        return self.process.returncode


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[list[Served]]:
    """A list for what a test starts; whatever still runs is ended."""
    started: list[Served] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(20)
        assert one.process.stderr is not None
        one.process.stderr.close()


def test_one_command_is_a_whole_system(serve: list[Served], tmp_path: Path) -> None:
    served = Served(tmp_path)
    serve.append(served)
    assert "a simulator of the taxi company runs at" in served.text
    assert f"curl -X POST {served.url}/v1/bookings" in served.text
    assert "every request acts as the demo caller" in served.text
    headers = {"Idempotency-Key": "a-key-of-the-client-9", "Content-Type": "application/x-www-form-urlencoded"}
    made = httpx.post(f"{served.url}/v1/bookings", content=BODY, headers=headers, timeout=30)
    assert made.status_code == 201, made.text
    assert httpx.get(f"{served.url}/readyz").json()["status"] == "ready"
    assert served.end() == 0
    assert "Traceback" not in served.text
    events = (tmp_path / "events.jsonl").read_text()
    assert "booking.confirmed" in events


def test_what_was_promised_goes_on_after_kill_9(serve: list[Served], tmp_path: Path) -> None:
    first = Served(tmp_path)
    serve.append(first)
    headers = {"Idempotency-Key": "a-key-of-the-client-9", "Prefer": "respond-async"}
    taken = httpx.post(
        f"{first.url}/v1/bookings", content=BODY, headers={**headers, "Content-Type": "application/json"}
    )
    assert taken.status_code in (201, 202)
    first.end(signal.SIGKILL)
    second = Served(tmp_path)
    serve.append(second)
    for _ in range(100):
        booking = httpx.get(f"{second.url}{taken.headers['location']}").json()
        if booking["status"] not in ("REQUESTED", "PENDING_CONFIRMATION"):
            break
    assert booking["booking_id"] == taken.json()["booking_id"]
    assert second.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        (("--host", "0.0.0.0"), {}, "JWT_ISSUER"),
        ((), {"JWT_ISSUER": "https://issuer.example"}, "JWT_AUDIENCE"),
        (("--api", "nowhere.yaml"), {}, "nowhere.yaml"),
        (("--taxi", "https://taxi.example/v1", "--host", "192.0.2.1"), {"JWT_ISSUER": "x"}, "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_said_and_exits_with_2(
    serve: list[Served], tmp_path: Path, options: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    served = Served(tmp_path, *options, **settings)
    serve.append(served)
    served.process.wait(60)
    assert served.process.returncode == 2
    assert said in served.text


def test_a_service_for_real_callers_books_nothing_rather_than_rides_that_there_are_not() -> None:
    class Serving:
        def __init__(self) -> None:
            self.settings = {"JWT_ISSUER": "https://issuer.example"}
            self.url = "http://127.0.0.1:1"
            self.said: list[str] = []

        def say(self, text: str) -> None:
            self.said.append(text)

        def at_end(self, end: object) -> None:
            raise AssertionError("something was started")

    serving: Any = Serving()
    taxi_simulator(serving)
    assert serving.settings == {"JWT_ISSUER": "https://issuer.example"}
    assert "TAXI_URL is not set" in serving.said[0]
