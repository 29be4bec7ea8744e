"""Whose call is made next: executions take turns, so that one with many calls does not keep the others waiting."""

from __future__ import annotations

from collections import deque

from engine.core.events import ScheduleTask
from engine.runtime.held import Held

Ready = tuple[Held, ScheduleTask]


class Turns:
    """Calls that wait. The first of each execution come out in turn, and the calls of one execution in their order."""

    __slots__ = ("_calls", "_count", "_order")

    def __init__(self) -> None:
        self._calls: dict[int, deque[Ready]] = {}
        self._order: deque[int] = deque()
        self._count = 0

    def put(self, held: Held, command: ScheduleTask) -> None:
        """Behind the execution's other calls."""
        waiting = self._calls.get(held.key)
        if waiting is None:
            waiting = self._calls[held.key] = deque()
            self._order.append(held.key)
        waiting.append((held, command))
        self._count += 1

    def pop(self) -> Ready:
        """The next call. Raises IndexError when there is none."""
        key = self._order.popleft()
        waiting = self._calls[key]
        found = waiting.popleft()
        if waiting:
            self._order.append(key)
        else:
            del self._calls[key]
        self._count -= 1
        return found

    def take(self, held: Held) -> list[ScheduleTask]:
        """Take out the calls of one execution."""
        waiting = self._calls.pop(held.key, None)
        if waiting is None:
            return []
        self._order.remove(held.key)
        self._count -= len(waiting)
        return [command for _, command in waiting]

    def clear(self) -> None:
        """Forget all."""
        self._calls.clear()
        self._order.clear()
        self._count = 0

    def __len__(self) -> int:
        return self._count
