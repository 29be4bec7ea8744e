"""kill -9 before and after every commit of a map run: no child is lost, counted twice, or made again."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.runtime.worker import Worker
from tests.runtime.crash_program import Fuse
from tests.runtime.crashing import empty_store, launch, moments
from tests.runtime.map_crash_program import FLOW, ITEMS, steps

pytestmark = pytest.mark.chaos

PROGRAM = "tests.runtime.map_crash_program"
WAYS = {
    ("sqlite", "worker"): 17,
    ("sqlite", "redrive"): 16,
    ("postgresql", "worker"): 17,
    ("postgresql", "redrive"): 14,
}
"""How many commits an undisturbed run has; the first test checks these numbers."""
MOMENTS = moments(WAYS)


@pytest.fixture
def url(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with empty_store(store, tmp_path, request) as found:
        yield found


@pytest.mark.parametrize(("store", "way"), WAYS)
def test_an_undisturbed_run_has_the_commits_that_are_enumerated(url: str, store: str, way: str, tmp_path: Path) -> None:
    done = launch(PROGRAM, url, tmp_path, "never", 0, way)
    assert done.stdout.split() == ["SUCCEEDED", str(WAYS[store, way])], done.stderr


@pytest.mark.parametrize(("store", "way", "moment", "number"), MOMENTS)
def test_a_map_run_killed_at_any_commit_is_finished_with_nothing_done_twice(
    url: str, tmp_path: Path, way: str, moment: str, number: int
) -> None:
    killed = launch(PROGRAM, url, tmp_path, moment, number, way)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    effects = tmp_path / "effects"
    with Engine(url, steps=steps(tmp_path, Fuse("never", 0))) as engine:
        if not engine.list():
            assert (moment, number) == ("before-commit", 1)
            engine.start(FLOW, {}, name="p")  # whoever asked got no answer, and asks again
        elif way == "redrive" and engine.describe("p")["status"] == "FAILED":
            engine.redrive("p", flow=FLOW)
        Worker(engine).run_until_idle()
        outcome, children = engine.describe("p"), engine.list(map_of="p")
        with engine.host.transaction() as db:
            rows = db.execute("SELECT number, count(*) FROM records GROUP BY number ORDER BY number").fetchall()
            left = db.execute("SELECT count(*) FROM signals").fetchall()
    items = list(range(1, ITEMS + 1))
    assert (outcome["status"], outcome["output"]) == ("SUCCEEDED", [f"r-{item}" for item in items])
    assert [child.status for child in children] == ["SUCCEEDED"] * ITEMS, "each item has one child"
    (run,) = outcome["map_runs"]
    assert Counter({status: run[status] for status in ("succeeded", "failed", "aborted", "running", "pending")}) == {
        "succeeded": ITEMS, "failed": 0, "aborted": 0, "running": 0, "pending": 0,
    }  # fmt: skip
    assert rows == [(item, 1) for item in items], "what a transactional step writes happens exactly once"
    assert left == [(0,)], "nobody is told anything any more"
    keys = {line.split()[1] for line in effects.read_text().splitlines()}
    assert len(keys) == ITEMS, "every keyed effect happened, each under one key whatever the number of deliveries"
