"""One execution that this process runs by itself, durably; `engine.runtime.family` goes round.

Every decision is committed before anything follows from it. A plain step is called right here; one with a time-out,
an `async def`, or one beside others runs in a thread of its own, so that the time-out can fire. A transactional step
runs inside the very transaction that records its result.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from engine.core.decide import decide
from engine.core.events import (
    CallsReturned,
    DeadlineReached,
    Decision,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TaskHeartbeat,
    TimerFired,
)
from engine.core.execution import RUNNING, TASK
from engine.errors import EngineError, LeaseLost, UnknownStep, UnsupportedResource
from engine.machine import StateMachine
from engine.runtime.calls import Declined, invoke, invoke_keeping
from engine.runtime.context import CallContext, EngineHost
from engine.runtime.held import tell_end
from engine.runtime.kinship import child_of, write
from engine.runtime.machines import opening
from engine.runtime.pausing import Happening, PauseAsked, held_back, parked
from engine.step import Step
from engine.stores import KEEP, Change, Stored
from engine.tasks import Resources

Inbox: TypeAlias = "queue.SimpleQueue[Any]"
Observer = Callable[[list[HistoryEvent]], None]


class InlineRun:
    """The driver of one execution that this process owns. `history`: the events that it has made durable; `children`:
    the executions that it has come to wait for; `inbox`: where what comes of calls in threads goes, and of whom."""

    def __init__(
        self,
        host: EngineHost,
        resources: Resources,
        machine: StateMachine,
        stored: Stored,
        observer: Observer | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self.host = host
        self.aside = host.beside()
        self.resources = resources
        self.schemas = resources.steps.schemas
        self.machine = machine
        self.key = stored.key
        self.execution = stored.execution
        self.version = stored.version
        self.observer = observer
        self.history: list[HistoryEvent] = []
        self.calls: list[ScheduleTask] = []
        self.out: dict[str, ScheduleTask] = {}
        self.timers: list[tuple[float, str]] = []
        self.inbox: Inbox = inbox or queue.SimpleQueue()
        self.children = [child for frame in self.execution.frames.values() if (child := child_of(frame))]
        self.pausing = False
        self.rested = False
        if self.execution.deadline is not None:
            self.timers.append((self.execution.deadline, ""))

    def release(self, wakes: float | None) -> None:
        """Give the execution back as it is. Of calls that have not begun it is written down that they have not."""
        unmade = CallsReturned([command.token for command in self.calls], self.host.clock.now())
        decision = decide(self.machine, self.execution, unmade)
        self.commit(decision, wakes, standing=parked(decision))
        self.execution = decision.apply()
        self.calls.clear()

    # -- decisions -------------------------------------------------------------------------------------------------

    def feed(self, event: Happening, signals: Sequence[int] = ()) -> None:
        """Decide, commit, and carry out."""
        if isinstance(event, PauseAsked):
            self.pausing = True
            self.commit(Decision(self.execution, {}, [], []), KEEP, signals)
            return
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
        decision = decide(self.machine, self.execution, opening(self.execution, self.host.clock.now()))
        if decision.history or (before and decision.frames):
            self.commit(decision, KEEP)
        self.carry_out(decision)

    def commit(
        self, decision: Decision, wakes: float | None, signals: Sequence[int] = (), standing: str | None = None
    ) -> None:
        """Make a decision durable. Raises LeaseLost."""
        change = Change(self.key, self.version, decision, wakes, signals, standing)
        if write(self.host.store, [], [(self.execution, change)])[1]:
            raise LeaseLost(f"another process has taken over execution {self.execution.name!r}; nothing was written")
        self.version += 1

    def carry_out(self, decision: Decision) -> None:
        """The decision is durable: take it over and do what it asks for."""
        self.rested = False
        before, self.execution = self.execution.deadline, decision.apply()
        if self.execution.deadline is not None and self.execution.deadline != before:
            heapq.heappush(self.timers, (self.execution.deadline, ""))  # a child of a map run has begun
        self.history += decision.history
        if self.execution.status != RUNNING:
            tell_end(self.execution)
        self.children += [child for frame in decision.frames.values() if frame and (child := child_of(frame))]
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
        """Make one call, here or in a thread, unless it is to be held back."""
        if self.pausing or (self.host.pauses and self.host.pauses.hold(command)):
            self.timers = [timer for timer in self.timers if timer[1] != command.token]
            heapq.heapify(self.timers)
            self.feed(held_back(command, self.host.clock.now()))
            return
        try:
            step = self.resources.step(command.resource)
        except (UnknownStep, UnsupportedResource):
            self.calls.insert(0, command)  # it has not begun
            raise
        if step.transactional:
            self.make_transactional(step, command, self.context(self.host, command))
        elif step.is_async or command.due is not None or command.beat is not None or self.calls or self.out:
            self.out[command.token] = command
            # A thread beside this one must not meet it in the store's own transaction.
            context = self.context(self.aside, command)
            threading.Thread(target=self.work, args=(step, command, context), daemon=True).start()
        else:
            try:
                events = invoke(step, command, self.context(self.host, command), self.schemas)
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
                (event,) = invoke_keeping(step, command, context, self.schemas)
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
            events: list[Any] = invoke(step, command, context, self.schemas)
        except Declined as failure:
            events = [failure.event]
        except EngineError as problem:
            events = [problem]
        for event in events:
            self.inbox.put((self, command.token, event))

    def beat(self, token: str) -> None:
        """A step says that its work goes on."""
        self.inbox.put((self, token, TaskHeartbeat(token, self.host.clock.now())))

    def receive(self, token: str, event: Any) -> None:
        """An event from a thread. An engine error there is one here."""
        if isinstance(event, EngineError):
            raise event
        if not isinstance(event, TaskHeartbeat):
            self.out.pop(token, None)
        self.feed(event)
