"""Transactional steps that follow one another: one commit, all or nothing, and each alone when that does not go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, StepError, StepRegistry, VirtualClock, step
from engine.errors import EngineError, LeaseLost, StoreUnavailable
from engine.runtime import making, within
from engine.runtime.clock import Clock
from engine.runtime.within import LONGEST_ROW
from engine.runtime.worker import Worker
from tests.runtime.crash_program import Fuse, Watched

START = 1_767_225_600.0
Trouble = Callable[[str, Any, int], None]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, no row is cut for the time that it takes."""
    monkeypatch.setattr(making, "HERE_SECONDS", 1e9)


def flow(*names: str, catching: str = "") -> dict[str, Any]:
    """A row of states; `plain` is a step of its own, all others are transactional."""
    states: dict[str, Any] = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        resource = f"step:{'plain' if name == 'plain' else 'record'}"
        states[name] = {"Type": "Task", "Resource": resource, "Parameters": {"state": name}, "ResultPath": None}
        states[name] |= {"Next": following} if following else {"End": True}
        if catching and name == "b":
            states[name]["Catch"] = [{"ErrorEquals": ["Broken"], "ResultPath": None, "Next": catching}]
    return {"StartAt": names[0], "States": states}


class Bench:
    """An engine whose transactional step writes the state's name, and then has the trouble that is asked for."""

    def __init__(self, url: str, trouble: Trouble | None = None, clock: Clock | None = None) -> None:
        self.calls: list[str] = []

        @step("record", transactional=True)
        def record(payload: Any, ctx: Any) -> Any:
            self.calls.append(payload["state"])
            kept = None
            with ctx.transaction() as db:
                db.execute("INSERT INTO rows_of_steps VALUES (?, ?)", (ctx.execution, payload["state"]))
                try:
                    if trouble is not None:
                        trouble(payload["state"], db, len(self.calls))
                except StepError as failure:
                    if not failure.keep:
                        raise
                    kept = failure
            if kept is not None:
                raise kept
            return payload

        @step("plain")
        def plain(payload: Any, ctx: Any) -> Any:
            return payload

        steps = StepRegistry()
        steps.add(*(getattr(declared, "__step__") for declared in (record, plain)))  # noqa: B009
        steps.hooks["open"].append(_create_table)
        self.engine = Engine(url, steps=steps, clock=clock)
        self.fuse = Fuse("never", 0)
        store: Any = self.engine._store
        store.use(Watched(store.connection, self.fuse))
        self.worker = Worker(self.engine)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.engine.close()

    def commits(self, given: dict[str, Any], name: str) -> int:
        """How many there are until an execution is over that begins in the worker."""
        self.engine.machines.keep(self.engine.machines.ready(given))
        self.worker.submit(flow("plain"), name=f"before-{name}")
        self.worker.run_until_idle()
        before = self.fuse.seen["after-commit"]
        future = self.worker.submit(given, name=name)
        self.worker.run_until_idle()
        assert future.result(0).status == "SUCCEEDED"
        return self.fuse.seen["after-commit"] - before

    def rows(self) -> list[str]:
        with self.engine.host.transaction() as db:
            return [state for (state,) in db.execute("SELECT state FROM rows_of_steps ORDER BY state").fetchall()]

    def events(self, name: str) -> list[tuple[Any, ...]]:
        return [(event["id"], event["previousEventId"], event["type"]) for event in self.engine.history(name)]


def _create_table(host: Any) -> None:
    with host.transaction() as db:
        db.execute("CREATE TABLE IF NOT EXISTS rows_of_steps (execution TEXT, state TEXT)")


def as_each_alone(url: str, given: dict[str, Any], trouble: Trouble | None = None) -> list[tuple[Any, ...]]:
    """The events of the same flow where each step has a transaction of its own."""
    with Bench(url, trouble) as bench:
        bench.engine.run(given, name="alone")
        with bench.engine.host.transaction() as db:
            db.execute("DELETE FROM rows_of_steps")
        return bench.events("alone")


def test_a_row_costs_as_many_commits_as_one_step(shared_url: str) -> None:
    with Bench(shared_url) as bench:
        assert bench.commits(flow("a"), "short") == bench.commits(flow("a", "b", "c", "d"), "long")
        assert bench.rows() == ["a", "a", "b", "c", "d"]
    assert len(bench.calls) == 5


def test_the_history_of_a_row_is_that_of_single_steps(shared_url: str) -> None:
    given = flow("plain", "a", "b", "c")
    expected = as_each_alone(shared_url, given)
    with Bench(shared_url) as bench:
        bench.commits(given, "row")
        assert bench.events("row") == expected
        assert bench.rows() == ["a", "b", "c"]


def test_a_step_that_fails_in_a_row_undoes_what_it_wrote_and_nothing_else(shared_url: str) -> None:
    def trouble(state: str, db: Any, call: int) -> None:
        if state == "b":
            raise StepError("Broken")

    given = flow("a", "b", "c", catching="c")
    expected = as_each_alone(shared_url, given, trouble)
    with Bench(shared_url, trouble) as bench:
        bench.commits(given, "row")
        assert bench.events("row") == expected
        assert bench.rows() == ["a", "c"]


