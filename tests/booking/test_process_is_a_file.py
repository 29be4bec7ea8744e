"""The process is a file: edit the flow or the rules as text, run the command line, and the process has changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from steps.simulator import Simulator
from tests.booking.world import ROOT, asap

ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with flows of its own."""
    shutil.copytree(ROOT / "flows", tmp_path / "flows")
    return tmp_path


def environment(folder: Path, sim: Simulator) -> dict[str, str]:
    return {**os.environ, "TAXI_URL": sim.url, "ENGINE_STEPS": "steps", "PYTHONPATH": str(ROOT), "MEMBER_REF_KEY": "k"}


def engine(folder: Path, sim: Simulator, *arguments: str, given: Any = None) -> dict[str, Any]:
    """Run the command line in the folder; its JSON answer."""
    done = subprocess.run(
        [*ENGINE, *arguments, "--json"],
        cwd=folder,
        env=environment(folder, sim),
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run(folder: Path, sim: Simulator, name: str, given: Any) -> dict[str, Any]:
    return engine(folder, sim, "run", "flows/booking.yaml", "--input", "-", "--name", name, given=given)


def states(folder: Path, sim: Simulator, name: str) -> list[str]:
    """The states that the execution entered, in order."""
    events: Any = engine(folder, sim, "history", name)
    found = (event.get("stateEnteredEventDetails") for event in events["events"])
    return [details["name"] for details in found if details]


def edit(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} is not there exactly once"
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def in_two_hours() -> dict[str, Any]:
    wish, now = asap(), datetime.now(UTC)
    wish["request"]["pickup"] |= {"type": "SCHEDULED", "time": (now + timedelta(hours=2)).isoformat()}
    wish["request"]["flight"] = {"number": "EK999", "date": f"{now:%Y-%m-%d}"}
    return wish


def test_two_states_can_change_places(folder: Path, sim: Simulator) -> None:
    edit(
        folder / "flows/booking.yaml",
        ("    Next: ReserveSlot\n", "    Next: GetQuote   # ask the price first\n"),
        ("    Next: GetQuote\n", "    Next: BookRide\n\n"),
        ("    Next: BookRide\n\n  # --- The ride", "    Next: ReserveSlot\n\n  # --- The ride"),
    )
    outcome = run(folder, sim, "swapped", asap())
    assert outcome["output"]["status"] == "CONFIRMED"
    entered = states(folder, sim, "swapped")
    assert entered.index("CheckQuote") < entered.index("ReserveSlot") < entered.index("BookRide")


def test_a_state_can_be_added(folder: Path, sim: Simulator) -> None:
    edit(
        folder / "flows/booking.yaml",
        ("    Next: BookRide\n\n  # --- The ride", "    Next: Breathe\n\n  # --- The ride"),
        ("  BookRide:   ", "  Breathe: {Type: Wait, Seconds: 1, Next: BookRide}\n\n  BookRide:   "),
    )
    assert run(folder, sim, "slower", asap())["output"]["status"] == "CONFIRMED"
    assert "Breathe" in states(folder, sim, "slower")


def test_a_retry_can_be_taken_away(folder: Path, sim: Simulator) -> None:
    fault = {"op": "createRide", "nth": 1, "fault": "status", "params": {"status": 503, "executed": False}}
    sim.set_plan({"faults": [fault]})
    edit(
        folder / "flows/booking.yaml",
        (
            "{ErrorEquals: [Taxi.NotSent], IntervalSeconds: 1, MaxAttempts: 3",
            "{ErrorEquals: [Taxi.NotSent], MaxAttempts: 0",
        ),
    )
    assert run(folder, sim, "once", asap())["output"]["failure"]["code"] == "supplier_unavailable"
    shutil.copy(ROOT / "flows/booking.yaml", folder / "flows/booking.yaml")
    sim.set_plan({"faults": [fault]})
    assert run(folder, sim, "patient", asap())["output"]["status"] == "CONFIRMED"


def test_a_rule_can_be_changed(folder: Path, sim: Simulator) -> None:
    assert run(folder, sim, "before", in_two_hours())["output"]["status"] == "CONFIRMED"
    edit(folder / "flows/rules/booking.yaml", ("  min_lead_min: 45\n", "  min_lead_min: 600\n"))
    (folder / "bookings.db").unlink()
    failure = run(folder, sim, "after", in_two_hours())["output"]["failure"]
    assert failure["code"] == "pickup_too_soon"
    assert "600 minutes" in failure["user_message"]


def test_a_process_killed_while_booking_is_resumed_and_finds_its_ride(folder: Path, sim: Simulator) -> None:
    sim.set_plan({}, faults=["F07"])
    (folder / "wish.json").write_text(json.dumps(asap()))
    command = [*ENGINE, "run", "flows/booking.yaml", "--input", "wish.json", "--name", "killed"]
    process = subprocess.Popen(command, cwd=folder, env=environment(folder, sim), stderr=subprocess.DEVNULL)
    try:
        for _ in range(6000):
            if sim.calls("createRide"):
                break
            threading.Event().wait(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(sim.rides()) == 1
    engine(folder, sim, "resume", "killed")
    assert engine(folder, sim, "show", "killed")["output"]["status"] == "CONFIRMED"
    assert [ride["live"] for ride in sim.rides()] == [True]
    assert len((folder / "events.jsonl").read_text().splitlines()) == 2
