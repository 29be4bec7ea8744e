"""kill -9 at every commit, and between every commit and the effect that follows: nothing is lost, nothing done twice.

The moments are enumerated from an undisturbed run, not sampled. Each is a real process that really dies.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import ExecutionBusy
from tests.runtime.crash_program import FLOW, Fuse, steps

PROGRAM = Path(__file__).with_name("crash_program.py")
COMMITS, EFFECTS = 10, 5
"""What an undisturbed run has (the last commit is that of closing the store); the first test checks these numbers."""

MOMENTS = [
    (moment, number)
    for moment, count in (
        ("before-commit", COMMITS),
        ("after-commit", COMMITS),
        ("before-effect", EFFECTS),
        ("after-effect", EFFECTS),
    )
    for number in range(1, count + 1)
]


def launch(folder: Path, moment: str, number: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(folder / "runs.db"), str(folder / "effects"), moment, str(number)]
    return subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)


def test_an_undisturbed_run_has_the_commits_and_effects_that_are_enumerated(tmp_path: Path) -> None:
    done = launch(tmp_path, "never", 0)
    assert done.stdout.split() == ["SUCCEEDED", str(COMMITS), str(EFFECTS)], done.stderr


@pytest.mark.parametrize(("moment", "number"), MOMENTS)
def test_a_run_killed_at_any_moment_is_finished_by_resume_with_nothing_done_twice(
    tmp_path: Path, moment: str, number: int
) -> None:
    killed = launch(tmp_path, moment, number)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    effects = tmp_path / "effects"
    with Engine(f"sqlite:///{tmp_path}/runs.db", steps=steps(effects, Fuse("never", 0))) as engine:
        if (moment, number) == ("before-commit", 1):
            assert engine.unfinished() == [], "the start was never confirmed, so nothing may be left of it"
            return
        outcome = engine.resume("order-7")
        assert engine.resume("order-7").output == outcome.output
    assert (outcome.status, outcome.output) == ("SUCCEEDED", {"receipt": "r-7", "once": True})
    lines = [line.split() for line in effects.read_text().splitlines()] if effects.exists() else []
    keys = {key for kind, key in lines if kind == "charge"}
    assert len(keys) == 4, "every keyed effect happened, each under one key whatever the number of deliveries"
    assert Counter(kind for kind, _ in lines)["once"] <= 1, "a step that must not run twice did not"
    with sqlite3.connect(tmp_path / "runs.db") as db:
        rows = db.execute("SELECT number, count(*) FROM records GROUP BY number ORDER BY number").fetchall()
    assert rows == [(1, 1), (2, 1)], "what a transactional step writes happens exactly once"


def test_two_processes_never_run_the_same_execution(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    check = (
        "import sys; from engine import Engine, EngineError\n"
        "try: Engine(sys.argv[1]).resume('order-7')\n"
        "except EngineError as error: print(type(error).__name__)"
    )
    with Engine(url, steps=steps(tmp_path / "effects", Fuse("never", 0))) as engine:
        engine.start(FLOW, {"order": 7}, name="order-7")
        engine._store.take("order-7")
        with pytest.raises(ExecutionBusy):
            engine.resume("order-7")
        other = subprocess.run([sys.executable, "-c", check, url], capture_output=True, text=True, check=True)
        assert other.stdout.strip() == "ExecutionBusy"
    with Engine(url, steps=steps(tmp_path / "effects", Fuse("never", 0))) as engine:
        assert engine.resume("order-7").status == "SUCCEEDED", "what was given back goes on elsewhere"
