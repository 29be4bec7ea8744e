"""What a worker writes after it was given up for dead comes too late, and whoever has taken over gets on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from engine import Engine, StepError
from engine.runtime import children
from engine.stores import Claimed, Store
from engine.values import JSON
from tests.runtime.test_worker import PATIENCE, wait_until, working

Flow = dict[str, Any]


class Stalled:
    """A store whose next write stands still from the moment that it is armed, until it may go on."""

    def __init__(self, store: Store) -> None:
        self.armed, self.reached, self.gate = False, threading.Event(), threading.Event()
        self._write = store.write
        store.write = self.write  # type: ignore[method-assign]

    def write(self, starts: Any, changes: Any) -> Any:
        if self.armed and changes:
            self.armed = False
            self.reached.set()
            assert self.gate.wait(PATIENCE)
        return self._write(starts, changes)


class Work:
    """A step whose calls stand still, each until it is told what to do."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.orders: list[Callable[[], JSON]] = []
        self.told: list[threading.Event] = [threading.Event(), threading.Event()]

    def __call__(self, payload: JSON, ctx: Any) -> JSON:
        self.calls.append(ctx)
        number = len(self.calls) - 1
        assert self.told[number].wait(PATIENCE)
        return self.orders[number]()

    def tell(self, order: Callable[[], JSON]) -> None:
        """What the next call that stands still is to do."""
        self.orders.append(order)
        self.told[len(self.orders) - 1].set()


def fails() -> JSON:
    raise StepError("Late")


@contextmanager
def three(url: str, **steps: Callable[..., Any]) -> Iterator[tuple[Engine, Engine, Engine]]:
    """The engine that is given up, the one that takes over, and one to start and ask with: threads share none."""
    with Engine(url, steps=steps) as lost, Engine(url, steps=steps) as other, Engine(url, steps=steps) as third:
        yield lost, other, third


def bury(lost: Engine, third: Engine) -> None:
    """As if the lease of that engine had ended, and the other one had seen it."""
    with third.host.transaction() as db:
        db.execute("UPDATE owners SET lease_until = 0 WHERE id = ?", (lost._store.owner,))
    assert third._store.beat() >= 1


def task(resource: str = "step:work", **fields: JSON) -> Flow:
    return {"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": resource, "End": True, **fields}}}


@pytest.mark.parametrize("late", ["result", "failure", "heartbeat", "receipt", "callback"])
def test_it_is_not_written_and_the_new_owner_gets_on(shared_url: str, late: str) -> None:
    work = Work()
    asks = late in ("receipt", "callback")
    flow = task("step:work.waitForTaskToken") if asks else task(HeartbeatSeconds=60)
    with three(shared_url, work=work) as (lost, other, third):
        stalled = Stalled(lost._store)
        with working(lost) as zombie:
            third.start(flow, name="x")
            wait_until(lambda: work.calls)
            stalled.armed = True
            if late == "heartbeat":
                work.calls[0].heartbeat()
            elif late == "callback":
                third.send_task_success(work.calls[0].token, "told", drive=False)
            else:
                work.tell(fails if late == "failure" else lambda: "late")
            assert stalled.reached.wait(PATIENCE)
            bury(lost, third)
            with working(other):
                if late != "callback":
                    wait_until(lambda: len(work.calls) == 2)
                stalled.gate.set()
                wait_until(lambda: not zombie._scheduler.held)
                for _ in range(2 - len(work.orders)):
                    work.tell(lambda: "new")
                if late == "receipt":
                    third.send_task_success(work.calls[1].token, "new", drive=False)
                wait_until(lambda: third.describe("x")["status"] == "SUCCEEDED")
                assert third.describe("x")["output"] == ("told" if late == "callback" else "new")
        kinds = Counter(event["type"] for event in third.history("x"))
        assert max(kinds.values()) == 1, "nothing has happened twice"
        assert "TaskFailed" not in kinds
        with third.host.transaction() as db:
            assert db.execute("SELECT count(*) FROM signals").fetchall() == [(0,)]


def test_late_children_of_a_map_run_are_not_made_of_an_older_definition(
    shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late worker, which hears nothing of it, is about to write the second batch of children when the parent is
    stopped, and redriven with a newer definition: the new owner is about to do the same then."""
    batch: Any = children._Maker.seeds
    late: Any = children._Children._create
    done: list[int] = []
    reached, gates = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]
    seen: list[int] = []

    def seeds(self: Any, first: int) -> Any:
        if first:
            seen.append(first)
            reached[len(seen) - 1].set()
            assert gates[len(seen) - 1].wait(PATIENCE)
        return batch(self, first)

    def flow(result: str) -> Flow:
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        states = {"P": {"Type": "Pass", "Result": result, "End": True}}
        processor = {"ProcessorConfig": config, "StartAt": "P", "States": states}
        return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}}

    def create(self: Any, maker: Any, run: Any, ctx: Any) -> Any:
        found = late(self, maker, run, ctx)
        done.append(run.created)
        return found

    monkeypatch.setattr(children._Maker, "seeds", seeds)
    monkeypatch.setattr(children._Children, "_create", create)
    monkeypatch.setattr("engine.runtime.children.BATCH", 1)
    with three(shared_url) as (lost, other, third), working(lost):
        third.start(flow("older"), [1, 2], name="p")
        assert reached[0].wait(PATIENCE)
        lost._store.beat = lambda: 0  # type: ignore[method-assign]
        lost._store.claim = lambda now, limit: Claimed([], None)  # type: ignore[method-assign]
        bury(lost, third)
        third.stop("p")
        third.redrive("p", flow=flow("newer"))
        with working(other):
            assert reached[1].wait(PATIENCE)
            gates[0].set()
            wait_until(lambda: 1 in done)
            gates[1].set()
            wait_until(lambda: third.describe("p")["status"] == "SUCCEEDED")
            assert third.describe("p")["output"][1] == "newer"
