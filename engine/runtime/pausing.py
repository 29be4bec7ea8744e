"""Steps that are paused, as whoever runs executions knows them, and calls that are held back for it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from engine.core.events import Decision, Event, ScheduleTask, TaskHeld
from engine.core.execution import RUNNING, TASK, Frame
from engine.outcomes import Resource
from engine.stores import Store
from engine.stores.pausing import pauses, release_strays

FRESH_SECONDS: Final = 0.5
"""How old what is known may be."""
SURE_SECONDS: Final = 0.05
"""How old it may be when a call is held back for it."""


class PauseAsked:
    """An owner is asked to give an execution back. No event of the core: nothing happens in the execution."""

    __slots__ = ("time",)

    def __init__(self, time: float) -> None:
        self.time = time


Happening = Event | PauseAsked
"""What comes to an execution in a worker's hands."""


class Pauses:
    """The patterns that are paused, read twice a second. Before a call is held back they are read again, and executions
    that were parked all the same for what is no longer paused are released by whoever notices that."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._patterns: list[str] = []
        self._read: float | None = None
        self._gone = False

    def refresh(self, *, older: float = FRESH_SECONDS) -> None:
        """Read the patterns, unless they were read in the last `older` seconds."""
        now = time.monotonic()
        if self._read is not None and now <= self._read + older:
            return
        before, first = self._patterns, self._read is None
        self._patterns = [found.pattern for found in pauses(self._store)]
        self._read = now
        self._gone = self._gone or first or bool(set(before) - set(self._patterns))

    def sweep(self, now: float) -> None:
        """As `refresh`; and release what stands before steps that are not paused."""
        self.refresh()
        if self._gone:
            self._gone = False
            release_strays(self._store, now)

    def forget(self) -> None:
        """Read them again before they are next asked for."""
        self._read = None

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def hold(self, command: ScheduleTask) -> bool:
        """Whether that call must not be made now."""
        name = dependency(command.resource)
        if not self._holds(name):
            return False
        self.refresh(older=SURE_SECONDS)
        return self._holds(name)

    def _holds(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)


def dependency(resource: Resource) -> str:
    """What patterns are compared with: a step's name; of anything else the URI."""
    return resource.name if resource.scheme == "step" else resource.uri


def held_back(command: ScheduleTask, now: float) -> TaskHeld:
    """The event by which a call that was not made is held back."""
    return TaskHeld(command.token, dependency(command.resource), now)


def parked(decision: Decision) -> str | None:
    """The paused steps that an execution stands before which is given back now, with spaces between; None if there are
    none."""
    if decision.execution.status != RUNNING:
        return None
    frames: Iterable[Frame | None] = {**decision.execution.frames, **decision.frames}.values()
    names = {
        frame.call["held"] for frame in frames if frame is not None and frame.wait == TASK and "held" in frame.call
    }
    return " ".join(sorted(names)) or None
