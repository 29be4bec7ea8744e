"""Runs executions: every event is decided at once, in the thread that brings it, under the lock of the records.

Calls of tasks are made by a few worker threads; one more thread waits for timers, and is started when the first is
set. A waiting execution costs no thread.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from engine.core.decide import decide
from engine.core.events import (
    Command,
    DeadlineReached,
    Event,
    ExecutionRedriven,
    ExecutionStarted,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TaskHeartbeat,
    TaskSucceeded,
    TimerFired,
)
from engine.core.execution import RUNNING, TASK
from engine.errors import EngineError
from engine.runtime.clock import Clock
from engine.service.calling import Resources
from engine.service.map_children import Children
from engine.service.records import MapRun, Records, Run, Task
from engine.tasks.flows import starts

WORKERS: Final = 16

logger = logging.getLogger("engine")


class Nester(Protocol):
    """Starts executions for others (`engine.service.nested`)."""

    def start(self, run: Run, command: ScheduleTask) -> None:
        """Start what a call asks for."""

    def ended(self, run: Run) -> None:
        """An execution has ended that others wait for."""

    def leave(self, run: Run) -> None:
        """Stop those that an execution does not wait for any more."""


class Driver:
    """Feeds events to executions and does what the decisions ask for."""

    def __init__(self, records: Records, resources: Resources, clock: Clock) -> None:
        self.records = records
        self.resources = resources
        self.clock = clock
        self._workers = ThreadPoolExecutor(WORKERS, "engine-task")
        self._timers: list[tuple[float, int, Run, str]] = []
        self._order = 0
        self._inbox: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._waiter: threading.Thread | None = None
        self._calls = 0
        self.children = Children(self)
        self.nested: Nester | None = None

    def close(self) -> None:
        """Stop working. Executions stay as they are."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        if self._waiter is not None:
            self._inbox.put(False)

    def now(self) -> float:
        """The time."""
        return self.clock.now()

    def start(self, run: Run) -> None:
        """Begin an execution; what needs nothing from outside has happened when this returns."""
        self.feed(run, ExecutionStarted(self.now()))
        self._limit(run)

    def redrive(self, run: Run, *, anew: bool = False) -> None:
        """Let an execution that has ended go on where it failed, or `anew` from its beginning."""
        run.over.clear()
        self.feed(run, ExecutionRedriven(self.now(), anew=anew))
        self._limit(run)

    def _limit(self, run: Run) -> None:
        """Have an execution time out that has a limit."""
        if run.execution.deadline is not None:
            self._set(run.execution.deadline, run, "")

    def feed(self, run: Run, event: Event, worker: str | None = None) -> None:
        """Let an event happen. `worker` is who did the work of an activity."""
        with self.records.lock:
            ran = run.execution.status == RUNNING or isinstance(event, ExecutionRedriven)
            decision = decide(run.revision.machine, run.execution, event)
            run.execution = decision.apply()
            run.history += [_signed(entry, worker) for entry in decision.history]
            self.children.note(run, decision.history)
            if self.nested is not None and run.nested:
                self.nested.leave(run)
            for command in decision.commands:
                self._carry_out(run, command)
            if run.execution.status != RUNNING:
                run.over.set()
                if ran and run.dispatcher is not None:
                    self.children.ended(run)
                if self.nested is not None and run.waiters:
                    self.nested.ended(run)

    # -- commands --------------------------------------------------------------------------------------------------

    def _carry_out(self, run: Run, command: Command) -> None:
        if isinstance(command, StartTimer):
            self._set(command.due, run, command.token)
        elif isinstance(command, ScheduleTask):
            limits = [limit for limit in (command.due, command.beat) if limit is not None]
            if limits:
                self._set(min(limits), run, command.token)
            self._schedule(run, command)

    def _schedule(self, run: Run, command: ScheduleTask) -> None:
        """Have a call made: by a worker that asks for it if it is an activity, else by a thread."""
        records, resource = self.records, command.resource
        if resource.scheme == "children":
            self.children.asked(run, command)
            return
        if resource.scheme == "activity" or resource.waits:
            # The very text that the context object shows as $$.Task.Token.
            token = f"{run.name}:{command.token}"
            task = run.tasks[command.token] = Task(token, run, command.token, command.arguments)
            records.tasks.setdefault(token, []).append(task)
            if resource.scheme == "activity":
                if resource.uri in records.activities:
                    records.activities[resource.uri].tasks.append(task)
                    records.changed.notify_all()
                return
        if self.nested is not None and starts(resource):
            self.nested.start(run, command)
            return
        self._calls += 1
        self._workers.submit(self._call, run, command)

    def _call(self, run: Run, command: ScheduleTask) -> None:
        """In a worker thread: make the call and bring its answer home."""
        try:
            for event in self.resources.answer(run.name, command, lambda token: self._beat(run, token)):
                self.feed(run, event)
        except Exception:
            # Not a failure of the task, which would be a StepError: the call stays without an answer.
            logger.exception("the call of %s by state %s broke", command.resource.uri, command.state)
        finally:
            with self.records.lock:
                self._calls -= 1
            if self._waiter is not None:
                self._inbox.put(True)

    def write(self, found: MapRun, calls: Sequence[ScheduleTask]) -> None:
        """Have results written that nobody waits for, one after the other."""
        if calls:
            self._calls += 1
            self._workers.submit(self._write, found, calls)

    def _write(self, found: MapRun, calls: Sequence[ScheduleTask]) -> None:
        """In a worker thread: make the calls, as long as they succeed."""
        try:
            for call in calls:
                events = self.resources.answer(found.parent.name, call, lambda token: None)
                if not any(isinstance(event, TaskSucceeded) for event in events):
                    logger.warning("the results of %s cannot be written: %s", found.arn, call.arguments["Key"])
                    return
            with self.records.lock:
                found.written = True
        except Exception:
            logger.exception("writing the results of %s broke", found.arn)
        finally:
            with self.records.lock:
                self._calls -= 1
            if self._waiter is not None:
                self._inbox.put(True)

    def _beat(self, run: Run, token: str) -> None:
        self.feed(run, TaskHeartbeat(token, self.clock.now()))

    # -- timers ----------------------------------------------------------------------------------------------------

    def _set(self, due: float, run: Run, token: str) -> None:
        with self.records.lock:
            self._order += 1
            heapq.heappush(self._timers, (due, self._order, run, token))
            if self._waiter is None:
                self._waiter = threading.Thread(target=self._wait, name="engine-timers", daemon=True)
                self._waiter.start()
        self._inbox.put(True)

    def _wait(self) -> None:
        """In a thread of its own: fire timers when they are due."""
        while True:
            with self.records.lock:
                while self._timers and self._timers[0][2].over.is_set():
                    heapq.heappop(self._timers)
                due = self._timers[0][0] if self._timers else None
                working = self._calls > 0 or due is None
            told = self.clock.wait(self._inbox, due, working=working)
            if told is False:
                return
            if told is None:
                try:
                    self._fire()
                except EngineError:
                    logger.exception("a timer could not be fired")  # that of one execution; the others go on

    def _fire(self) -> None:
        """Fire the first timer, if it is due: a clock may come back before that."""
        with self.records.lock:
            now = self.clock.now()
            if not self._timers or self._timers[0][0] > now:
                return
            _, _, run, token = heapq.heappop(self._timers)
            if token:
                task = run.tasks.get(token)
                started, worker = (task.started, task.worker) if task is not None else (None, None)
                self.feed(run, TimerFired(token, now, started), worker)
            else:
                self.feed(run, DeadlineReached(now))
            frame = run.execution.frames.get(token.partition("#")[0])
            waits = (
                run.execution.status == RUNNING
                and frame is not None
                and frame.wait == TASK
                and token.endswith(f"#{frame.token}")
            )
            if frame is not None and waits and frame.wakes is not None:
                self._set(frame.wakes, run, token)  # A heartbeat has moved the time-out on.


def _signed(entry: HistoryEvent, worker: str | None) -> HistoryEvent:
    """An event with the name of the worker that took up the activity, as far as it gave one."""
    number, previous, time, kind, _ = entry
    if kind != "ActivityStarted":
        return entry
    return number, previous, time, kind, {} if worker is None else {"workerName": worker}
