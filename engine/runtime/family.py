"""Go round the executions that one process drives by itself: the one it was asked for, and those that it has started.

A child that another process runs is left to it, and waited for.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from engine.core.execution import RUNNING, Execution
from engine.errors import EngineError, ExecutionBusy, ExecutionNotFound
from engine.runtime.context import logger
from engine.runtime.inline import InlineRun
from engine.runtime.signals import event_of
from engine.stores import map_runs

LOOK_AROUND: Final = 0.05
"""Seconds between two looks at what others want."""
SIDE_BY_SIDE: Final = 50
"""Most children driven at once; further ones wait for their turn."""

Adopt = Callable[[str, "queue.SimpleQueue[Any]"], InlineRun]


class Family:
    """The executions that this process drives. `adopt` takes over a child; raises ExecutionBusy when others have it."""

    def __init__(self, root: InlineRun, adopt: Adopt) -> None:
        self.root = root
        self.host = root.host
        self.clock = root.host.clock
        self.runs: dict[int, InlineRun] = {root.key: root}
        self.born: deque[str] = deque()
        self.elsewhere: set[str] = set()
        self.mapping = False
        self._adopt = adopt
        self._looked = 0.0

    def run(self) -> Execution:
        """Drive the root until it ends, or until only a callback from outside can move it on."""
        root = self.root
        self.after(root)
        while root.execution.status == RUNNING:
            if time.monotonic() > self._looked + LOOK_AROUND:
                self.look_around()
            elif (run := next((run for run in self.runs.values() if run.calls), None)) is not None:
                run.make(run.calls.pop(0))
                self.after(run)
            elif self.born and len(self.runs) <= SIDE_BY_SIDE:
                self.adopt(self.born.popleft())
            elif len(self.runs) <= SIDE_BY_SIDE and (names := self.mapped()):
                self.born += names
            elif any((run.timers and not run.pausing) or run.out for run in self.runs.values()):
                self.wait()
            elif self.elsewhere or self.mapping:
                self.rest()
                time.sleep(LOOK_AROUND)
            elif not self.heed():
                break
        self.heed()
        self.give_back()
        self.rest()
        return root.execution

    def give_back(self, at: float | None = None) -> None:
        """Let go of everything that has not ended, until `at`, or until it has something to do."""
        for run in self.runs.values():
            if run.execution.status == RUNNING:
                soon = self.clock.now() if run.calls or run.out else at
                with suppress(EngineError):
                    run.release(0.0 if run.pausing else soon or (run.timers[0][0] if run.timers else None))

    def after(self, run: InlineRun) -> None:
        """Something has happened to one of them: it may have started children, or have ended."""
        self.born += run.children
        run.children.clear()
        if run.execution.status != RUNNING and run is not self.root:
            del self.runs[run.key]
            self.heed()

    def mapped(self, limit: int = SIDE_BY_SIDE) -> list[str]:
        """Children of the map runs that the executions here wait for, which nobody runs."""
        parents = [run.key for run in self.runs.values() if run.execution.spreads]
        if not parents:
            return []
        with self.host.store.reading() as db:
            names = map_runs.free_children(db, parents, limit)
            self.mapping = map_runs.any_owned(db, parents, self.host.store.owner)
        return names

    def adopt(self, name: str) -> None:
        """Drive a child beside the others, unless others do, or it has ended."""
        try:
            run = self._adopt(name, self.root.inbox)
        except ExecutionBusy:
            self.elsewhere.add(name)
        except ExecutionNotFound:
            return  # it was removed from the store; its end was told before
        else:
            if run.execution.status == RUNNING:
                self.runs[run.key] = run
                run.resume()
                self.after(run)

    def wait(self) -> None:
        """Until something arrives, the first timer is due, or it is time to look around."""
        waiting = (run for run in self.runs.values() if run.timers and not run.pausing)
        first = min(waiting, key=lambda run: run.timers[0], default=None)
        due = None if first is None else first.timers[0][0]
        if due is None or due > self.clock.now():
            self.rest()
        working = any(run.out for run in self.runs.values())
        arrived = self.clock.wait(self.root.inbox, due, working=working)
        if arrived is not None:
            run, token, event = arrived
            if run.execution.status == RUNNING:
                run.receive(token, event)
                self.after(run)
        elif first is not None and due is not None and due <= self.clock.now():
            first.fire()
            self.after(first)

    def look_around(self) -> None:
        """Others may have left signals: callbacks, the end of a child, or that an execution is to stop."""
        self._looked = time.monotonic()
        self.host.pauses.refresh()
        if self.elsewhere:
            self.born += self.elsewhere  # whoever runs them may have died
            self.elsewhere.clear()
        if self.host.store.changed():
            self.heed()

    def heed(self) -> bool:
        """What the signals say; answers whether there were any."""
        heard = False
        for signal in self.host.store.signals():
            run = self.runs.get(signal.key)
            if run is not None and run.execution.status == RUNNING:
                heard = True
                run.feed(event_of(signal.event, self.clock.now()), (signal.id,))
                self.after(run)
        return heard

    def rest(self) -> None:
        """Nothing to do for now: let the hooks of the steps package work, such as a relay, once after each thing that
        has happened."""
        if all(run.rested for run in self.runs.values()):
            return
        for run in self.runs.values():
            run.rested = True
        for hook in self.root.resources.steps.hooks["idle"]:
            try:
                hook(self.host)
            except Exception as problem:
                logger.warning("hook %s failed: %s", hook.__name__, problem)
