"""Making the calls of a worker: here, in a thread, on the event loop, or inside the transaction of a batch."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from engine.core.events import CallsReturned, Command, Event, ScheduleTask, TaskHeartbeat
from engine.errors import UnknownStep, UnsupportedResource
from engine.runtime.calls import Declined, invoke, invoke_async, invoke_keeping
from engine.runtime.context import CallContext, EngineHost
from engine.runtime.held import Held
from engine.runtime.pausing import held_back
from engine.runtime.pool import Pace, Pool
from engine.runtime.turns import Ready, Turns
from engine.step import Step
from engine.tasks import Resources

HERE_SECONDS: Final = 0.02
"""Longest that calls in the scheduler's thread may hold up the next commit."""


class Replaced(Exception):
    """This thread was the scheduler when it began a call; the call was slow, and another thread is by now."""


class Turn:
    """Which thread is the scheduler. It loses its turn when one call in it takes too long."""

    __slots__ = ("_guard", "_pool", "number", "pace", "since")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._guard = threading.Lock()
        self.number = 0
        self.since: float | None = None
        self.pace: Pace | None = None

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
            if self.pace is not None:
                self._pool.out += 1
                self.pace.running += 1
                self.pace.quick = False  # what it took is not known yet; the next one must not take a thread like it
            return True


