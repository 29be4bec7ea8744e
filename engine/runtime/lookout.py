"""When a worker asks the store what others want, and what it has heard so far."""

from __future__ import annotations

import time
from typing import Final

from engine.runtime.context import EngineHost, logger
from engine.stores import Signal

LOOK_SECONDS: Final = 0.01
"""How often others' writes are looked for."""
POLL_SECONDS: Final = 1.0
"""How often due executions, and processes that are gone, are looked for when nothing says that there are any. A sign of
life is given then, so it is more often where the lease is short."""
CLAIM: Final = 500
"""Most executions taken up at once."""


class Lookout:
    """`due`: when the next free execution is to be taken up (None: none is), as far as is known. `stirred`: this worker
    itself has started executions or left signals, and so has to ask. `ration`: most executions to take up at once.
    Halved whenever the lease was lost, it grows while it is kept: a worker too slow for its lease must not take up so
    much that it loses it again, for ever."""

    def __init__(self, host: EngineHost, lease: float) -> None:
        self._store = host.store
        self._clock = host.clock
        self._pauses = host.pauses
        self._looked = self._polled = 0.0
        self._poll = min(POLL_SECONDS, lease / 3)
        self._heeded: set[int] = set()
        self.ration = CLAIM
        self.due: float | None = 0.0
        self.stirred = False

    def look(self, *, now: bool) -> bool:
        """Whether the store is to be asked: somebody wrote to it, or nobody has asked for long."""
        moment = time.monotonic()
        if moment < self._looked + LOOK_SECONDS and not now and not self.stirred:
            return False
        self._looked = moment
        if now or moment >= self._polled + self._poll:
            self._polled = 0.0
        stirred, self.stirred = self.stirred, False
        return stirred or self._store.changed() or not self._polled

    def ask(self) -> list[Signal]:
        """Show a sign of life, free what belongs to processes that are gone, and get new signals. Raises LeaseLost."""
        if not self._polled:
            freed = self._store.beat()
            self._polled = time.monotonic()
            self.ration = min(CLAIM, self.ration + CLAIM // 20)
            if freed:
                logger.warning("%d executions of a process that is gone are free again", freed)
        self.due = self._clock.now()
        self._pauses.sweep(self.due)
        return self.signals()

    def signals(self) -> list[Signal]:
        """Those that have not been heeded yet: they are by the caller, at once."""
        found = [signal for signal in self._store.signals() if signal.id not in self._heeded]
        self._heeded.update(signal.id for signal in found)
        return found

    def forget(self, signals: list[int]) -> None:
        """They have been answered, or are somebody else's now."""
        self._heeded.difference_update(signals)

    def clear(self) -> None:
        """The lease was lost: forget everything, and take up less at once."""
        self._heeded.clear()
        self.ration = max(1, self.ration // 2)

    @property
    def claims(self) -> bool:
        """Whether free executions are due."""
        return self.due is not None and self.due <= self._clock.now()

    def parked(self, until: float | None) -> None:
        """An execution was given back until then."""
        if until is not None:
            self.due = until if self.due is None else min(self.due, until)
