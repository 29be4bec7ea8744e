"""Run one execution to its end in this process, durably.

Every decision is committed before anything follows from it. A plain step is called right here; one with a time-out,
an `async def`, or one beside others runs in a thread of its own, so that the time-out can fire. A transactional step
runs inside the very transaction that records its result.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from engine.core.decide import decide
from engine.core.events import (
    DeadlineReached,
    Decision,
    Event,
    ExecutionResumed,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TaskHeartbeat,
    TimerFired,
)
from engine.core.execution import RUNNING, TASK, Execution
from engine.errors import EngineError, LeaseLost
from engine.machine import StateMachine
from engine.runtime.calls import Declined, invoke
from engine.runtime.context import CallContext, EngineHost, logger
from engine.runtime.signals import event_of
from engine.step import Step, StepRegistry
from engine.stores import KEEP, Change, Stored
from engine.telemetry import telemetry

Observer = Callable[[list[HistoryEvent]], None]
LOOK_AROUND = 0.05
"""Seconds between two looks at what others want."""


class InlineRun:
    """The driver of one execution that this process owns. `history`: the events that it has made durable."""

    def __init__(
        self, host: EngineHost, steps: StepRegistry, machine: StateMachine, stored: Stored, observer: Observer | None
    ) -> None:
        self.host = host
        self.aside = host.beside()
        self.steps = steps
        self.machine = machine
        self.key = stored.key
        self.execution = stored.execution
        self.version = stored.version
        self.observer = observer
        self.history: list[HistoryEvent] = []
        self.calls: list[ScheduleTask] = []
        self.out: dict[str, ScheduleTask] = {}
        self.timers: list[tuple[float, str]] = []
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.rested = False
        self.looked = 0.0
        if self.execution.deadline is not None:
            self.timers.append((self.execution.deadline, ""))

    def run(self) -> Execution:
        """Drive the execution until it ends, or until only a callback from outside can move it on."""
        while self.execution.status == RUNNING:
            if time.monotonic() > self.looked + LOOK_AROUND:
                self.look_around()
            elif self.calls:
                self.make(self.calls.pop(0))
            elif self.timers or self.out:
                self.wait()
            else:
                self.release(None)
                break
        self.rest()
        return self.execution

    def wait(self) -> None:
        """Until something arrives, the first timer is due, or it is time to look around."""
        due = self.timers[0][0] if self.timers else None
        if due is None or due > self.host.clock.now():
            self.rest()
        arrived = self.host.clock.wait(self.inbox, due, working=bool(self.out))
        if arrived is not None:
            self.receive(arrived)
        elif due is not None and due <= self.host.clock.now():
            self.fire()

    def look_around(self) -> None:
        """Others may have left signals: callbacks, or that the execution is to stop."""
        self.looked = time.monotonic()
        if not self.host.store.changed():
            return
        for signal in self.host.store.signals():
            if signal.key == self.key and self.execution.status == RUNNING:
                self.feed(event_of(signal.event, self.host.clock.now()), (signal.id,))

    def release(self, wakes: float | None) -> None:
        """Give the execution back as it is."""
        self.commit(Decision(self.execution, {}, [], []), wakes)

    def rest(self) -> None:
        """Let the hooks work, once after each thing that happened."""
        if not self.rested:
            self.rested = True
            self.idle()

    def idle(self) -> None:
        """Nothing to do for now: let the hooks of the steps package work, such as a relay."""
        for hook in self.steps.hooks["idle"]:
            try:
                hook(self.host)
            except Exception as problem:
                logger.warning("hook %s failed: %s", hook.__name__, problem)

    # -- decisions -------------------------------------------------------------------------------------------------

    def feed(self, event: Event, signals: Sequence[int] = ()) -> None:
        """Decide, commit, and carry out."""
        decision = decide(self.machine, self.execution, event)
        if decision.history or decision.frames or decision.commands or signals:
            self.commit(decision, KEEP, signals)
        self.carry_out(decision)

    def resume(self) -> None:
        """Ask again for everything that is waited for. A call that may have been made before is counted durably first;
        nothing else changes."""
        if self.observer is not None:
            self.observer([])
        before = self.execution.runs
        decision = decide(self.machine, self.execution, ExecutionResumed(self.host.clock.now()))
        if before and decision.frames:
            self.commit(decision, KEEP)
        self.carry_out(decision)

    def commit(self, decision: Decision, wakes: float | None, signals: Sequence[int] = ()) -> None:
        """Make a decision durable. Raises LeaseLost."""
        if self.host.store.commit([Change(self.key, self.version, decision, wakes, signals)]):
            raise LeaseLost(f"another process has taken over execution {self.execution.name!r}; nothing was written")
        self.version += 1

    def carry_out(self, decision: Decision) -> None:
        """The decision is durable: take it over and do what it asks for."""
        self.rested = False
        self.execution = decision.apply()
        self.history += decision.history
        if self.execution.status != RUNNING:
            telemetry.count("engine_executions", flow=self.execution.machine_id, status=self.execution.status)
        if self.observer is not None and decision.history:
            self.observer(decision.history)
        for command in decision.commands:
            if isinstance(command, ScheduleTask):
                self.calls.append(command)
                limits = [limit for limit in (command.due, command.beat) if limit is not None]
                if limits:
                    heapq.heappush(self.timers, (min(limits), command.token))
            elif isinstance(command, StartTimer):
                heapq.heappush(self.timers, (command.due, command.token))

    def fire(self) -> None:
        """The first timer is due."""
        due, token = heapq.heappop(self.timers)
        now = max(due, self.host.clock.now())
        if not token:
            self.feed(DeadlineReached(now))
            return
        self.feed(TimerFired(token, now))
        frame = self.execution.frames.get(token.partition("#")[0])
        # A heartbeat has moved the time-out on: ask again then.
        if frame is not None and frame.wait == TASK and token.endswith(f"#{frame.token}") and frame.wakes is not None:
            heapq.heappush(self.timers, (frame.wakes, token))

    # -- calls -----------------------------------------------------------------------------------------------------

    def make(self, command: ScheduleTask) -> None:
        """Make one call, here or in a thread."""
        step = self.steps.get(command.resource.name)
        if step.transactional:
            self.make_transactional(step, command, self.context(self.host, command))
        elif step.is_async or command.due is not None or command.beat is not None or self.calls or self.out:
            self.out[command.token] = command
            # A thread beside this one must not meet it in the store's own transaction.
            context = self.context(self.aside, command)
            threading.Thread(target=self.work, args=(step, command, context), daemon=True).start()
        else:
            try:
                events = invoke(step, command, self.context(self.host, command), self.steps.schemas)
            except Declined as failure:
                events = [failure.event]
            for event in events:
                self.feed(event)

    def context(self, host: EngineHost, command: ScheduleTask) -> CallContext:
        """What the step of a call gets to know."""
        return CallContext(host, self.execution, command, self.beat)

    def make_transactional(self, step: Step, command: ScheduleTask, context: CallContext) -> None:
        """The step's writes, its result and what follows from it become durable in one commit, or none of them."""
        version = self.version
        try:
            with self.host.store.transaction():
                (event,) = invoke(step, command, context, self.steps.schemas)
                decision = decide(self.machine, self.execution, event)
                self.commit(decision, KEEP)
        except Declined as failure:
            self.feed(failure.event)
        except BaseException:
            self.version = version
            raise
        else:
            self.carry_out(decision)

    def work(self, step: Step, command: ScheduleTask, context: CallContext) -> None:
        """In a thread of its own: make the call and send its events home."""
        try:
            events: list[Any] = invoke(step, command, context, self.steps.schemas)
        except Declined as failure:
            events = [failure.event]
        except EngineError as problem:
            events = [problem]
        for event in events:
            self.inbox.put((command.token, event))

    def beat(self, token: str) -> None:
        """A step says that its work goes on."""
        self.inbox.put((token, TaskHeartbeat(token, self.host.clock.now())))

    def receive(self, arrived: tuple[str, Any]) -> None:
        """An event from a thread. An engine error there is one here."""
        token, event = arrived
        if isinstance(event, EngineError):
            raise event
        if not isinstance(event, TaskHeartbeat):
            self.out.pop(token, None)
        self.feed(event)