def test_what_a_failure_keeps_stays_written_and_the_row_goes_on(shared_url: str) -> None:
    def trouble(state: str, db: Any, call: int) -> None:
        if state == "b":
            raise StepError("Broken", keep=True)

    given = flow("a", "b", "c", catching="c")
    expected = as_each_alone(shared_url, given, trouble)
    with Bench(shared_url, trouble) as bench:
        bench.commits(given, "row")
        assert bench.events("row") == expected
        assert bench.rows() == ["a", "b", "c"]
        with bench.engine.host.transaction() as db:
            db.execute("DELETE FROM rows_of_steps")
        bench.engine.run(given, name="inline")
        assert bench.rows() == ["a", "b", "c"]


def test_a_row_that_the_store_breaks_off_is_made_again_from_its_beginning(shared_url: str) -> None:
    def trouble(state: str, db: Any, call: int) -> None:
        if call == 2:
            raise StoreUnavailable("gone for a moment")

    with Bench(shared_url, trouble) as bench:
        bench.commits(flow("plain", "a", "b", "c"), "row")
        assert bench.rows() == ["a", "b", "c"]
        assert bench.calls == ["a", "b", "a", "b", "c"]
        ids = [event["id"] for event in bench.engine.history("row")]
        assert ids == list(range(1, len(ids) + 1))


def test_a_step_that_cannot_be_made_here_holds_up_no_step_before_it(tmp_path: Path) -> None:
    def trouble(state: str, db: Any, call: int) -> None:
        if call in (2, 4):
            raise EngineError("this worker cannot")

    with Bench(f"sqlite:///{tmp_path}/runs.db", trouble, VirtualClock(START)) as bench:
        bench.engine.start(flow("a", "b", "c"), name="row")
        bench.worker.run_until_idle()
        assert bench.engine.describe("row")["status"] == "SUCCEEDED"
        assert bench.calls == ["a", "b", "a", "b", "b", "c"], "alone, then after a while once more, then in a row"
        assert bench.rows() == ["a", "b", "c"]


def test_what_the_database_refuses_fails_its_step_alone(tmp_path: Path) -> None:
    def trouble(state: str, db: Any, call: int) -> None:
        if state == "b":
            db.execute("UPDATE executions SET flow = NULL")  # no row may be so

    with Bench(f"sqlite:///{tmp_path}/runs.db", trouble) as bench:
        ended = bench.worker.submit(flow("a", "b", "c"), name="row")
        bench.worker.run_until_idle()
        assert (bench.rows(), ended.result(0).status) == (["a"], "FAILED")


def test_nothing_of_a_row_is_kept_when_others_own_the_execution(tmp_path: Path) -> None:
    def trouble(state: str, db: Any, call: int) -> None:
        if state == "b":
            db.execute("UPDATE executions SET version = version + 1 WHERE name = 'row'")

    with Bench(f"sqlite:///{tmp_path}/runs.db", trouble) as bench:
        lost = bench.worker.submit(flow("plain", "a", "b", "c"), name="row")
        kept = bench.worker.submit(flow("plain", "a"), name="beside")
        bench.worker.run_until_idle()
        with pytest.raises(LeaseLost):
            lost.result(0)
        assert kept.result(0).status == "SUCCEEDED"
        assert bench.rows() == ["a"]


def test_a_row_ends_before_a_step_that_is_paused(tmp_path: Path) -> None:
    with Bench(f"sqlite:///{tmp_path}/runs.db") as bench:
        given = flow("a", "plain", "b")
        bench.engine.pause_step("record")
        bench.worker.submit(given, name="row")
        bench.worker.run_until_idle()
        assert bench.rows() == []
        bench.engine.unpause_step("record")
        bench.worker.run_until_idle()
        assert bench.rows() == ["a", "b"]


def test_a_long_row_is_cut(tmp_path: Path) -> None:
    names = [f"s{number:03}" for number in range(2 * LONGEST_ROW + 1)]
    with Bench(f"sqlite:///{tmp_path}/runs.db") as bench:
        bench.commits(flow(*names), "row")
        assert bench.rows() == names
        assert bench.calls == names


def test_a_row_that_takes_long_is_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(making, "HERE_SECONDS", 0.0)
    with Bench(f"sqlite:///{tmp_path}/runs.db") as bench:
        assert bench.commits(flow("a", "b", "c"), "slow") > 1
        assert bench.rows() == ["a", "b", "c"]


@pytest.mark.parametrize("broken", range(1, 6))
def test_a_step_whose_commit_fails_is_made_again_whatever_was_committed_before(
    shared_url: str, broken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def stored(*arguments: Any) -> Any:
        nonlocal written
        written += 1
        if written == broken:
            raise StoreUnavailable("the disk is full")
        return real(*arguments)

    real = within.stored
    monkeypatch.setattr(within, "stored", stored)
    branch = {"Type": "Task", "Resource": "step:record", "End": True}
    branches = [
        {"StartAt": name, "States": {name: {**branch, "Parameters": {"state": name}}}} for name in ("a", "b", "c")
    ]
    given = flow("plain", "z")
    given["States"]["z"] = {"Type": "Parallel", "Branches": branches, "End": True}
    with Bench(shared_url) as bench:
        bench.engine.start(given, {}, name="p")
        bench.worker.run_until_idle()
        assert bench.engine.describe("p")["status"] == "SUCCEEDED"
        assert bench.rows() == ["a", "b", "c"]
