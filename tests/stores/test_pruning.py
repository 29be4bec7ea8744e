"""Removing what ended long ago: never what runs, nor what another execution needs; in batches."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.decide import decide
from engine.core.events import ExecutionRedriven, ExecutionStarted, ExecutionStopped
from engine.core.execution import Execution
from engine.stores import Change, Redrive, Start, Store, pruning
from engine.stores.pruning import prune
from tests.stores.test_conformance import DIGEST, FLOW, MACHINE, NOW, answer, create, opened

TABLES = ("executions", "frames", "history", "signals")


def end(store: Store, name: str, at: float) -> None:
    """Two branches are under way when it is stopped: it has rows in every table."""
    made = store.load(name)
    store.commit([Change(made.key, made.version, answer(made))])
    running = store.load(name)
    store.commit([Change(running.key, running.version, decide(MACHINE, running.execution, ExecutionStopped(at)))])


def sizes(store: Store) -> list[int]:
    with store.reading() as db:
        return [db.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in TABLES]


def names(store: Store) -> set[str]:
    return {found.name for found in store.list()}


def test_what_ended_before_goes_with_everything_that_belongs_to_it(url: str) -> None:
    with opened(url) as store:
        create(store, "old", "new", "running", owned=True)
        end(store, "old", NOW + 10)
        before = sizes(store)
        end(store, "new", NOW + 20)
        assert list(prune(store, NOW + 20, count_only=True)) == [1]
        assert list(prune(store, NOW + 20)) == [1]
        assert names(store) == {"new", "running"}
        assert list(prune(store, NOW + 20)) == []
        assert list(prune(store, NOW + 1e6)) == [1]
        assert names(store) == {"running"}
        assert sizes(store) == [1, 0, 1, 0]
        assert before[1] == 2, "what failed had kept its frames"
        assert store.definition(DIGEST).source == FLOW


def test_batches_are_bounded_and_statuses_can_be_chosen(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    with opened(url) as store:
        create(store, *(f"x{number}" for number in range(8)), owned=True)
        for number in range(8):
            end(store, f"x{number}", NOW + number)
        assert list(prune(store, NOW + 100, ["SUCCEEDED", "FAILED"])) == []
        assert list(prune(store, NOW + 7, ["ABORTED"])) == [3, 3, 1]
        assert names(store) == {"x7"}


def test_a_child_is_kept_as_long_as_its_parent(url: str) -> None:
    with opened(url) as store:
        create(store, "parent", owned=True)
        link: dict[str, Any] = {"name": "parent", "token": "0#1"}
        child = decide(MACHINE, Execution("child", {}, parent=link), ExecutionStarted(NOW))
        store.create([Start(child, "flow", DIGEST, True)])
        end(store, "child", NOW + 1)
        assert list(prune(store, NOW + 10)) == []
        end(store, "parent", NOW + 20)
        assert list(prune(store, NOW + 10)) == []
        assert sum(prune(store, NOW + 30)) == 2


def test_what_was_redriven_in_the_meantime_is_kept(url: str) -> None:
    with opened(url) as store:
        create(store, "x", owned=True)
        end(store, "x", NOW + 1)
        batches = prune(store, NOW + 10)
        still = pruning._still

        def redriven_first(db: Any, keys: Any, before: float) -> list[int]:
            ended = store.load("x")
            decision = decide(MACHINE, ended.execution, ExecutionRedriven(NOW + 5))
            store.reopen(Redrive(ended.key, ended.version, decision, DIGEST))
            return still(db, keys, before)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pruning, "_still", redriven_first)
            assert list(batches) == []
        assert store.load("x").execution.status == "RUNNING"
