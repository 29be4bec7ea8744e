"""Executions that start others: starting them, telling the parent of a child's end, stopping children without a parent.

What is told goes through the store as a signal, in the very transaction that makes it true.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.events import Decision, ExecutionStopped
from engine.core.execution import RUNNING, TASK, Execution, Frame
from engine.errors import EngineError, ExecutionAlreadyExists
from engine.runtime import children
from engine.runtime.clock import Clock
from engine.runtime.machines import Machines, begin
from engine.runtime.signals import signal_of
from engine.stores import Begun, Change, Start, Store
from engine.tasks import flows
from engine.values import JSON

Message = tuple[str, dict[str, JSON]]
ORPHANED = "the execution that had started it has ended"


def news(before: Execution, decision: Decision) -> list[Message]:
    """What others are to be told of a decision: the parent of the end, a child that nobody waits for any more."""
    execution, found = decision.execution, list[Message]()
    if execution.status != RUNNING and execution.parent is not None:
        event = flows.answer(execution)
        if event is not None:
            found.append((execution.parent["name"], signal_of(event)))
    # Of one that has ended, also the frames that stay as they were: they are kept to be redriven.
    paths = before.frames if execution.status != RUNNING else decision.frames
    for path in paths:
        waited = before.frames.get(path)
        child = child_of(waited) if waited is not None else None
        now = decision.frames.get(path, waited)
        if child is not None and (now is None or child_of(now) != child or execution.status != RUNNING):
            found.append((child, signal_of(ExecutionStopped(0.0, None, ORPHANED))))
    return found


def child_of(frame: Frame) -> str | None:
    """The execution that a frame has started and waits for."""
    child = frame.call.get("submitted") if frame.wait == TASK else None
    return child if isinstance(child, str) else None


def write(
    store: Store, starts: Sequence[Start], made: Sequence[tuple[Execution, Change]]
) -> tuple[Sequence[Begun], frozenset[int]]:
    """`Store.write`, and in the same transaction the news of it. Each change comes with the execution before it."""
    if not starts and not made:
        return (), frozenset()
    changes = [change for _, change in made]
    tidings = {change.key: messages for before, change in made if (messages := news(before, change.decision))}
    runs = [(before, change) for before, change in made if children.concerns(before, change)]
    if not tidings and not runs:
        return store.write(starts, changes)
    with store.transaction() as db:
        begun, lost = store.write(starts, changes)
        children.settle(store, db, [(before, change) for before, change in runs if change.key not in lost])
        store.tell([message for key, messages in tidings.items() if key not in lost for message in messages])
    return begun, lost


class Starter:
    """Starts the flows that other executions name. See `engine.tasks.flows.Starter`."""

    def __init__(self, store: Store, machines: Machines, clock: Clock, history_limit: int) -> None:
        self.store = store
        self.machines = machines
        self.clock = clock
        self.history_limit = history_limit

    def start(self, parent: Execution, flow: str, input: JSON, name: str, link: dict[str, JSON]) -> Execution:
        if flow not in parent.pins:
            raise EngineError(f"there is no flow {flow!r}: no such file lay beside the running one when it was started")
        digest = parent.pins[flow]
        machine = self.machines.of(digest)
        decision = begin(
            machine,
            input,
            name,
            self.clock.now(),
            runs=0,
            limit=self.history_limit,
            parent=link,
            pins=parent.pins,
            apart=True,
        )
        child = decision.execution
        with self.store.transaction():
            (begun,) = self.store.create([Start(decision, child.machine_id, digest, owned=False)])
            if begun.key is not None:
                self.store.tell(news(child, decision))
            elif not begun.same:
                raise ExecutionAlreadyExists(f"execution {name!r} exists with another input")
        return child if begun.key is not None else self.store.load(name).execution
