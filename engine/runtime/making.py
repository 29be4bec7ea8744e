"""Making the calls of a worker: here, in a thread, on the event loop, or inside the transaction of a batch."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from engine.core.events import Event, ScheduleTask, TaskHeartbeat
from engine.errors import EngineError, UnknownStep, UnsupportedResource
from engine.runtime.calls import Declined, invoke, invoke_async
from engine.runtime.context import CallContext, EngineHost
from engine.runtime.held import Held
from engine.runtime.pausing import held_back
from engine.runtime.pool import Pace, Pool
from engine.step import Step
from engine.tasks import Resources

HERE_SECONDS: Final = 0.02
"""Longest that calls in the scheduler's thread may hold up the next commit."""


class Replaced(Exception):
    """This thread was the scheduler when it began a call; the call was slow, and another thread is by now."""


class Turn:
    """Which thread is the scheduler. It loses its turn when one call in it takes too long."""

    __slots__ = ("_guard", "number", "since")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.number = 0
        self.since: float | None = None

    def keep(self, number: int) -> bool:
        """The call is over: whether it is still this thread's turn."""
        with self._guard:
            self.since = None if self.number == number else self.since
            return self.number == number

    def pass_on(self) -> bool:
        """Take the turn from a thread whose call takes too long; False when none does."""
        with self._guard:
            if self.since is None or time.perf_counter() - self.since < HERE_SECONDS:
                return False
            self.number += 1
            self.since = None
            return True


class Calls:
    """The calls that are to be made and those that are out. `within`: those that belong into the next transaction."""

    def __init__(self, host: EngineHost, resources: Resources, pool: Pool, inbox: queue.SimpleQueue[Any]) -> None:
        self.host = host
        self.aside = host.beside()
        self.resources = resources
        self.schemas = resources.steps.schemas
        self.pool = pool
        self.inbox = inbox
        self.turn = Turn()
        self.ready: deque[tuple[Held, ScheduleTask]] = deque()
        self.within: deque[tuple[Held, ScheduleTask]] = deque()

    def clear(self) -> None:
        """Forget the calls that have not been made."""
        self.ready.clear()
        self.within.clear()
        for pace in self.pool.paces.values():
            pace.waiting.clear()

    def make(self, receive: Callable[[Held, str, list[Any]], None], most: int) -> None:
        """Make what is ready, not more than `most`. Raises Replaced."""
        until = time.perf_counter() + HERE_SECONDS
        for _ in range(min(most, len(self.ready))):
            held, command = self.ready.popleft()
            if not held.waits_for(command):
                receive(held, command.token, [])
                continue
            if held.pausing or (self.host.pauses and self.host.pauses.hold(command)):
                held.drop_timer(command.token)
                receive(held, command.token, [held_back(command, self.host.clock.now())])
                continue
            try:
                step = self.resources.step(command.resource)
            except (UnknownStep, UnsupportedResource) as problem:
                receive(held, command.token, [problem])
                continue
            if step.transactional:
                self.within.append((held, command))
                continue
            pace = self.pool.pace(step)
            if pace.full:
                pace.waiting.append((held, command))
            elif step.is_async or not pace.quick:
                self._send(step, pace, held, command)
            else:
                receive(held, command.token, self._here(step, pace, held, command))
                if time.perf_counter() > until:
                    return

    def over(self, name: str) -> None:
        """A call in a thread has ended: there is room for the next one of that step."""
        self.pool.done()
        pace = self.pool.paces[name]
        pace.running -= 1
        if pace.waiting:
            self.ready.append(pace.waiting.popleft())

    def make_within(self, held: Held, command: ScheduleTask) -> list[Event]:
        """Make a transactional call. What it wrote is undone when it fails."""
        step = self.resources.step(command.resource)
        context = CallContext(self.host, held.execution, command, self._beat(held))
        try:
            with self.host.store.transaction():
                return invoke(step, command, context, self.schemas)
        except Declined as failure:
            return [failure.event]

    def _here(self, step: Step, pace: Pace, held: Held, command: ScheduleTask) -> list[Any]:
        number, key, token = self.turn.number, held.key, command.token
        self.turn.since = began = time.perf_counter()
        events = self._attempt(step, held, command)
        pace.took(time.perf_counter() - began)
        if not self.turn.keep(number):
            self.inbox.put((key, token, events))
            raise Replaced
        return events

    def _send(self, step: Step, pace: Pace, held: Held, command: ScheduleTask) -> None:
        pace.running += 1
        if step.is_async:
            self.pool.submit_async(self._attempt_async(step, held, command))
            return

        def job() -> None:
            began = time.perf_counter()
            events = self._attempt(step, held, command)
            pace.took(time.perf_counter() - began)
            self.inbox.put((held.key, command.token, events, step.name))

        self.pool.submit(job)

    def _attempt(self, step: Step, held: Held, command: ScheduleTask) -> list[Any]:
        context = CallContext(self.aside, held.execution, command, self._beat(held))
        try:
            return invoke(step, command, context, self.schemas)
        except Declined as failure:
            return [failure.event]
        except EngineError as problem:
            return [problem]

    async def _attempt_async(self, step: Step, held: Held, command: ScheduleTask) -> None:
        context = CallContext(self.aside, held.execution, command, self._beat(held))
        try:
            events: list[Any] = await invoke_async(step, command, context, self.schemas)
        except Declined as failure:
            events = [failure.event]
        except EngineError as problem:
            events = [problem]
        self.inbox.put((held.key, command.token, events, step.name))

    def _beat(self, held: Held) -> Callable[[str], None]:
        return lambda token: self.inbox.put((held.key, None, [TaskHeartbeat(token, self.host.clock.now())]))
