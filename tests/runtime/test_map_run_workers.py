"""Map runs that worker processes share: each has its part, and kill -9 loses nothing and runs no ended child again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine
from tests.runtime.map_run_program import PATIENCE
from tests.runtime.test_map_runs import TASK, each
from tests.stores.servers import schema

ROOT = Path(__file__).resolve().parents[2]
ITEMS = list(range(60))


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The URL of an empty store on PostgreSQL."""
    with schema(server) as found:
        yield found


@contextmanager
def worker(url: str, folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.runtime.map_run_program", url, str(folder), name]
    with (folder / "workers.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + 2 * PATIENCE
    while not (found := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)
    return found


def effects(folder: Path) -> list[list[str]]:
    file = folder / "effects"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def ended(engine: Engine) -> dict[str, Any] | None:
    found = engine.describe("p")
    return found if found["status"] != "RUNNING" else None


def test_two_processes_share_one_map_run(url: str, tmp_path: Path) -> None:
    with Engine(url, steps={"t": lambda payload, ctx: None}) as engine:
        engine.start(each(TASK, MaxConcurrency=20), ITEMS, name="p")
        with worker(url, tmp_path, "a"), worker(url, tmp_path, "b"):
            found = wait_for(lambda: ended(engine))
    assert (found["status"], found["output"]) == ("SUCCEEDED", [10 * item for item in ITEMS])
    assert {name for _, _, name in effects(tmp_path)} == {"a", "b"}
    assert Counter(item for item, _, _ in effects(tmp_path)) == Counter(map(str, ITEMS)), "each item once"
    (run,) = found["map_runs"]
    assert (run["succeeded"], run["running"], run["pending"]) == (len(ITEMS), 0, 0)


def test_a_worker_that_is_killed_loses_nothing_and_no_ended_child_runs_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "hold-a").touch()
    with Engine(url, steps={"t": lambda payload, ctx: None}) as engine:
        engine.start(each(TASK, MaxConcurrency=20), ITEMS, name="p")
        with worker(url, tmp_path, "a") as victim, worker(url, tmp_path, "b"):
            wait_for(lambda: any(name == "a" for _, _, name in effects(tmp_path)))
            before = {found.name for found in engine.list(map_of="p", status="SUCCEEDED", limit=1000)}
            victim.kill()
            victim.wait()
            found = wait_for(lambda: ended(engine))
        names = {found.name for found in engine.list(map_of="p", limit=1000)}
    assert (found["status"], found["output"]) == ("SUCCEEDED", [10 * item for item in ITEMS])
    made = effects(tmp_path)
    keys: dict[str, set[str]] = {}
    for item, key, _ in made:
        keys.setdefault(item, set()).add(key)
    assert set(keys) == set(map(str, ITEMS)), "nothing is lost"
    assert all(len(found) == 1 for found in keys.values()), "an item is asked for under one key, whoever runs it"
    assert len(names) == len(ITEMS)
    again = Counter(key.split("/")[0] for _, key, _ in made)
    assert all(again[name] == 1 for name in before), "what had ended is not run again"
    (run,) = found["map_runs"]
    assert (run["succeeded"], run["failed"], run["aborted"], run["running"]) == (len(ITEMS), 0, 0, 0)
