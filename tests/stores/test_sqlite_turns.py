"""Threads of one process that write to one SQLite file share commits, and never an outcome that is not on the disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.stores import sqlite_turns
from engine.stores.sqlite_connection import Beginning, connect
from engine.stores.sqlite_turns import WriteTurns


class Disk(sqlite3.Connection):
    """Counts commits, and refuses them while it is full."""

    commits = 0
    full = False

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        if sql == "COMMIT":
            Disk.commits += 1
            if Disk.full:
                raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *parameters)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sqlite_turns, "LONGEST_SECONDS", 1e9)
    monkeypatch.setattr(sqlite_turns, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(Disk, "commits", 0)
    monkeypatch.setattr(Disk, "full", False)
    path = tmp_path / "turns.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE seen (name TEXT PRIMARY KEY)")
    connection.close()
    return path


@pytest.fixture
def turns(file: Path) -> Iterator[WriteTurns]:
    turns = WriteTurns(lambda: sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Disk))
    yield turns
    turns.close()


def seen(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    found = {name for (name,) in connection.execute("SELECT name FROM seen")}
    connection.close()
    return found


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.001)


class Writer(threading.Thread):
    """Writes its name in a transaction that may be shared; `hold` is called before the block ends."""

    def __init__(self, turns: WriteTurns, name: str, hold: Callable[[], object] = lambda: None) -> None:
        super().__init__(name=name)
        self.turns = turns
        self.hold = hold
        self.problem: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.turns.together() as connection:
                connection.execute("INSERT INTO seen VALUES (?)", (self.name,))
                self.hold()
        except BaseException as problem:
            self.problem = problem


def group(turns: WriteTurns, last: Callable[[], object] = lambda: None) -> list[Writer]:
    """Three writers, two of whom wait while the first is at it; all have ended."""
    first = Writer(turns, "first", lambda: until(lambda: turns._waiting == 2))
    until(lambda: turns._group is not None)
    writers = [first, Writer(turns, "second", last), Writer(turns, "third", last)]
    for writer in writers:
        writer.join()
    return writers


def test_writers_who_wait_share_one_commit(turns: WriteTurns, file: Path) -> None:
    assert [writer.problem for writer in group(turns)] == [None] * 3
    assert Disk.commits == 1
    assert seen(file) == {"first", "second", "third"}


def test_a_writer_who_fails_is_undone_alone(turns: WriteTurns, file: Path) -> None:
    def fail() -> None:
        if threading.current_thread().name == "second":
            raise KeyError("mine")

    _, second, _ = group(turns, fail)
    assert isinstance(second.problem, KeyError)
    assert seen(file) == {"first", "third"}


def test_a_commit_that_fails_is_told_to_everyone_in_it(turns: WriteTurns, file: Path) -> None:
    Disk.full = True
    assert [str(writer.problem) for writer in group(turns)] == ["database or disk is full"] * 3
    assert seen(file) == set()
    Disk.full = False
    assert Writer(turns, "later").join() is None
    assert seen(file) == {"later"}


def test_a_transaction_that_sqlite_has_undone_fails_with_all_before_it(turns: WriteTurns, file: Path) -> None:
    def undone() -> None:
        if threading.current_thread().name == "second":
            connection = turns._connection
            assert connection is not None
            connection.execute("ROLLBACK")  # as SQLite itself does when the disk is full
            raise sqlite3.OperationalError("database or disk is full")

    first, second, third = group(turns, undone)
    assert str(second.problem) == "database or disk is full"
    # The third came before the second, or after it in a group of its own.
    assert str(first.problem) == "database or disk is full"
    assert seen(file) == ({"third"} if third.problem is None else set())


def test_what_waits_for_one_who_gives_up_is_committed_all_the_same(
    turns: WriteTurns, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_turns, "LOOK_SECONDS", 0.01)
    # Looks as if somebody were to come, who never does.
    first = Writer(turns, "first", lambda: turns._wait_for(+1))
    first.join()
    assert first.problem is None
    assert seen(file) == {"first"}


def test_whoever_waits_too_long_for_the_turn_is_told_so(
    turns: WriteTurns, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_turns, "BUSY_SECONDS", 0.01)
    with turns.alone():
        second = Writer(turns, "second")
        second.join()
    assert str(second.problem) == "database is locked"
    assert seen(file) == set()


def test_whoever_writes_alone_finds_the_group_committed(turns: WriteTurns, file: Path) -> None:
    turns._wait_for(+1)  # so that the writer leaves the commit to somebody else
    writer = Writer(turns, "first")
    until(lambda: turns._group is not None or not writer.is_alive())
    with turns.alone():
        assert seen(file) == {"first"}
    writer.join()
    assert writer.problem is None


def test_a_group_that_has_lasted_takes_in_nobody_else(
    turns: WriteTurns, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_turns, "LONGEST_SECONDS", -1.0)
    assert [writer.problem for writer in group(turns)] == [None] * 3
    assert Disk.commits == 3


class Looks:
    """Counts how often a connection tries to begin."""

    def __init__(self, enough: int) -> None:
        self.count, self.enough, self.reached = 0, enough, threading.Event()

    def __call__(self, statement: str) -> None:
        self.count += statement == "BEGIN IMMEDIATE"
        if self.count == self.enough:
            self.reached.set()


def test_in_a_crowd_whoever_waits_looks_as_often_as_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(connect(tmp_path / "x.db")) as ours, closing(connect(tmp_path / "x.db")) as theirs:
        begin = Beginning()

        def waited(enough: int) -> int:
            looks = Looks(enough)
            ours.set_trace_callback(looks)
            theirs.execute("BEGIN IMMEDIATE")
            waiting = threading.Thread(target=begin, args=(ours,))
            waiting.start()
            assert looks.reached.wait(10)
            waiting.join(0.02)
            theirs.execute("COMMIT")
            waiting.join()
            assert ours.in_transaction
            ours.execute("COMMIT")
            return looks.count

        assert waited(1) == 1, "SQLite waits by itself"
        assert waited(5) >= 5, "after that a crowd is expected"
        monkeypatch.setattr("engine.stores.sqlite_connection.BUSY_SECONDS", 0.01)
        theirs.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            begin(ours)
        assert ours.execute("PRAGMA busy_timeout").fetchone() == (10,), "whoever reads is as patient as before"
