"""The round of a worker: take in what has arrived, decide, commit everything at once, then do what follows.

Rules of this file:

1. Nothing follows from a decision before its commit.
2. What arrives during a commit is the next batch: the busier it is, the more each commit carries. Where a commit is a
   server's work, one half is decided while the other is written; nothing else is asked of the store meanwhile.
3. A call whose answer is lost with its process is made again by whoever takes over, under the same idempotency key.
4. Once this worker was given up for dead (`LeaseLost`) it forgets everything that it held and starts afresh.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from logging import DEBUG
from typing import Any, Final

from engine.core.decide import decide
from engine.core.events import Decision, ScheduleTask, StartTimer
from engine.core.execution import RUNNING
from engine.errors import EngineError, LeaseLost, StoreUnavailable
from engine.runtime.context import EngineHost, logger
from engine.runtime.held import Alarms, Held, tell_lag
from engine.runtime.lookout import CLAIM, LOOK_SECONDS, Lookout
from engine.runtime.machines import Machines, opening
from engine.runtime.making import Calls
from engine.runtime.signals import event_of
from engine.runtime.within import Within, belongs
from engine.runtime.writing import Batch, Flight, Pilot, Submission
from engine.stores import KEEP, Begun, Signal, Stored

SET_ASIDE_SECONDS: Final = 60.0
"""How long an execution that this worker cannot run is left alone."""
LONGEST_PAUSE: Final = 2.0
HALF: Final = 8
"""Fewest executions that a batch is split for, so that the store writes one part while the other is decided."""


class Scheduler:
    """Everything that a worker holds. Belongs to one thread at a time."""

    def __init__(self, host: EngineHost, calls: Calls, machines: Machines, *, lease: float, most: int) -> None:
        self.host = host
        self.store = host.store
        self.calls = calls
        self.pool = calls.pool
        self.machines = machines
        self.lease = lease
        self.most = most
        self.inbox = calls.inbox
        self.held: dict[int, Held] = {}
        self.dirty: dict[int, Held] = {}
        self.submitted: list[Submission] = []
        self.flight: Flight | None = None
        self.pilot = Pilot()
        self.alarms = Alarms()
        self.lookout = Lookout(host, lease)
        self.pause = 0.0
        self.draining: float | None = None
        self.restless = self.outside = self.returned = False
        self.ended = 0

    # -- the round -------------------------------------------------------------------------------------------------

    def round(self, *, patient: bool = True) -> bool:
        """Once round. Answers whether there was anything to do; `patient`: wait for it if not. Raises Replaced."""
        worked = False
        try:
            if self.outside:
                self.store.enter(self.lease)
                self.outside = False
            self.look_around()
            worked = self.take_in(patient and not self.busy)
            worked = self.ring() or worked
            if self.flight is not None and (self.flight.landed or not self.calling):
                self.settle()
                worked = True
            elif self.flight is None and (self.dirty or self.submitted or self.calls.within):
                self.write()
                worked = True
            if self.calling:
                ready = len(self.calls.ready)
                self.calls.make(self.receive, max(HALF, (ready + 1) // 2 if self.store.apart else ready))
                worked = True
            elif self.draining is not None:
                self.returned = not self.calls.give_back(self.held.values(), self.feed)
        except LeaseLost as loss:
            self.forfeit(loss)
        except StoreUnavailable as problem:
            self.trouble(problem)
        return worked

    @property
    def busy(self) -> bool:
        """Whether there is something to do at once."""
        return bool(self.dirty or self.submitted or self.flight or self.calls.within or self.calling)

    @property
    def calling(self) -> bool:
        """Whether calls are to be made."""
        return self.calls.any and self.draining is None

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done here, now or later, unless something comes from outside."""
        here = self.busy or self.held or self.pool.out or self.lookout.stirred or self.inbox.qsize()
        return not here and self.lookout.due is None

    def drain(self, patience: float) -> None:
        """Begin nothing more. From any thread."""
        self.draining = time.monotonic() + patience
        self.inbox.put((0, None, []))

    @property
    def drained(self) -> bool:
        """Whether calls that were out have ended, or were waited for long enough, and what has not begun is noted."""
        if self.draining is None:
            return False
        late = time.monotonic() - self.draining
        owed = self.dirty or self.submitted or self.flight or not self.returned
        return not (owed or ((self.pool.out or self.inbox.qsize()) and late <= 0)) or late > LONGEST_PAUSE

    # -- taking in -------------------------------------------------------------------------------------------------

    def take_in(self, patient: bool) -> bool:
        """Everything that has arrived; `patient`: wait for the first."""
        inbox = self.inbox
        if not inbox.qsize():
            if not patient:
                return False
            arrived = self.host.clock.wait(inbox, self.next(), working=self.pool.out > 0, patience=LOOK_SECONDS)
            if arrived is None:
                return False
            self.receive_from(arrived)
        for _ in range(inbox.qsize()):
            self.receive_from(inbox.get())
        return True

    def next(self) -> float | None:
        """When something is due, here or in the store."""
        return min((moment for moment in (self.alarms.next(), self.lookout.due) if moment is not None), default=None)

    def receive_from(self, arrived: Any) -> None:
        """A submission, or what came of a call: key, token, events and, from a thread, what `Calls.over` is to know."""
        if isinstance(arrived, Submission):
            self.submitted.append(arrived)
            return
        key, token, events, *over = arrived
        held = self.held.get(key)
        if over:
            self.calls.over(over[0], held, *over[1:])
        if held is not None:
            self.receive(held, token, events)

    def receive(self, held: Held, token: str | None, events: Sequence[Any]) -> None:
        """What came of a call."""
        if token is not None:
            held.calls.discard(token)
        for event in events:
            if isinstance(event, Exception):
                self.set_aside(held, event)
                return
            self.feed(held, event)
        self.consider(held)

    def feed(self, held: Held, event: Any) -> None:
        """Decide; what was decided is written with the next batch."""
        if held.later is not None:
            held.later.append(event)
            return
        try:
            held.feed(event)
            self.dirty[held.key] = held
        except Exception as problem:
            self.set_aside(held, problem)

    def ring(self) -> bool:
        """Timers that are due."""
        now = self.host.clock.now()
        due = self.alarms.ring(now, self.held)
        for held in due:
            if held.later is None:
                for event in held.ring(now):
                    self.feed(held, event)
            self.alarms.set(held)
        return bool(due)

    # -- the store -------------------------------------------------------------------------------------------------

    def look_around(self, *, now: bool = False) -> None:
        """What others want: signals, executions that are due, processes that are gone. Raises LeaseLost."""
        if self.lookout.look(now=now):
            self.settle()
            self.heed(self.lookout.ask())
        if self.lookout.claims and self.draining is None and self.room > 0:
            self.claim()

    @property
    def room(self) -> int:
        """How many more executions to take up: few enough, and none while calls wait for a thread."""
        if self.calls.waiting > 2 * self.pool.size + CLAIM:
            return 0
        return min(self.most - len(self.held), self.lookout.ration)

    def heed(self, signals: list[Signal]) -> None:
        """Callbacks, or that an execution is to stop."""
        for signal in signals:
            held = self.held.get(signal.key)
            if held is None:
                self.lookout.forget([signal.id])  # its time comes when the execution is taken up
            else:
                held.signals.append(signal.id)
                self.feed(held, event_of(signal.event, self.host.clock.now()))

    def claim(self) -> None:
        """Take up what is due."""
        self.settle()
        claimed = self.store.claim(self.host.clock.now(), self.room)
        self.lookout.due = claimed.due
        for stored in claimed.executions:
            tell_lag(stored.execution, self.host.clock.now())
            self.admit(stored)
        if claimed.executions:
            self.heed(self.lookout.signals())

    def admit(self, stored: Stored) -> None:
        """Take up one execution: ask again for everything that it waits for."""
        held = Held(stored.key, stored.execution, stored.version)
        self.held[held.key] = held
        opened, before = opening(held.execution, self.host.clock.now()), held.execution.runs
        try:
            held.machine = self.machines.of(stored.definition)
            decision = decide(held.machine, held.execution, opened) if held.execution.events else None
        except Exception as problem:
            self.set_aside(held, problem)
            return
        if decision is None or (before and decision.frames):
            self.feed(held, opened)  # calls that may have been made before are counted durably first
        else:
            held.execution = decision.apply()
            self.follow(held, decision)

    def write(self) -> None:
        """Commit what was decided, and do what follows: at once, or while the next calls are made."""
        for submission in self.submitted:
            self.machines.keep(submission.machine)
        dirty, submitted, now = self.dirty, self.submitted, self.host.clock.now()
        if self.calls.within or (self.draining is None and belongs(self.calls, dirty.values(), submitted)):
            within = Within(self.store, self.calls, dirty.values(), submitted, now)
            batch = within.write(in_rows=self.draining is None)
            self.dirty, self.submitted = {}, []
            self.lookout.stirred = True
            self.written(batch)
            return
        self.flight = Flight(self.store, dirty.values(), submitted, now)
        self.dirty, self.submitted = {}, []
        if self.store.apart and self.calling:
            self.pilot.take(self.flight)
        else:
            self.flight.fly()
            self.settle()

    def settle(self) -> None:
        """Wait for the batch that is on its way to the disk, and do what follows."""
        flight, self.flight = self.flight, None
        if flight is None:
            return
        missed = [(held, held.later) for held, _ in flight.changes]
        for held, _ in missed:
            held.later = None
        try:
            batch = flight.land()
        except BaseException:
            self.dirty.update((held.key, held) for held, _ in flight.changes)
            self.submitted[:0] = flight.submitted
            raise
        else:
            self.written(batch)
        finally:
            for held, events in missed:
                for event in events or ():
                    if self.held.get(held.key) is held:
                        self.feed(held, event)

    def written(self, batch: Batch) -> None:
        """The batch is durable: do what follows."""
        for submission, begun in batch.begun:
            self.begin(submission, begun, batch.entered)
        for held, change in batch.written:
            held.written(change.decision)
            self.lookout.forget(list(change.signals))
            self.lookout.stirred |= held.stirs
            if held.execution.status != RUNNING:
                self.end(held)
            elif change.wakes != KEEP:
                self.drop(held)
                self.lookout.parked(change.wakes)
            elif held.aside is None:
                self.follow(held, change.decision)
            else:
                held.unmade += [made.token for made in change.decision.commands if isinstance(made, ScheduleTask)]
        for held in batch.lost:
            self.lose(held)
        for held, problem in batch.refused:
            self.set_aside(held, problem)
        self.dirty.update((held.key, held) for held in batch.left)
        self.submitted[:0] = batch.unbegun
        if self.pause and not batch.left and not batch.unbegun:
            logger.warning("the store is back")
            self.pause = 0.0

    # -- following -------------------------------------------------------------------------------------------------

    def follow(self, held: Held, decision: Decision) -> None:
        """The decision is durable: do what it asks for."""
        for command in decision.commands:
            if isinstance(command, ScheduleTask):
                held.calls.add(command.token)
                self.calls.ready.put(held, command)
                limits = [limit for limit in (command.due, command.beat) if limit is not None]
                if limits:
                    held.set_timer(min(limits), command.token)
            elif isinstance(command, StartTimer):
                held.set_timer(command.due, command.token)
        self.alarms.set(held)
        self.consider(held)

    def consider(self, held: Held) -> None:
        """See whether there is nothing to do for this one for long; then it is given back with the next batch."""
        if held.later is None and not held.calls and held.advance is None and held.may_park(self.host.clock.now()):
            held.open(self.host.clock.now())
            self.dirty[held.key] = held

    def begin(self, submission: Submission, begun: Begun | Exception, entered: Mapping[int, Held]) -> None:
        """A submitted execution exists now, or did before, or cannot be written. `entered`: those whose first steps are
        part of what was written."""
        if isinstance(begun, Exception) or begun.key is None:
            submission.refuse(begun)
        elif begun.key in entered:
            self.held[begun.key] = entered[begun.key]
        else:
            held = submission.held(begun.key)
            if held.execution.status == RUNNING:
                self.held[held.key] = held
                self.follow(held, submission.start.decision)
            else:
                self.end(held)

    def end(self, held: Held) -> None:
        """The execution is over, durably."""
        self.drop(held)
        self.ended += 1
        held.finish()

    def drop(self, held: Held) -> None:
        """It is no longer ours, or over."""
        self.held.pop(held.key, None)
        self.dirty.pop(held.key, None)
        self.lookout.forget(held.signals)
        self.restless = True

    def lose(self, held: Held) -> None:
        """Others have it."""
        self.drop(held)
        self.calls.withdraw(held)
        held.lose()

    # -- trouble ---------------------------------------------------------------------------------------------------

    def set_aside(self, held: Held, problem: Exception) -> None:
        """This worker cannot go on with the execution: give it back, and leave it alone for a while."""
        text = str(problem) if isinstance(problem, EngineError) else type(problem).__name__
        logger.error(
            "execution %s cannot go on here: %s; it is left alone for %.0f s",
            held.execution.name, text, SET_ASIDE_SECONDS, exc_info=problem if logger.isEnabledFor(DEBUG) else None,
        )  # fmt: skip
        held.aside = self.host.clock.now() + SET_ASIDE_SECONDS
        held.calls.clear()
        held.unmade += self.calls.withdraw(held)
        self.dirty[held.key] = held

    def trouble(self, problem: StoreUnavailable) -> None:
        """The store does not answer: wait, longer each time, and try again. Nothing that was decided is forgotten."""
        if not self.pause:
            logger.warning("the store does not answer, trying again: %s", problem)
        self.pause = min(max(0.05, 2 * self.pause), LONGEST_PAUSE)
        time.sleep(self.pause)

    def forfeit(self, loss: LeaseLost) -> None:
        """Others have taken over everything. Answers of calls that are out will find nobody who waits for them."""
        logger.warning("%s (%d executions)", loss, len(self.held))
        for held in list(self.held.values()):
            if held.follower is not None:
                held.follower.set_exception(loss)
        self.held, self.dirty, self.flight = {}, {}, None
        self.lookout.clear()
        self.alarms.clear()
        self.calls.clear()
        self.outside = True
