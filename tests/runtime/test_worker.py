"""The worker: many executions at once, fairness, limits, signals, give-back, trouble. Cases of states are elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, StepError, StepRegistry, VirtualClock, step
from engine.errors import ExecutionAlreadyExists, ExecutionBusy, StoreUnavailable, WorkerRunning
from engine.runtime import making, pool
from engine.runtime.worker import Worker

START = 1_767_225_600.0
PATIENCE = 20.0


def one(resource: str = "step:work", **fields: Any) -> dict[str, Any]:
    return {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, **fields, "End": True}}}


def chain(length: int, name: str = "S") -> dict[str, Any]:
    states = {
        f"{name}{i}": {
            "Type": "Task",
            "Resource": "step:work",
            **({"End": True} if i == length - 1 else {"Next": f"{name}{i + 1}"}),
        }
        for i in range(length)
    }
    return {"StartAt": f"{name}0", "States": states}


def echo(payload: Any, ctx: Any) -> Any:
    return payload


def registry(*handlers: Any) -> StepRegistry:
    found = StepRegistry()
    found.add(*(handler.__step__ for handler in handlers))
    return found


@contextmanager
def working(engine: Engine, **options: Any) -> Iterator[Worker]:
    """A worker at work in threads of its own."""
    worker = Worker(engine, **options)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop(patience=PATIENCE)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/runs.db"


# -- running -------------------------------------------------------------------------------------------------------


def test_what_was_started_elsewhere_is_run(tmp_path: Path) -> None:
    with Engine(url(tmp_path), steps={"work": echo}) as front, Engine(url(tmp_path), steps={"work": echo}) as engine:
        for number in range(50):
            front.start(chain(3), {"n": number}, name=f"x{number}")
        assert Worker(engine).run_until_idle() == 50
        assert {found.status for found in front.list()} == {"SUCCEEDED"}
        assert front.describe("x7")["output"] == {"n": 7}
        events = front.history("x7")
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


def test_submitted_executions_bring_their_outcome(tmp_path: Path) -> None:
    with Engine(url(tmp_path), steps={"work": echo}) as engine, working(engine) as worker:
        futures = [worker.submit(chain(2), {"n": number}, name=f"x{number}") for number in range(20)]
        outcomes = [future.result(PATIENCE) for future in futures]
        assert [outcome.output for outcome in outcomes] == [{"n": number} for number in range(20)]
        assert outcomes[3].history[-1]["type"] == "ExecutionSucceeded"
        with pytest.raises(ExecutionBusy):
            worker.submit(chain(2), {"n": 3}, name="x3").result(PATIENCE)
        with pytest.raises(ExecutionAlreadyExists):
            worker.submit(chain(2), {"n": 4}, name="x3").result(PATIENCE)


def test_a_batch_has_one_commit_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine must not look like a slow step, nor like a batch that holds up the next commit.
    monkeypatch.setattr(pool, "SLOW_SECONDS", 1e9)
    monkeypatch.setattr(making, "HERE_SECONDS", 1e9)
    with Engine("memory:", steps={"work": echo}) as engine:
        for number in range(100):
            engine.start(chain(5), {"n": number})
        commits = []
        engine._store.connection.set_trace_callback(  # type: ignore[attr-defined]
            lambda sql: commits.append(sql) if sql == "COMMIT" else None
        )
        assert Worker(engine).run_until_idle() == 100
    assert len(commits) <= 30, "one to own them, one for each step, and few for looking around; alone it would be 700"


def test_a_wait_of_a_year_costs_a_row_and_no_memory() -> None:
    clock = VirtualClock(START)
    flow = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 31_536_000, "Next": "T"}, **one()["States"]}}
    with Engine("memory:", steps={"work": echo}, clock=clock) as engine:
        worker = Worker(engine)
        engine.start(flow, name="x")
        scheduler = worker._scheduler
        engine._store.enter(10.0)
        scheduler.look_around(now=True)
        while scheduler.busy:
            scheduler.round(patient=False)
        assert (scheduler.held, scheduler.lookout.due) == ({}, START + 31_536_000)
        worker.run_until_idle()
        assert engine.describe("x")["status"] == "SUCCEEDED"
        assert clock.now() == START + 31_536_000


def test_a_step_that_takes_long_does_not_hold_up_the_others(tmp_path: Path) -> None:
    release = threading.Event()

    def work(payload: Any, ctx: Any) -> Any:
        if payload["slow"]:
            assert release.wait(PATIENCE)
        return payload

    with Engine(url(tmp_path), steps={"work": work}) as engine, working(engine) as worker:
        slow = [worker.submit(one(), {"slow": True}) for _ in range(3)]
        quick = [worker.submit(chain(3), {"slow": False}) for _ in range(20)]
        assert [future.result(PATIENCE).status for future in quick] == ["SUCCEEDED"] * 20
        assert not any(future.done() for future in slow)
        release.set()
        assert [future.result(PATIENCE).status for future in slow] == ["SUCCEEDED"] * 3


def test_async_steps_share_one_loop_and_wait_side_by_side(tmp_path: Path) -> None:
    inside, loops, all_inside = 0, set(), asyncio.Event()

    async def work(payload: Any, ctx: Any) -> Any:
        nonlocal inside
        inside += 1
        loops.add(id(asyncio.get_running_loop()))
        if inside == 50:
            all_inside.set()
        await asyncio.wait_for(all_inside.wait(), PATIENCE)
        return payload

    with Engine(url(tmp_path), steps={"work": work}) as engine, working(engine, concurrency=2) as worker:
        futures = [worker.submit(one(), {}) for _ in range(50)]
        assert {future.result(PATIENCE).status for future in futures} == {"SUCCEEDED"}
    assert len(loops) == 1


def test_a_limit_holds_for_its_steps_only(tmp_path: Path) -> None:
    inside, most = 0, 0
    narrow_pair, wide_pair = asyncio.Barrier(2), threading.Barrier(2, timeout=PATIENCE)

    async def narrow(payload: Any, ctx: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await narrow_pair.wait()
        inside -= 1
        return payload

    def wide(payload: Any, ctx: Any) -> Any:
        wide_pair.wait()
        return payload

    steps = {"narrow.a": narrow, "wide": wide}
    with Engine(url(tmp_path), steps=steps) as engine, working(engine, limits={"narrow.*": 2}) as worker:
        futures = [worker.submit(one("step:narrow.a"), {}) for _ in range(20)]
        futures += [worker.submit(one("step:wide"), {}) for _ in range(4)]
        assert {future.result(PATIENCE).status for future in futures} == {"SUCCEEDED"}
    assert most == 2


EACH = {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": one("step:slow"), "End": True}}}


def test_executions_take_turns_so_that_a_wide_map_keeps_nobody_waiting(tmp_path: Path) -> None:
    order: list[str] = []
    gate = threading.Event()

    def slow(payload: Any, ctx: Any) -> Any:
        gate.wait(PATIENCE)
        time.sleep(0.003)
        order.append(ctx.execution)
        return payload

    with Engine(url(tmp_path), steps={"slow": slow}) as engine, working(engine, concurrency=2) as worker:
        wide = worker.submit(EACH, list(range(300)), name="wide")
        wait_until(lambda: worker._scheduler.calls.waiting > 200)
        others = [worker.submit(one("step:slow"), {}, name=f"x{number}") for number in range(5)]
        wait_until(lambda: len(worker._scheduler.held) == 6)
        wait_until(lambda: not worker._scheduler.calls.ready)
        gate.set()
        assert {future.result(PATIENCE).status for future in others} == {"SUCCEEDED"}
        assert not wide.done()
        assert wide.result(PATIENCE).output == list(range(300))
    assert max(order.index(f"x{number}") for number in range(5)) < 30, "each had its turn"


def test_who_waits_for_a_thread_gets_it_before_the_next_call_of_whoever_had_it(tmp_path: Path) -> None:
    order: list[str] = []
    gate = threading.Event()

    def work(payload: Any, ctx: Any) -> Any:
        time.sleep(0.003)  # so slow that it is called in threads from its second call on
        if ctx.execution != "first":
            gate.wait(PATIENCE)
            order.append(ctx.execution)
        return payload

    with Engine(url(tmp_path), steps={"work": work}) as engine, working(engine, concurrency=1) as worker:
        assert worker.submit(one(), {}, name="first").result(PATIENCE).status == "SUCCEEDED"
        a = worker.submit(chain(3), {}, name="a")
        wait_until(lambda: worker._pool.full)
        b = worker.submit(one(), {}, name="b")
        wait_until(lambda: len(worker._pool.waiting) == 1)
        gate.set()
        assert [future.result(PATIENCE).status for future in (a, b)] == ["SUCCEEDED"] * 2
    assert order == ["a", "b", "a", "a"]


def test_a_limit_for_each_execution_leaves_the_threads_to_others(tmp_path: Path) -> None:
    guard, inside, most = threading.Lock(), dict.fromkeys("ab", 0), dict.fromkeys("ab", 0)

    def slow(payload: Any, ctx: Any) -> Any:
        name = ctx.execution
        with guard:
            inside[name] += 1
            most[name] = max(most[name], inside[name])
        time.sleep(0.004)
        with guard:
            inside[name] -= 1
        return payload

    with Engine(url(tmp_path), steps={"slow": slow}) as engine, working(engine, concurrency=8, each=2) as worker:
        futures = [worker.submit(EACH, list(range(30)), name=name) for name in "ab"]
        assert [future.result(PATIENCE).output for future in futures] == [list(range(30))] * 2
    assert max(most.values()) <= 3, "two beside the scheduler, and at first one in its own thread"


def test_calls_that_are_cancelled_while_they_wait_leave_their_turn_to_the_next(tmp_path: Path) -> None:
    release = threading.Event()

    def slow(payload: Any, ctx: Any) -> Any:
        release.wait(PATIENCE)
        return payload

    with Engine(url(tmp_path), steps={"slow": slow}) as engine:
        worker = Worker(engine, concurrency=1, each=1, limits={"slow": 1})
        flow = {**EACH, "TimeoutSeconds": 1}
        thread = threading.Thread(target=worker.run)
        thread.start()
        stopped = worker.submit(flow, list(range(10)), name="stopped")
        other = worker.submit(one("step:slow"), {}, name="other")
        assert stopped.result(PATIENCE).status == "TIMED_OUT"
        release.set()
        assert other.result(PATIENCE).status == "SUCCEEDED"
        worker.stop()
        thread.join(PATIENCE)


def test_a_time_out_fires_while_the_step_hangs_and_its_late_answer_is_ignored(tmp_path: Path) -> None:
    release = threading.Event()

    def work(payload: Any, ctx: Any) -> Any:
        release.wait(PATIENCE)
        return "late"

    with Engine(url(tmp_path), steps={"work": work}) as engine, working(engine) as worker:
        began = time.monotonic()
        outcome = worker.submit(one(TimeoutSeconds=1)).result(PATIENCE)
        assert (outcome.status, outcome.error) == ("FAILED", "States.Timeout")
        assert 0.9 < time.monotonic() - began < 5
        release.set()


def test_a_heartbeat_moves_the_time_out_on(tmp_path: Path) -> None:
    def work(payload: Any, ctx: Any) -> Any:
        for _ in range(8):
            time.sleep(0.2)
            ctx.heartbeat()
        return "alive"

    with Engine(url(tmp_path), steps={"work": work}) as engine, working(engine) as worker:
        assert worker.submit(one(HeartbeatSeconds=1)).result(PATIENCE).output == "alive"


def test_transactional_steps_are_in_the_batch_and_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    @step("work", transactional=True)
    def work(payload: Any, ctx: Any) -> Any:
        with ctx.transaction() as db:
            db.execute("INSERT INTO mine VALUES (?, ?)", (payload["n"], ctx.idempotency_key))
        if payload["n"] % 3 == 0:
            raise StepError("Third")
        return payload

    steps = registry(work)
    steps.hooks["open"].append(lambda host: _create_mine(host))
    with Engine(url(tmp_path), steps=steps) as engine:
        for number in range(30):
            engine.start(one(), {"n": number}, name=f"x{number}")
        Worker(engine).run_until_idle()
        with engine.host.transaction() as db:
            kept = db.execute("SELECT n FROM mine ORDER BY n").fetchall()
        assert [n for (n,) in kept] == [n for n in range(30) if n % 3]
        assert len(engine.list(status="FAILED")) == 10


def _create_mine(host: Any) -> None:
    with host.transaction() as db:
        db.execute("CREATE TABLE IF NOT EXISTS mine (n INTEGER, key TEXT UNIQUE)")


def test_parallel_transactional_steps_of_one_execution_go_one_after_the_other() -> None:
    @step("work", transactional=True)
    def work(payload: Any, ctx: Any) -> Any:
        with ctx.transaction() as db:
            db.execute("INSERT INTO mine VALUES (?, ?)", (payload, ctx.idempotency_key))
        return payload

    steps = registry(work)
    steps.hooks["open"].append(_create_mine)
    flow = {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": one(), "End": True}}}
    with Engine("memory:", steps=steps) as engine:
        engine.start(flow, [1, 2, 3], name="x")
        Worker(engine).run_until_idle()
        assert engine.describe("x")["output"] == [1, 2, 3]
        with engine.host.transaction() as db:
            assert db.execute("SELECT count(*) FROM mine").fetchone() == (3,)


def test_a_transactional_step_behind_another_step_is_made_at_once() -> None:
    @step("record", transactional=True)
    def record(payload: Any, ctx: Any) -> Any:
        return payload

    @step("work")
    def work(payload: Any, ctx: Any) -> Any:
        return payload

    flow = chain(1)
    flow["States"]["S0"] = {"Type": "Task", "Resource": "step:work", "Next": "T"}
    flow["States"]["T"] = {"Type": "Task", "Resource": "step:record", "End": True}
    with Engine("memory:", steps=registry(work, record), clock=VirtualClock(START)) as engine:
        engine.start(flow, name="x")
        assert Worker(engine).run_until_idle() == 1, "nothing else would ever wake the worker"


def test_a_step_may_write_to_the_database_beside_the_scheduler(tmp_path: Path) -> None:
    def work(payload: Any, ctx: Any) -> Any:
        with ctx.transaction() as db:
            db.execute("INSERT INTO mine VALUES (?, ?)", (payload["n"], ctx.idempotency_key))
        return payload

    steps = StepRegistry.of({"work": work})
    steps.hooks["open"].append(_create_mine)
    with Engine(url(tmp_path), steps=steps) as engine, working(engine) as worker:
        futures = [worker.submit(one(), {"n": number}) for number in range(30)]
        assert {future.result(PATIENCE).status for future in futures} == {"SUCCEEDED"}


def test_hooks_run_when_there_is_nothing_else_to_do() -> None:
    seen: list[str] = []
    steps = StepRegistry.of({"work": echo})
    steps.hooks["idle"].append(lambda host: seen.append("idle"))
    with Engine("memory:", steps=steps) as engine:
        engine.start(one(), name="x")
        Worker(engine).run_until_idle()
    assert seen


# -- signals -------------------------------------------------------------------------------------------------------


def test_callbacks_and_stops_reach_an_execution_that_a_worker_owns(tmp_path: Path) -> None:
    tokens, held = [], threading.Event()

    def ask(payload: Any, ctx: Any) -> Any:
        tokens.append(ctx.token)
        return None

    def hold(payload: Any, ctx: Any) -> Any:
        held.wait(PATIENCE)
        return None

    branches = [one("step:ask.waitForTaskToken"), {"StartAt": "U", "States": {"U": one("step:hold")["States"]["T"]}}]
    flow = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": branches, "End": True}}}
    steps = {"ask": ask, "hold": hold}
    here = url(tmp_path)
    with Engine(here, steps=steps) as front, Engine(here, steps=steps) as engine, working(engine) as worker:
        answered, stopped = worker.submit(flow, name="a"), worker.submit(flow, name="s")
        wait_until(lambda: len(tokens) == 2)
        wait_until(lambda: front.describe("a")["waiting"] and _submitted(front, "a"))
        assert front.send_task_success(next(t for t in tokens if t.startswith("a~")), "yes").status == "RUNNING"
        assert front.stop("s", error="Enough").error == "Enough"
        assert stopped.result(PATIENCE).status == "ABORTED"
        held.set()
        assert answered.result(PATIENCE).output == ["yes", None]


def test_a_parked_callback_is_taken_up_by_a_worker(tmp_path: Path) -> None:
    tokens = []
    steps = {"ask": lambda payload, ctx: tokens.append(ctx.token)}
    with Engine(url(tmp_path), steps=steps) as engine, working(engine) as worker:
        future = worker.submit(one("step:ask.waitForTaskToken"), name="a")
        wait_until(lambda: not worker._scheduler.held and tokens)
        with Engine(url(tmp_path), steps=steps) as front:
            front.send_task_success(tokens[0], 7)  # drives it on, if the worker was not faster
            wait_until(lambda: front.describe("a")["status"] != "RUNNING")
            assert front.describe("a")["output"] == 7
        assert not future.done() or future.result().output == 7


def _submitted(engine: Engine, name: str) -> bool:
    return any(event["type"] == "TaskSubmitted" for event in engine.history(name))


def wait_until(met: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < until
        time.sleep(0.005)


# -- trouble -------------------------------------------------------------------------------------------------------


def test_an_execution_whose_step_is_unknown_here_is_given_back(tmp_path: Path, caplog: Any) -> None:
    clock = VirtualClock(START)
    with Engine(url(tmp_path), steps={"work": echo, "other": echo}, clock=clock) as engine:
        engine.start(one("step:other"), name="x")
        engine.start(one(), name="y")
    with Engine(url(tmp_path), steps={"work": echo}, clock=clock) as engine:
        worker = Worker(engine)
        engine._store.enter(10.0)
        worker._scheduler.look_around(now=True)
        while worker._scheduler.busy:
            worker._scheduler.round(patient=False)
        assert engine.describe("y")["status"] == "SUCCEEDED"
        assert "execution x cannot go on here" in caplog.text
        assert worker._scheduler.held == {}
    with Engine(url(tmp_path), steps={"other": echo}, clock=clock) as engine:
        Worker(engine).run_until_idle()
        assert engine.describe("x")["status"] == "SUCCEEDED"


def test_a_store_that_does_not_answer_is_asked_again_and_nothing_is_lost(tmp_path: Path, caplog: Any) -> None:
    with Engine(url(tmp_path), steps={"work": echo}) as engine, working(engine) as worker:
        store, left = engine._store, [3]
        real = store.commit

        def commit(changes: Any) -> Any:
            left[0] -= 1
            if left[0] >= 0:
                raise StoreUnavailable("away")
            return real(changes)

        store.commit = commit  # type: ignore[method-assign]
        assert worker.submit(chain(3), {"n": 1}).result(PATIENCE).output == {"n": 1}
    assert caplog.text.count("the store does not answer") == 1
    assert caplog.text.count("the store is back") == 1


def test_a_worker_that_was_given_up_forgets_what_it_held_and_goes_on(tmp_path: Path, caplog: Any) -> None:
    gate, calls = threading.Event(), []

    def work(payload: Any, ctx: Any) -> Any:
        calls.append(ctx.attempt)
        gate.wait(PATIENCE)
        return ctx.attempt

    here, steps = url(tmp_path), {"work": work}
    with Engine(here, steps=steps) as engine, Engine(here, steps=steps) as other, working(engine) as worker:
        future = worker.submit(one(), name="x")
        wait_until(lambda: calls)
        with other._store.transaction() as db:  # as if its lease had ended
            db.execute("UPDATE owners SET lease_until = 0")
        assert other._store.beat() == 1
        wait_until(lambda: len(calls) == 2)
        gate.set()
        wait_until(lambda: other.describe("x")["status"] == "SUCCEEDED")
        assert future.exception(PATIENCE) is not None
    assert calls == [1, 2]
    assert "others have taken over" in caplog.text


def test_a_worker_that_finds_no_store_when_it_comes_back_tries_again(tmp_path: Path, caplog: Any) -> None:
    here, steps = url(tmp_path), {"work": echo}
    with Engine(here, steps=steps) as engine, Engine(here, steps=steps) as other:
        store: Any = engine._store
        enter, left = store.enter, [2]

        def fails_twice(lease: float) -> int:
            left[0] -= 1
            if left[0] >= 0:
                raise StoreUnavailable("away")
            return enter(lease)

        store.enter = fails_twice
        with working(engine) as worker:
            assert worker.submit(one(), 1, name="x").result(PATIENCE).output == 1
            left[0] = 2
            with other._store.transaction() as db:  # as if its lease had ended
                db.execute("UPDATE owners SET lease_until = 0")
            other._store.beat()
            wait_until(lambda: left[0] < 0)
            other.start(one(), 2, name="y")
            wait_until(lambda: other.describe("y")["status"] == "SUCCEEDED")
    assert "others have taken over" in caplog.text
    assert caplog.text.count("the store does not answer") == 2


def test_a_stopped_worker_lets_its_calls_end_and_gives_the_rest_back(tmp_path: Path) -> None:
    gate, inside = threading.Event(), threading.Event()

    def work(payload: Any, ctx: Any) -> Any:
        inside.set()
        gate.wait(PATIENCE)
        return payload

    with Engine(url(tmp_path), steps={"work": work}) as engine, working(engine) as worker:
        worker.submit(chain(2), name="x")
        assert inside.wait(PATIENCE)
        worker.stop(patience=PATIENCE)
        gate.set()
    with Engine(url(tmp_path), steps={"work": echo}) as engine:
        kinds = [event["type"] for event in engine.history("x")]
        assert kinds.count("TaskSucceeded") == 1, "the answer of the call that was out is kept"
        assert engine.resume("x").status == "SUCCEEDED"


@pytest.mark.parametrize("where", ["memory", "file"])
def test_an_engine_is_not_closed_under_a_worker_that_runs(tmp_path: Path, where: str) -> None:
    engine = Engine("memory:" if where == "memory" else url(tmp_path), steps={"work": echo})
    with working(engine) as worker:
        assert worker.submit(chain(2), {"n": 1}).result(PATIENCE).output == {"n": 1}
        with pytest.raises(WorkerRunning, match="call its `stop`"):
            engine.close()
        assert worker.submit(chain(2), {"n": 2}).result(PATIENCE).output == {"n": 2}, "nothing was closed"
    engine.close()


def test_what_cannot_be_written_holds_up_nobody_else(tmp_path: Path) -> None:
    def write(starts: Any, changes: Any) -> Any:
        check([start.decision for start in starts if start.decision.execution.input.get("poison")])
        check([change.decision for change in changes if change.decision.execution.input.get("late")])
        return real_write(starts, changes)

    def create(starts: Any) -> Any:
        check([start.decision for start in starts if start.decision.execution.input.get("poison")])
        return real_create(starts)

    def commit(changes: Any) -> Any:
        check([change.decision for change in changes if change.decision.execution.input.get("late")])
        return real_commit(changes)

    def check(decisions: Any) -> None:
        if any(decision.history for decision in decisions):
            raise ValueError("no database takes this")

    with Engine(url(tmp_path), steps={"work": echo}) as engine, working(engine) as worker:
        store: Any = engine._store
        real_write, real_create, real_commit = store.write, store.create, store.commit
        store.write, store.create, store.commit = write, create, commit
        good = [worker.submit(chain(3), {"n": number}) for number in range(20)]
        bad = worker.submit(chain(3), {"poison": True})
        late = worker.submit(chain(3), {"late": True}, name="late")
        good += [worker.submit(chain(3), {"n": number}) for number in range(20)]
        assert {future.result(PATIENCE).status for future in good} == {"SUCCEEDED"}
        assert isinstance(bad.exception(PATIENCE), ValueError)
        wait_until(lambda: not worker._scheduler.held)
        assert not late.done()
        assert engine._store.load("late").execution.status == "RUNNING"


def test_what_happens_while_a_batch_is_written_is_decided_afterwards(tmp_path: Path) -> None:
    """The store says that its commits are a server's work: half of the executions are decided while the others fly."""
    with Engine(url(tmp_path), steps={"work": echo}) as engine:
        engine._store.apart = True
        flown: list[int] = []
        write = engine._store.write

        def slow(starts: Any, changes: Any) -> Any:
            if threading.current_thread().name == "writer":
                flown.append(len(changes))
                time.sleep(0.002)
            return write(starts, changes)

        engine._store.write = slow  # type: ignore[method-assign]
        both = {"Type": "Parallel", "Branches": [chain(3, "A"), chain(2, "B"), chain(4, "C")], "End": True}
        flow = {"StartAt": "P", "States": {"P": both}}
        with working(engine) as worker:
            futures = [worker.submit(flow, {"n": number}) for number in range(40)]
            outcomes = [future.result(PATIENCE) for future in futures]
        assert [outcome.output for outcome in outcomes] == [[{"n": number}] * 3 for number in range(40)]
        assert flown, "some batches were written beside the scheduler"
        events = [event["id"] for event in outcomes[7].history]
        assert events == list(range(1, len(events) + 1))
