"""kill -9 at every commit, and between every commit and the effect that follows: nothing is lost, nothing done twice.

The moments are enumerated from an undisturbed run, not sampled. Each is a real process that really dies.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import ExecutionBusy
from engine.runtime.worker import Worker
from tests.runtime.crash_program import FLOW, Fuse, steps
from tests.runtime.crashing import empty_store, launch, moments

PROGRAM = "tests.runtime.crash_program"
WAYS = {("sqlite", "inline"): 9, ("sqlite", "worker"): 9, ("postgresql", "worker"): 10}
"""How many commits an undisturbed run has; the first test checks these numbers."""
EFFECTS = 5
SUBMITTED = {("sqlite", "submit"): 9, ("postgresql", "submit"): 10}
STARTS = {"sqlite": 3, "postgresql": 4}
"""Of a submitted run, the commit from which on the start exists."""

MOMENTS = moments(WAYS, EFFECTS)
AROUND = [
    pytest.param(store, "submit", moment, STARTS[store], id=f"{store}-submit-{moment}-{STARTS[store]}")
    for store, _ in SUBMITTED
    for moment in ("before-commit", "after-commit")
]
OTHERS = [
    pytest.param(*found.values, id=found.id, marks=pytest.mark.chaos)
    for found in moments(SUBMITTED, EFFECTS)
    if found.id not in {around.id for around in AROUND}
]
"""Those of submitted runs that tell less: over a minute."""


@pytest.fixture
def url(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with empty_store(store, tmp_path, request) as found:
        yield found


@pytest.mark.parametrize(("store", "way"), {**WAYS, **SUBMITTED})
def test_an_undisturbed_run_has_the_commits_and_effects_that_are_enumerated(
    url: str, store: str, way: str, tmp_path: Path
) -> None:
    done = launch(PROGRAM, url, tmp_path / "effects", "never", 0, way)
    assert done.stdout.split() == ["SUCCEEDED", str({**WAYS, **SUBMITTED}[store, way]), str(EFFECTS)], done.stderr


@pytest.mark.parametrize(("store", "way", "moment", "number"), [*MOMENTS, *AROUND, *OTHERS])
def test_a_run_killed_at_any_moment_is_finished_by_another_process_with_nothing_done_twice(
    url: str, tmp_path: Path, store: str, way: str, moment: str, number: int
) -> None:
    killed = launch(PROGRAM, url, tmp_path / "effects", moment, number, way)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    effects = tmp_path / "effects"
    with Engine(url, steps=steps(effects, Fuse("never", 0))) as engine:
        made = number - (moment == "before-commit")  # so many commits
        if moment.endswith("commit") and made < (STARTS[store] if way == "submit" else 1):
            assert engine.unfinished() == [], "the start was never confirmed, so nothing may be left of it"
            engine.start(FLOW, {"order": 7}, name="order-7")  # whoever asked got no answer, and asks again
        if way == "inline":
            engine.resume("order-7")
        else:
            Worker(engine).run_until_idle()
        outcome = engine.describe("order-7")
        with engine.host.transaction() as db:
            rows = db.execute("SELECT number, count(*) FROM records GROUP BY number ORDER BY number").fetchall()
    assert (outcome["status"], outcome["output"]) == ("SUCCEEDED", {"receipt": "r-7", "once": True})
    lines = [line.split() for line in effects.read_text().splitlines()] if effects.exists() else []
    keys = {key for kind, key in lines if kind == "charge"}
    assert len(keys) == 4, "every keyed effect happened, each under one key whatever the number of deliveries"
    assert Counter(kind for kind, _ in lines)["once"] <= 1, "a step that must not run twice did not"
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
