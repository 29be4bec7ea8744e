"""kill -9 before and after every commit of nested executions: no child is lost, none is started twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import Engine
from engine.runtime.worker import Worker
from tests.runtime.crash_program import Fuse, steps
from tests.tasks.nested_program import write

ROOT = Path(__file__).resolve().parents[2]
WAYS = {"inline": 13, "worker": 16}
"""How many commits an undisturbed run has; the first test checks these numbers."""
MOMENTS = [
    pytest.param(way, moment, number, id=f"{way}-{moment}-{number}")
    for way, commits in WAYS.items()
    for moment in ("before-commit", "after-commit")
    for number in range(1, commits + 1)
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of an empty store."""
    return f"sqlite:///{tmp_path}/runs.db"


def launch(url: str, folder: Path, moment: str, number: int, way: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "tests.tasks.nested_program", url, str(folder), moment, str(number), way]
    return subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("way", WAYS)
def test_an_undisturbed_run_has_the_commits_that_are_enumerated(url: str, way: str, tmp_path: Path) -> None:
    done = launch(url, tmp_path, "never", 0, way)
    assert done.stdout.split() == ["SUCCEEDED", str(WAYS[way])], done.stderr


@pytest.mark.parametrize(("way", "moment", "number"), MOMENTS)
def test_a_run_killed_at_any_commit_is_finished_with_nothing_done_twice(
    url: str, tmp_path: Path, way: str, moment: str, number: int
) -> None:
    killed = launch(url, tmp_path, moment, number, way)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    effects = tmp_path / "effects"
    with Engine(url, steps=steps(effects, Fuse("never", 0))) as engine:
        if not engine.list():
            assert moment == "before-commit"
            engine.start(write(tmp_path), {}, name="p")  # whoever asked got no answer, and asks again
        if way == "worker":
            Worker(engine).run_until_idle()
        else:
            engine.resume("p")
        outcome, everyone = engine.describe("p"), engine.list()
        with engine.host.transaction() as db:
            rows = db.execute("SELECT number, count(*) FROM records GROUP BY number ORDER BY number").fetchall()
    assert (outcome["status"], outcome["output"]) == ("SUCCEEDED", [{"receipt": "r-1"}, {"receipt": "r-2"}])
    assert [found.status for found in everyone] == ["SUCCEEDED"] * 3, "the parent and two children"
    assert rows == [(1, 1), (2, 1)], "what a transactional step writes happens exactly once"
    keys = {line.split()[1] for line in effects.read_text().splitlines()}
    assert len(keys) == 2, "every keyed effect happened, each under one key whatever the number of deliveries"
