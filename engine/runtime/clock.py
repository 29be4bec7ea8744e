"""Time for runtimes: the real clock, and a virtual one that jumps to the next thing that is due."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

Item = TypeVar("Item")
PATIENCE: Final = 0.1
"""Seconds after which whoever waits looks around: others may want something."""


class Clock(Protocol):
    """Seconds since the epoch, and waiting."""

    def now(self) -> float:
        """The present moment."""

    def sleep(self, seconds: float) -> None:
        """Wait inside a step."""

    def wait(
        self, items: queue.SimpleQueue[Item], until: float | None, *, working: bool, patience: float = PATIENCE
    ) -> Item | None:
        """The next item, or None once `until` has come, or after `patience` seconds of waiting. `working`: calls are
        out, an item will come by itself."""


class SystemClock:
    """The real clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait(
        self, items: queue.SimpleQueue[Item], until: float | None, *, working: bool, patience: float = PATIENCE
    ) -> Item | None:
        seconds = patience if until is None else min(max(until - time.time(), 0.0), patience)
        try:
            return items.get(timeout=seconds)
        except queue.Empty:
            return None


class VirtualClock:
    """A clock that stands still while work is done, and jumps when there is nothing but waiting.

    `on_advance(seconds)` is told of each jump, so that a simulator outside can follow.
    """

    def __init__(self, start: float, on_advance: Callable[[float], None] | None = None) -> None:
        self._now = start
        self._on_advance = on_advance

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Jump ahead."""
        if seconds > 0:
            self._now += seconds
            if self._on_advance is not None:
                self._on_advance(seconds)

    def wait(
        self, items: queue.SimpleQueue[Item], until: float | None, *, working: bool, patience: float = PATIENCE
    ) -> Item | None:
        if working or until is None:
            return items.get()
        try:
            return items.get_nowait()
        except queue.Empty:
            self.advance(until - self._now)
            self._now = max(self._now, until)  # the sum may have been rounded down
            return None
