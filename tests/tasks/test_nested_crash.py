"""kill -9 before and after every commit of nested executions: no child is lost, none is started twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.runtime.worker import Worker
from tests.runtime.crash_program import Fuse, steps
from tests.runtime.crashing import empty_store, launch, moments
from tests.tasks.nested_program import write

PROGRAM = "tests.tasks.nested_program"
WAYS = {
    ("sqlite", "inline"): 13,
    ("sqlite", "worker"): 14,
    ("postgresql", "inline"): 12,
    ("postgresql", "worker"): 14,
}
"""How many commits an undisturbed run has; the first test checks these numbers."""
LOOSE = ("postgresql", "worker")
"""Here the news of a child comes by a notification: when it is late, one commit carries what else two do."""
MOMENTS = moments(WAYS)


@pytest.fixture
def url(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with empty_store(store, tmp_path, request) as found:
        yield found


@pytest.mark.parametrize(("store", "way"), WAYS)
def test_an_undisturbed_run_has_the_commits_that_are_enumerated(url: str, store: str, way: str, tmp_path: Path) -> None:
    done = launch(PROGRAM, url, tmp_path, "never", 0, way)
    status, commits = done.stdout.split()
    fewest = WAYS[store, way] - ((store, way) == LOOSE)
    assert (status, int(commits) in range(fewest, WAYS[store, way] + 1)) == ("SUCCEEDED", True), commits


@pytest.mark.parametrize(("store", "way", "moment", "number"), MOMENTS)
def test_a_run_killed_at_any_commit_is_finished_with_nothing_done_twice(
    url: str, tmp_path: Path, store: str, way: str, moment: str, number: int
) -> None:
    killed = launch(PROGRAM, url, tmp_path, moment, number, way)
    if killed.stdout != f"SUCCEEDED {number - 1}\n" or (store, way) != LOOSE or number != WAYS[LOOSE]:
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