class Calls:
    """The calls that are to be made and those that are out. `within`: those that belong into the next transaction;
    `most`: of one execution beside the scheduler at once."""

    def __init__(
        self, host: EngineHost, resources: Resources, pool: Pool, inbox: queue.SimpleQueue[Any], most: int
    ) -> None:
        self.host = host
        self.aside = host.beside()
        self.resources = resources
        self.schemas = resources.steps.schemas
        self.pool = pool
        self.inbox = inbox
        self.turn = Turn(pool)
        self.most = most
        self.ready = Turns()
        self.within: deque[Ready] = deque()

    def clear(self) -> None:
        """Forget the calls that have not been made."""
        self.ready.clear()
        self.within.clear()
        self.pool.waiting.clear()
        for pace in self.pool.paces.values():
            pace.waiting.clear()

    def withdraw(self, held: Held) -> list[str]:
        """Take back the calls of an execution that have not begun; answers their tokens."""
        places = (self.ready, self.pool.waiting, *(pace.waiting for pace in self.pool.paces.values()))
        unmade = [command.token for place in places for command in place.take(held)]
        unmade += [command.token for command in held.queued or ()]
        unmade += [command.token for owner, command in self.within if owner is held]
        held.queued = None
        self.within = deque((owner, command) for owner, command in self.within if owner is not held)
        return unmade

    def give_back(self, everyone: Iterable[Held], feed: Callable[[Held, CallsReturned], None]) -> bool:
        """Take back all that have not begun, and say so; answers whether there were any."""
        found = [(held, unmade) for held in everyone if (unmade := self.withdraw(held))]
        for held, unmade in found:
            feed(held, CallsReturned(unmade, self.host.clock.now()))
        return bool(found)

    @property
    def waiting(self) -> int:
        """How many calls could be made if there were more threads."""
        return len(self.ready) + len(self.pool.waiting)

    @property
    def any(self) -> bool:
        """Whether a call can be made now."""
        return bool(self.ready) or self._for_thread

    @property
    def _for_thread(self) -> bool:
        return bool(self.pool.waiting) and not self.pool.full

    def make(self, receive: Callable[[Held, str | None, list[Any]], None], most: int) -> None:
        """Make what is ready, about `most` of it. Raises Replaced."""
        until = time.perf_counter() + HERE_SECONDS
        for _ in range(most):
            if not self.any:
                return
            # Those that wait for a thread come first: whatever is ready would take the one that has become free.
            held, command = self.pool.waiting.pop() if self._for_thread else self.ready.pop()
            unwanted = self._unwanted(held, command)
            if unwanted is not None:
                receive(held, command.token, unwanted)
                self._let_in(self.pool.paces.get(command.resource.name), held)
                continue
            try:
                step = self.resources.step(command.resource)
            except (UnknownStep, UnsupportedResource) as problem:
                self.ready.put(held, command)  # it has not begun, and whoever gives the execution back says so
                receive(held, None, [problem])
                continue
            if step.transactional:
                self.within.append((held, command))
            else:
                events = self._one(step, held, command)
                if events is not None:
                    receive(held, command.token, events)
                    if time.perf_counter() > until:
                        return

    def _unwanted(self, held: Held, command: ScheduleTask) -> list[Any] | None:
        """What comes of a call that is not to be made (any more, or while it is paused); None for one that is."""
        if not held.waits_for(command):
            return []
        if held.pausing or (self.host.pauses and self.host.pauses.hold(command)):
            held.drop_timer(command.token)
            return [held_back(command, self.host.clock.now())]
        return None

    def _one(self, step: Step, held: Held, command: ScheduleTask) -> list[Any] | None:
        """Make a call here and answer its events, or have it made elsewhere, or put it where it waits."""
        pace = self.pool.pace(step)
        if pace.full:
            pace.waiting.put(held, command)
        elif pace.quick and not step.is_async:
            return self._here(step, pace, held, command)
        elif held.out >= self.most:
            held.queued = held.queued or deque()
            held.queued.append(command)
        elif self.pool.full and not step.is_async:
            self.pool.waiting.put(held, command)
        else:
            self._send(step, pace, held, command)
        return None

    def over(self, name: str, held: Held | None, stray: bool = False) -> None:
        """A call beside the scheduler has ended; `stray`: it had begun as one in the scheduler's thread."""
        pace = self.pool.paces[name]
        self.pool.done(thread=pace.thread and not stray)
        pace.running -= 1
        if held is not None and not stray:
            held.out = max(0, held.out - 1)  # it may have been out when the execution was last held here
        self._let_in(pace, held)

    def _let_in(self, pace: Pace | None, held: Held | None) -> None:
        """There may be room for the next call of that step, and of that execution."""
        if pace is not None and pace.waiting and not pace.full:
            self.ready.put(*pace.waiting.pop())
        if held is not None and held.queued:
            self.ready.put(held, held.queued.popleft())

    def sole(self, held: Held) -> ScheduleTask | None:
        """The transactional call that is all that follows from what was decided and is not committed yet."""
        advance = held.advance
        if advance is None or len(advance.commands) != 1 or held.calls or held.pausing or held.aside is not None:
            return None
        return self.only(advance.commands)

    def only(self, commands: Sequence[Command]) -> ScheduleTask | None:
        """The call, if those are a transactional call that may be made now and nothing else."""
        command = commands[0] if len(commands) == 1 else None
        if not isinstance(command, ScheduleTask):
            return None
        try:
            step = self.resources.step(command.resource)
        except (UnknownStep, UnsupportedResource):
            return None
        held_up = not step.transactional or (self.host.pauses and self.host.pauses.hold(command))
        return None if held_up else command

    def make_within(self, held: Held, command: ScheduleTask) -> list[Event]:
        """Make a transactional call. What it wrote is undone when it fails, unless the failure keeps it."""
        step = self.resources.step(command.resource)
        execution = held.execution if held.advance is None else held.advance.execution
        context = CallContext(self.host, execution, command, self._beat(held))
        try:
            with self.host.store.transaction():
                return invoke_keeping(step, command, context, self.schemas)
        except Declined as failure:
            return [failure.event]

    def _here(self, step: Step, pace: Pace, held: Held, command: ScheduleTask) -> list[Any]:
        number, key, token = self.turn.number, held.key, command.token
        self.turn.pace = pace
        self.turn.since = began = time.perf_counter()
        events = self._attempt(step, held, command)
        pace.took(time.perf_counter() - began)
        if not self.turn.keep(number):
            self.inbox.put((key, token, events, step.name, True))
            raise Replaced
        return events

    def _send(self, step: Step, pace: Pace, held: Held, command: ScheduleTask) -> None:
        pace.running += 1
        held.out += 1
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
        except Exception as problem:  # the engine's own, whatever it is: a thread that ended with it would be missed
            return [problem]

    async def _attempt_async(self, step: Step, held: Held, command: ScheduleTask) -> None:
        context = CallContext(self.aside, held.execution, command, self._beat(held))
        try:
            events: list[Any] = await invoke_async(step, command, context, self.schemas)
        except Declined as failure:
            events = [failure.event]
        except Exception as problem:
            events = [problem]
        self.inbox.put((held.key, command.token, events, step.name))

    def _beat(self, held: Held) -> Callable[[str], None]:
        return lambda token: self.inbox.put((held.key, None, [TaskHeartbeat(token, self.host.clock.now())]))
