"""``python -m steps.simulator`` as people run it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

SIMULATOR = [sys.executable, "-m", "steps.simulator"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SIMULATOR, *arguments], capture_output=True, text=True, timeout=20, check=False)


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*SIMULATOR, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_says_where_it_is_logs_calls_and_ends_on_a_signal(number: signal.Signals) -> None:
    with running(["--port", "0"]) as (process, line):
        found = re.search(r"TAXI_URL=(http://127\.0\.0\.1:\d+/v1)", line)
        assert found is not None
        assert line.startswith(f"Global Taxi simulator at {found[1]}")
        assert httpx.get(f"{found[1]}/rides", params={"client_reference": "a-r1"}).json() == {"rides": []}
        process.send_signal(number)
        _, log = process.communicate(timeout=10)
        assert process.returncode == 0
        assert re.fullmatch(r"\d\d:\d\d:\d\d GET findRides a-r1 200 - \d+ ms\n", log)


def test_quiet_means_no_log() -> None:
    with running(["--port", "0", "--quiet"]) as (process, line):
        httpx.get(line.split()[4] + "/rides")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", "")


def test_around_a_command_it_tells_the_address_and_passes_the_exit_code_through() -> None:
    code = (
        "import os, sys, urllib.request as u\n"
        "u.urlopen(os.environ['TAXI_URL'] + '/rides?client_reference=a')\n"
        "sys.exit(7)"
    )
    done = run("--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_around_a_command_a_fault_is_played() -> None:
    code = (
        "import os, urllib.request as u, urllib.error as e\n"
        "try: u.urlopen(os.environ['TAXI_URL'] + '/quotes', data=b'{}')\n"
        "except e.HTTPError as error: print(error.code)"
    )
    assert run("--fault", "F18", "--", sys.executable, "-c", code).stdout == "503\n"


def test_a_signal_reaches_the_command() -> None:
    code = (
        "import signal, sys, threading\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('ready', flush=True)\n"
        "threading.Event().wait()"
    )
    with running(["--", sys.executable, "-c", code]) as (process, line):
        assert line == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 9


def test_a_command_killed_by_a_signal_gives_128_and_its_number() -> None:
    assert run("--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)").returncode == 137


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--", "no-such-command"], 127, "cannot run no-such-command: No such file or directory"),
        (["--"], 2, "after -- comes the command to run"),
        (["--fault", "F99"], 2, "plan: there is no fault F99; the catalogue has F01 to F54"),
        (["--plan", "none.yaml"], 2, "plan: cannot read none.yaml"),
        (["--port", "many"], 2, "invalid int value"),
        (["--unknown"], 2, "unrecognized arguments"),
    ],
)
def test_a_usage_error_is_one_clear_message(arguments: list[str], code: int, message: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_clear_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert (done.returncode, done.stderr) == (2, f"cannot listen on 127.0.0.1:{port}: Address already in use\n")


def test_every_mistake_of_a_plan_file_is_shown(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("sed: 1\nclock: lunar\n", encoding="utf-8")
    done = run("--plan", str(tmp_path / "plan.yaml"))
    assert done.stderr.splitlines() == ["plan: sed: is not part of a plan", "plan: clock: must be real or virtual"]


def test_the_faults_can_be_listed() -> None:
    lines = run("--list-faults").stdout.splitlines()
    assert len(lines) == 54
    assert lines[6] == "F07  silence after commit"


def test_it_starts_without_the_engine_and_without_heavy_packages() -> None:
    heavy = "'engine', 'yaml', 'httpx', 'jsonschema', 'click'"
    code = f"import sys, steps.simulator.__main__; print([m for m in ({heavy}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == "[]\n"
