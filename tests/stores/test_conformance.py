"""The contract of `engine.stores.Store`, checked on every store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from engine import load_flow
from engine.core.decide import decide
from engine.core.events import Decision, ExecutionRedriven, ExecutionStarted, ExecutionStopped, TaskSucceeded
from engine.core.execution import Execution
from engine.errors import Conflict, ExecutionBusy, ExecutionNotFound, LeaseLost
from engine.step import Connection
from engine.stores import KEEP, Change, Redrive, Start, Store, Stored, Wanted, open_store
from engine.values import JSON, content_hash, dump

NOW = 1_767_225_600.0
FLOW = {
    "StartAt": "A",
    "States": {
        "A": {"Type": "Task", "Resource": "step:a", "Next": "B"},
        "B": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "step:a", "End": True}}},
                {"StartAt": "D", "States": {"D": {"Type": "Wait", "Seconds": 60, "End": True}}},
            ],
            "End": True,
        },
    },
}
MACHINE = load_flow(FLOW)
DIGEST = content_hash(FLOW)
ODD = {"text": "é \ud83d\ude00 \x00 \ud800", "deep": [[], {}, None, True, 1.5, 10**20, -0.0], "": {"a.b": "?%s'"}}


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def begin(name: str, data: JSON = None, at: float = NOW) -> Decision:
    return decide(MACHINE, Execution(name, {} if data is None else data), ExecutionStarted(at))


def create(store: Store, *names: str, owned: bool = False, data: JSON = None, at: float = NOW) -> list[Stored]:
    store.put_definition(DIGEST, FLOW, "flow.yaml")
    decisions = [begin(name, data, at) for name in names]
    begun = store.create([Start(decision, "flow", DIGEST, owned) for decision in decisions])
    return [
        Stored(found.key, decision.apply(), 1, DIGEST)
        for found, decision in zip(begun, decisions, strict=True)
        if found.key is not None
    ]


def answer(stored: Stored, result: JSON = None, at: float = NOW + 1) -> Decision:
    token = next(f"{frame.path}#{frame.token}" for frame in stored.execution.frames.values() if frame.wait == "TASK")
    return decide(MACHINE, stored.execution, TaskSucceeded(token, result, at))


@contextmanager
def broken_off(store: Store) -> Iterator[Connection]:
    """A transaction that fails in its last moment."""
    with suppress(ZeroDivisionError), store.transaction() as db:
        yield db
        raise ZeroDivisionError


def snapshot(execution: Execution) -> str:
    frames = sorted(execution.frames.values(), key=lambda frame: frame.path)
    return dump([execution.header(), [frame.to_json() for frame in frames]])


def test_what_is_written_is_read(url: str) -> None:
    with opened(url) as store:
        (made,) = create(store, "x", owned=True, data=ODD)
        assert snapshot(store.load("x").execution) == snapshot(made.execution)
        decision = answer(made, ODD)
        assert store.commit([Change(made.key, 1, decision)]) == frozenset()
        decision.apply()
        read = store.load("x")
        assert snapshot(read.execution) == snapshot(decision.execution)
        assert (read.version, read.definition) == (2, DIGEST)
        assert store.definition(DIGEST) == (FLOW, "flow.yaml")
        assert [event[0] for event in store.history("x")] == list(range(1, read.execution.events + 1))
        end = decide(MACHINE, read.execution, ExecutionStopped(NOW + 2, "E\ud800", "because\x00"))
        assert store.commit([Change(read.key, 2, end)]) == frozenset()
        end.apply()
        assert snapshot(store.load("x").execution) == snapshot(end.execution)
        assert store.history("x")[-1] == end.history[-1]


def test_what_is_not_there_is_named(url: str) -> None:
    with opened(url) as store:
        for ask in (store.load, store.take, store.history, lambda name: store.post(name, {})):
            with pytest.raises(ExecutionNotFound, match="'nobody'"):
                ask("nobody")
        assert store.list() == []
        assert store.claim(NOW, 10).executions == []
        assert store.commit([]) == frozenset()


def test_a_name_is_taken_once_and_the_same_input_is_known_again(url: str) -> None:
    with opened(url) as store:
        create(store, "x", data={"a": 1})
        starts = [Start(begin("x", data), "flow", DIGEST, False) for data in ({"a": 1}, {"a": True}, {"a": 1.0})]
        known = [(begun.key, begun.same) for begun in store.create(starts)]
        assert known == [(None, True), (None, False), (None, True)]
        twice = store.create([Start(begin("y", data), "flow", DIGEST, False) for data in ({"a": 1}, {"a": 2})])
        assert [(begun.key is None, begun.same) for begun in twice] == [(False, True), (True, False)]
        assert len(store.history("x")) == len(store.history("y"))


def test_free_executions_are_claimed_when_they_are_due_the_longest_waiting_first(url: str) -> None:
    with opened(url) as store:
        for name, at in (("late", NOW + 9), ("second", NOW + 2), ("first", NOW + 1)):
            create(store, name, at=at)
        claimed = store.claim(NOW + 5, 1)
        assert [stored.execution.name for stored in claimed.executions] == ["first"]
        assert claimed.due == NOW + 2
        claimed = store.claim(NOW + 5, 10)
        assert [stored.execution.name for stored in claimed.executions] == ["second"]
        assert claimed.due == NOW + 9
        assert store.claim(NOW + 5, 10).executions == []


def test_a_claim_is_a_run_that_is_counted_durably(url: str) -> None:
    with opened(url) as store:
        create(store, "x")
        (claimed,) = store.claim(NOW, 10).executions
        assert (claimed.execution.runs, store.load("x").execution.runs) == (0, 1)
        assert claimed.version == store.load("x").version


def test_what_is_parked_wakes_at_its_time_and_its_frames_with_it(url: str) -> None:
    with opened(url) as store:
        (made,) = create(store, "x", owned=True)
        decision = answer(made)
        store.commit([Change(made.key, 1, decision, NOW + 60)])
        decision.apply()
        assert store.claim(NOW + 59, 10) == ([], NOW + 60)
        (claimed,) = store.claim(NOW + 60, 10).executions
        assert sorted(claimed.execution.frames) == ["0", "0.0", "0.1"]
        decision = decide(MACHINE, claimed.execution, ExecutionStopped(NOW + 61))
        store.commit([Change(claimed.key, claimed.version, decision)])
        assert sorted(store.load("x").execution.frames) == ["0", "0.0", "0.1"], "what a redrive would go on from"
        assert store.claim(NOW + 1000, 10) == ([], None)


def test_what_nobody_waits_for_is_left_alone_until_a_signal_comes(url: str) -> None:
    with opened(url) as store:
        (made,) = create(store, "x", owned=True)
        store.commit([Change(made.key, 1, answer(made), None)])
        assert store.claim(NOW + 1e9, 10) == ([], None)
        store.post("x", {"event": "TaskSucceeded"})
        (claimed,) = store.claim(NOW, 10).executions
        (signal,) = store.signals()
        assert (signal.key, signal.event) == (claimed.key, {"event": "TaskSucceeded"})
        nothing = Decision(claimed.execution, {}, [], [])
        store.commit([Change(claimed.key, claimed.version, nothing, KEEP, [signal.id])])
        assert store.signals() == []


def test_a_signal_to_what_is_being_parked_is_not_slept_over(url: str) -> None:
    with opened(url) as store:
        (made,) = create(store, "x", owned=True)
        store.post("x", {"event": "TaskSucceeded"})
        assert len(store.signals()) == 1
        store.commit([Change(made.key, 1, answer(made), NOW + 1e9)])
        assert [found.execution.name for found in store.claim(NOW, 10).executions] == ["x"]


def test_a_change_that_comes_too_late_is_left_out_and_the_others_are_written(url: str) -> None:
    with opened(url) as store:
        x, y, z = create(store, "x", "y", "z", owned=True)
        store.commit([Change(y.key, 1, answer(y))])
        again = [Change(x.key, 1, answer(x)), Change(y.key, 1, answer(y)), Change(z.key, 1, answer(z))]
        assert store.commit(again) == {y.key}
        assert [store.load(name).version for name in "xyz"] == [2, 2, 2]
        assert len(store.history("y")) == len(store.history("x"))


def test_a_transaction_is_all_or_nothing_and_one_inside_it_is_a_savepoint(url: str) -> None:
    with opened(url) as store:
        x, y = create(store, "x", "y", owned=True)
        with store.transaction() as db:
            db.execute("CREATE TABLE mine (n INTEGER, t TEXT)")
        with broken_off(store) as db:
            db.execute("INSERT INTO mine VALUES (?, ?)", (1, "what? 100%"))
            store.commit([Change(x.key, 1, answer(x))])
        assert store.load("x").version == 1
        with store.transaction() as db:
            db.execute("INSERT INTO mine VALUES (?, 'a ? and a %')", (2,))
            with broken_off(store) as inner:
                inner.execute("INSERT INTO mine VALUES (3, '')")
            store.commit([Change(y.key, 1, answer(y))])
        assert store.load("y").version == 2
        with store.aside() as db:
            assert db.execute("SELECT n, t FROM mine").fetchall() == [(2, "a ? and a %")]


def test_lists_are_filtered_and_the_youngest_comes_first(url: str) -> None:
    with opened(url) as store:
        for number, name in enumerate("abc"):
            create(store, name, at=NOW + number, owned=True)
        a = store.load("a")
        store.commit([Change(a.key, 1, decide(MACHINE, a.execution, ExecutionStopped(NOW + 9, "Err", "why")))])
        assert [found.name for found in store.list()] == ["c", "b", "a"]
        assert [found.name for found in store.list(Wanted("RUNNING", NOW + 2))] == ["c"]
        (ended,) = store.list(Wanted("ABORTED"))
        assert (ended.error, ended.state, ended.stopped) == ("Err", None, NOW + 9)
        assert [found.state for found in store.list(Wanted(limit=1))] == ["A"]


def test_what_has_ended_is_reopened_once_with_its_frames_and_another_definition(url: str) -> None:
    with opened(url) as store:
        (made,) = create(store, "x", owned=True)
        store.commit([Change(made.key, 1, answer(made))])
        running = store.load("x")
        early = Redrive(running.key, running.version, Decision(running.execution, {}, [], []), DIGEST)
        with pytest.raises(Conflict):
            store.reopen(early)
        store.commit([Change(running.key, 2, decide(MACHINE, running.execution, ExecutionStopped(NOW + 9, "E")))])
        ended = store.load("x")
        other = {**FLOW, "Comment": "newer"}
        store.put_definition(content_hash(other), other, None)
        decision = decide(MACHINE, ended.execution, ExecutionRedriven(NOW + 10))
        redrive = Redrive(ended.key, ended.version, decision, content_hash(other))
        store.reopen(redrive)
        with pytest.raises(Conflict, match="changed by somebody else"):
            store.reopen(redrive)
        read = store.load("x")
        assert snapshot(read.execution) == snapshot(decision.apply())
        assert (read.definition, read.execution.redrives) == (content_hash(other), 1)
        assert [event[0] for event in store.history("x")] == list(range(1, read.execution.events + 1))
        assert [found.execution.name for found in store.claim(NOW, 10).executions] == ["x"]


# -- owners --------------------------------------------------------------------------------------------------------


def test_what_one_process_runs_another_does_not_touch(shared_url: str) -> None:
    with opened(shared_url) as ours, opened(shared_url) as theirs:
        (made,) = create(ours, "x", owned=True)
        assert theirs.claim(NOW + 1e6, 10).executions == []
        with pytest.raises(ExecutionBusy):
            theirs.take("x")
        with pytest.raises(ExecutionBusy):
            ours.take("x")
        assert theirs.beat() == 0
        assert theirs.commit([Change(made.key, 1, answer(made))]) == {made.key}
        assert ours.commit([Change(made.key, 1, answer(made))]) == frozenset()


def test_closing_gives_back_what_is_owned(shared_url: str) -> None:
    with opened(shared_url) as theirs:
        with opened(shared_url) as ours:
            create(ours, "x", "y", owned=True)
        assert len(theirs.claim(NOW, 10).executions) == 2


def test_a_lease_that_is_over_is_taken_over_and_the_late_owner_writes_nothing(shared_url: str) -> None:
    with opened(shared_url) as zombie, opened(shared_url) as other:
        zombie.enter(-1.0)
        x, y = create(zombie, "x", "y", owned=True)
        assert other.beat() == 2
        (claimed,) = other.claim(NOW, 1).executions
        for late in (x, y):
            with suppress(LeaseLost):  # a store may know at once that the whole owner is gone
                assert zombie.commit([Change(late.key, 1, answer(late))]) == {late.key}
        zombie._extended = 0.0  # type: ignore[attr-defined]
        with pytest.raises(LeaseLost):
            zombie.beat()
        assert other.commit([Change(claimed.key, claimed.version, answer(claimed))]) == frozenset()
        with pytest.raises(LeaseLost):
            zombie.claim(NOW, 10)
        with pytest.raises(LeaseLost):
            create(zombie, "z", owned=True)
        zombie.enter(10.0)
        assert len(zombie.claim(NOW, 10).executions) == 1


@pytest.mark.parametrize("what", ["start", "change"])
def test_what_an_owner_is_writing_while_it_is_given_up_is_free_at_once(shared_url: str, what: str) -> None:
    with opened(shared_url) as zombie, opened(shared_url) as other:
        other.beat()  # so that it is not its turn to look for strays
        zombie.enter(-1.0)
        (made,) = create(zombie, "x", owned=True)
        freed: list[int] = []
        burying = threading.Thread(target=lambda: freed.append(other.beat()))
        with zombie.transaction():
            if what == "start":
                create(zombie, "y", owned=True)
            else:
                zombie.commit([Change(made.key, 1, answer(made))])
            burying.start()
            burying.join(0.2)
        burying.join()
        assert {found.execution.name for found in other.claim(NOW, 10).executions} == {"x", *"y"[: what == "start"]}


def test_taking_from_an_owner_that_is_gone_buries_it(shared_url: str) -> None:
    with opened(shared_url) as zombie, opened(shared_url) as other:
        zombie.enter(-1.0)
        create(zombie, "x", "y", owned=True)
        assert other.take("x").execution.name == "x"
        assert [found.execution.name for found in other.claim(NOW, 10).executions] == ["y"]


def test_stores_hear_of_what_others_write(shared_url: str) -> None:
    with opened(shared_url) as ours, opened(shared_url) as theirs:
        ours.enter(10.0)
        hears(ours)
        assert not ours.changed()
        create(theirs, "x")
        hears(ours)


def hears(store: Store) -> None:
    until = time.monotonic() + 10
    while not store.changed():
        assert time.monotonic() < until


def test_odd_steps_of_a_run_survive_their_way_through_the_store(url: str) -> None:
    """What core keeps in an execution and has no column must not be forgotten: every field, after every decision."""
    with opened(url) as store:
        (made,) = create(store, "x", owned=True)
        known: Any = made
        for _ in range(2):
            decision = answer(known)
            store.commit([Change(known.key, known.version, decision)])
            known = known._replace(execution=decision.apply(), version=known.version + 1)
            assert snapshot(store.load("x").execution) == snapshot(known.execution)
