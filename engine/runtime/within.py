"""Transactional steps inside the transaction of a batch.

Where nothing but a transactional step follows from a decision, it is made in the transaction that records the decision,
and so on: a row of such steps, also the first ones of a new execution, is one commit. Nothing of it can be seen before,
and a crash undoes all of it. When anything goes wrong the row is undone here too, and each step gets a transaction of
its own (docs/decisions/0033).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from engine.core.events import ScheduleTask
from engine.errors import EngineError, LeaseLost, StoreUnavailable
from engine.runtime import making
from engine.runtime.held import Held
from engine.runtime.making import Calls
from engine.runtime.writing import Batch, Submission, changes_of, one_by_one, stored, without
from engine.stores import Begun, Store

LONGEST_ROW: Final = 16
"""Most steps of one execution in one transaction."""


class _Late(Exception):
    """The batch holds what transactional steps wrote for executions that others own: it must not be committed."""

    def __init__(self, late: list[Held]) -> None:
        super().__init__()
        self.late = late


def belongs(calls: Calls, dirty: Iterable[Held], submitted: Iterable[Submission]) -> bool:
    """Whether there is a step to be made in the transaction of this batch."""
    if calls.within:
        return True
    return any(calls.sole(held) for held in dirty) or any(calls.only(one.start.decision.commands) for one in submitted)


class Within:
    """One batch whose transaction steps have their say in."""

    def __init__(
        self, store: Store, calls: Calls, dirty: Iterable[Held], submitted: Sequence[Submission], now: float
    ) -> None:
        self.store = store
        self.calls = calls
        self.dirty = list(dirty)
        self.submitted = submitted
        self.now = now
        self.asked: dict[int, tuple[Held, ScheduleTask]] = {}
        self.later: list[tuple[Held, ScheduleTask]] = []
        self.made: dict[int, tuple[Held, int]] = {}
        self.entered: dict[int, Held] = {}
        self.gone: list[Held] = []
        self.refused: list[tuple[Held, Exception]] = []
        # Of each execution there is one such call at a time, and none beside what has been decided meanwhile.
        for held, command in calls.within:
            if held.advance is None and held.key not in self.asked:
                self.asked[held.key] = (held, command)
            else:
                self.later.append((held, command))

    def write(self, *, in_rows: bool = True) -> Batch:
        """Write it. Raises StoreUnavailable and LeaseLost, with everything as it was before."""
        while True:
            try:
                return self._written(in_rows)
            except BaseException as problem:
                self._undo()
                if isinstance(problem, _Late):
                    self._leave(problem.late)
                    in_rows = False
                elif isinstance(problem, StoreUnavailable | LeaseLost) or not isinstance(problem, Exception):
                    raise
                elif in_rows:
                    in_rows = False
                elif isinstance(problem, EngineError):
                    raise
                elif (changes := changes_of(self.dirty, self.now)) or self.submitted:
                    return one_by_one(self.store, changes, self.submitted)
                elif len(self.asked) == 1:
                    self._take_over()
                    refused = [(held, problem) for held, _ in self.asked.values()]
                    return Batch([], lost=self.gone, refused=refused)
                else:
                    first, *others = self.asked.values()
                    self.later += others
                    self.asked = {first[0].key: first}

    def _written(self, in_rows: bool) -> Batch:
        with self.store.transaction():
            begun = self.store.create([submission.start for submission in self.submitted])
            self._make(begun, in_rows)
            held = {held.key: held for held in self.dirty} | {key: held for key, (held, _) in self.made.items()}
            changes = changes_of(held.values(), self.now)
            _, lost = stored(self.store, [], changes)
            late = [self.made[key][0] for key in lost if key in self.made]
            if late:
                raise _Late(late)
        self._take_over()
        batch = without(changes, list(zip(self.submitted, begun, strict=True)), lost)
        return batch._replace(lost=[*batch.lost, *self.gone], refused=self.refused, entered=self.entered)

    def _take_over(self) -> None:
        """What was asked for is done."""
        self.calls.within.clear()
        self.calls.within.extend(self.later)

    # -- making ----------------------------------------------------------------------------------------------------

    def _make(self, begun: Sequence[Begun], in_rows: bool) -> None:
        """Make the calls; what follows from each is decided at once."""
        until = time.perf_counter() + making.HERE_SECONDS
        for held, command in self.asked.values():
            self._row(held, command, until if in_rows else 0.0)
        if not in_rows:
            return
        for submission, found in zip(self.submitted, begun, strict=True):
            first = self.calls.only(submission.start.decision.commands)
            if found.key is not None and first is not None and time.perf_counter() < until:
                held = self.entered[found.key] = submission.held(found.key)
                self._row(held, first, until)
        for held in self.dirty:
            if time.perf_counter() < until and (following := self.calls.sole(held)) is not None:
                self._row(held, following, until)

    def _row(self, held: Held, command: ScheduleTask, until: float) -> None:
        """Make a call, and those that follow as long as there is time."""
        self.made[held.key] = (held, len(held.fed))
        following: ScheduleTask | None = command
        for _ in range(LONGEST_ROW):
            if following is None or not self._one(held, following) or time.perf_counter() >= until:
                return
            following = self.calls.sole(held)

    def _one(self, held: Held, command: ScheduleTask) -> bool:
        """Make one call; False when it was not to be made or could not."""
        advance = held.advance
        if advance is not None:
            advance.commands.clear()
        else:
            held.calls.discard(command.token)
            if not held.waits_for(command):
                return False
        try:
            events = self.calls.make_within(held, command)
        except EngineError as problem:
            if isinstance(problem, StoreUnavailable | LeaseLost) or advance is not None or held.key in self.entered:
                raise
            self.refused.append((held, problem))
            return False
        for event in events:
            held.feed(event)
        return True

    # -- undoing ---------------------------------------------------------------------------------------------------

    def _undo(self) -> None:
        """Nothing was written: let every execution be as it was before its calls."""
        for held, count in self.made.values():
            held.rewind(count)
        for held, command in self.asked.values():
            held.calls.add(command.token)
        self.made, self.entered, self.refused = {}, {}, []

    def _leave(self, late: Sequence[Held]) -> None:
        """Others own these."""
        self.gone += late
        keys = {held.key for held in late}
        self.dirty = [held for held in self.dirty if held.key not in keys]
        for key in keys:
            with suppress(KeyError):
                del self.asked[key]
