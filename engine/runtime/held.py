"""An execution in a worker's hands, and the alarm clock for all of them."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final

from engine.core.advance import Advance
from engine.core.decide import decide, handle
from engine.core.events import (
    CallsReturned,
    DeadlineReached,
    Decision,
    Event,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TimerFired,
)
from engine.core.execution import RUNNING, SUCCEEDED, TASK, Execution
from engine.errors import LeaseLost
from engine.machine import StateMachine
from engine.runtime.context import logger
from engine.runtime.pausing import Happening, PauseAsked, parked
from engine.runtime.simulate import Outcome
from engine.stores import KEEP, Change
from engine.telemetry import Past, telemetry

PARK_SECONDS: Final = 5.0
"""An execution that has to wait for longer is given back: it costs a row and no memory."""


class Held:
    """One execution that a worker owns.

    `advance` is the working state of what has been decided since the last commit, and `fed` what has happened since;
    `calls` the tokens of the calls that are out or about to be made; `timers` a heap of moments and tokens ("" is the
    execution's own deadline); `alarm` when the worker is to look at them; `later` what happens to it while a batch with
    it is being written (None: none is); `out` how many calls are out, `queued` those that wait until fewer are; `aside`
    says until when it is to be left alone, since it cannot go on here, and `unmade` are the calls that had not begun by
    then; `pausing`: no call is made any more, and when none is out it is given back; `follower` is told of the end, and
    will want to see the `history`.
    """

    __slots__ = (
        "advance",
        "alarm",
        "aside",
        "calls",
        "execution",
        "fed",
        "follower",
        "history",
        "key",
        "later",
        "machine",
        "out",
        "pausing",
        "queued",
        "signals",
        "timers",
        "unmade",
        "version",
    )

    machine: StateMachine

    def __init__(self, key: int, execution: Execution, version: int) -> None:
        self.key = key
        self.execution = execution
        self.version = version
        self.advance: Advance | None = None
        self.fed: list[Happening] = []
        self.calls: set[str] = set()
        self.signals: list[int] = []
        self.timers: list[tuple[float, str]] = []
        self.alarm: float | None = None
        self.later: list[Happening] | None = None
        self.out = 0
        self.queued: deque[ScheduleTask] | None = None
        self.aside: float | None = None
        self.unmade: list[str] = []
        self.pausing = False
        self.follower: Future[Outcome] | None = None
        self.history: list[HistoryEvent] | None = None
        if execution.deadline is not None:
            self.timers.append((execution.deadline, ""))

    def feed(self, event: Happening) -> None:
        """Let an event happen in the working state."""
        if self.aside is not None:
            return
        if isinstance(event, PauseAsked):
            self.pausing = True
            self.advance = self.advance or self.open(event.time)
        else:
            handle(self.advance or self.open(event.time), event)
        self.fed.append(event)

    def rewind(self, count: int) -> None:
        """Forget all that has happened since the last commit but the first so many."""
        kept, self.advance, self.fed = self.fed[:count], None, []
        for event in kept:
            self.feed(event)

    def open(self, now: float) -> Advance:
        """The working state, as after the last commit."""
        self.advance = Advance(self.machine, self.execution.copy(), now)
        return self.advance

    def waits_for(self, command: ScheduleTask) -> bool:
        """Whether that call is still wanted."""
        frame = self.execution.frames.get(command.path)
        return frame is not None and frame.wait == TASK and command.token == f"{frame.path}#{frame.token}"

    def change(self, now: float) -> Change:
        """What has been decided since the last commit, to be written."""
        if self.aside is not None:
            nothing = Decision(self.execution, {}, [], [])
            back = decide(self.machine, self.execution, CallsReturned(self.unmade, now)) if self.unmade else nothing
            return Change(self.key, self.version, back, self.aside)
        assert self.advance is not None
        decision = self.advance.decision()
        wakes = self._wakes(decision, now)
        standing = None if wakes == KEEP else parked(decision)
        return Change(self.key, self.version, decision, wakes, self.signals, standing)

    def _wakes(self, decision: Decision, now: float) -> float | None:
        """KEEP, or when the execution is to be taken up again if nothing is to be done for long."""
        if self.calls or decision.execution.status != RUNNING:
            return KEEP
        moments = [self.timers[0][0]] if self.timers else []
        if decision.execution.deadline is not None:
            moments.append(decision.execution.deadline)
        for command in decision.commands:
            if isinstance(command, ScheduleTask):
                return KEEP
            if isinstance(command, StartTimer):
                moments.append(command.due)
        due = min(moments, default=None)
        if self.pausing:
            return 0.0  # to be taken up as soon as it is no longer paused
        return KEEP if due is not None and due < now + PARK_SECONDS else due

    def may_park(self, now: float) -> bool:
        """Whether no timer is due soon."""
        return self.pausing or not self.timers or self.timers[0][0] >= now + PARK_SECONDS

    @property
    def stirs(self) -> bool:
        """Whether what was just written may have started, stopped or woken other executions."""
        execution = self.execution
        ended = execution.status != RUNNING
        return execution.spreads or (ended and (execution.parent is not None or bool(execution.pins)))

    def finish(self) -> None:
        """It is over, durably: tell so, and whoever follows it."""
        tell_end(self.execution)
        if self.follower is not None:
            events = self.history or []
            self.follower.set_result(Outcome(self.execution, lambda: events))

    def lose(self) -> None:
        """Others have it: tell whoever follows it."""
        name = self.execution.name
        logger.warning("execution %s has been taken over by another process", name)
        if self.follower is not None:
            self.follower.set_exception(LeaseLost(f"execution {name!r} goes on in another process: engine show {name}"))

    def written(self, decision: Decision) -> None:
        """The decision is durable."""
        self.version += 1
        before, self.execution = self.execution.deadline, decision.apply()
        if self.execution.deadline is not None and self.execution.deadline != before:
            self.set_timer(self.execution.deadline, "")  # a child of a map run has begun
        self.advance, self.fed = None, []
        if self.signals:
            self.signals = []
        if self.history is not None:
            self.history += decision.history

    def set_timer(self, due: float, token: str) -> None:
        heapq.heappush(self.timers, (due, token))

    def drop_timer(self, token: str) -> None:
        """Forget when that call times out."""
        self.timers = [timer for timer in self.timers if timer[1] != token]
        heapq.heapify(self.timers)

    def ring(self, now: float) -> Iterator[Event]:
        """The events of the timers that are due. Each is to be fed before the next is asked for."""
        while self.timers and self.timers[0][0] <= now:
            moment, token = heapq.heappop(self.timers)
            if not token:
                yield DeadlineReached(max(moment, now))
                continue
            yield TimerFired(token, max(moment, now))
            # A heartbeat has moved the time-out on: ask again then.
            frame = (self.advance or self.open(now)).frame(token.partition("#")[0])
            if (
                frame is not None
                and frame.wait == TASK
                and token.endswith(f"#{frame.token}")
                and frame.wakes is not None
            ):
                self.set_timer(frame.wakes, token)


class Alarms:
    """When which execution has something due. Looks at each only when its time has come."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []

    def set(self, held: Held) -> None:
        """See that the worker looks at this one when its first timer is due."""
        if not held.timers:
            return
        due = held.timers[0][0]
        if held.alarm is None or due < held.alarm:
            held.alarm = due
            heapq.heappush(self._heap, (due, held.key))

    def next(self) -> float | None:
        """When the next alarm goes off."""
        return self._heap[0][0] if self._heap else None

    def ring(self, now: float, everyone: dict[int, Held]) -> list[Held]:
        """Those that have something due now. Forgotten alarms (of what has ended, or was put earlier) are dropped."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            moment, key = heapq.heappop(self._heap)
            held = everyone.get(key)
            if held is not None and held.alarm == moment:
                held.alarm = None
                due.append(held)
        if len(self._heap) > 2 * len(everyone) + 1000:
            self._heap = [(held.alarm, held.key) for held in everyone.values() if held.alarm is not None]
            heapq.heapify(self._heap)
        return due

    def clear(self) -> None:
        """Forget all."""
        self._heap.clear()


def tell_end(execution: Execution) -> None:
    """It is over, durably."""
    if telemetry.active:
        flow = execution.machine_id
        telemetry.count("engine_executions", flow=flow, status=execution.status)
        ended = execution.started if execution.stopped is None else execution.stopped
        error = None if execution.status == SUCCEEDED else execution.error or execution.status
        past = Past(f"flow {flow}", execution.started, ended, execution.name, whole=True, error=error)
        telemetry.lasted(past, status=execution.status)


def tell_lag(execution: Execution, now: float) -> None:
    """A worker takes it up: tell how long it has been due, since its first timer or since it began."""
    if telemetry.active:
        moments = [frame.wakes for frame in execution.frames.values() if frame.wakes is not None]
        telemetry.time("engine_lag_seconds", max(0.0, now - min(moments, default=execution.started)))
