"""Where steps are called beside the scheduler: threads for plain functions, one event loop for `async def`.

**Which calls leave the scheduler's thread.** A hop to another thread and back costs more than a short step. So a step
is called right in the scheduler's thread until it is slow: its first call, or two among fifty (one may have waited
for the processor). Then it goes to the pool, and comes back after a hundred quick calls there. A call that turns out to
be slow in the scheduler's thread does not hold up the others: it keeps the thread, and another one becomes the
scheduler (`engine.runtime.making.Turn`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Coroutine, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from engine.runtime.turns import Turns
from engine.step import Step

SLOW_SECONDS: Final = 0.002
QUICK_SECONDS: Final = 0.0005
QUICK_CALLS: Final = 100
FORGIVEN_CALLS: Final = 50
"""After so many calls that were not slow, one slow call is forgotten."""

Job = Callable[[], None]


class Pace:
    """What is known of one step: whether its calls are quick, need a thread, and how many may run at once."""

    __slots__ = ("limit", "quick", "running", "streak", "thread", "waiting")

    def __init__(self, limit: int | None, *, thread: bool) -> None:
        self.limit = limit
        self.thread = thread
        self.quick = True
        self.streak = 0
        self.running = 0
        self.waiting = Turns()

    @property
    def full(self) -> bool:
        """Whether no further call may be made now."""
        return self.limit is not None and self.running >= self.limit

    def took(self, seconds: float) -> None:
        """One call took that long."""
        if seconds > SLOW_SECONDS:
            self.quick = self.quick and self.streak >= FORGIVEN_CALLS
            self.streak = 0
        elif self.quick:
            self.streak += 1
        else:
            self.streak = self.streak + 1 if seconds < QUICK_SECONDS else 0
            self.quick = self.streak >= QUICK_CALLS


class Pool:
    """At most `size` threads, started as they are needed, and one event loop.

    `limits`: most calls at once, by step name or pattern (`taxi.*`); the first pattern that fits counts. `out`: calls
    that have not come back; `busy`: those in threads, never more than there are; `waiting`: those for which no thread
    is free. So that executions can take turns, no queue of jobs forms behind the threads.
    """

    def __init__(self, size: int, limits: Mapping[str, int]) -> None:
        self.size = size
        self.limits = dict(limits)
        self.paces: dict[str, Pace] = {}
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.out = self.busy = 0
        self.waiting = Turns()
        self._loop: Any = None
        self._looping: threading.Thread

    def pace(self, step: Step) -> Pace:
        """What is known of that step."""
        pace = self.paces.get(step.name)
        if pace is None:
            limit = next((most for pattern, most in self.limits.items() if fnmatchcase(step.name, pattern)), None)
            pace = self.paces[step.name] = Pace(limit, thread=not step.is_async)
        return pace

    def submit(self, job: Job) -> None:
        """Have it done in a thread."""
        self.out += 1
        self.busy += 1
        if self.busy > len(self.threads):
            thread = threading.Thread(target=self._work, name=f"step-{len(self.threads)}", daemon=True)
            self.threads.append(thread)
            thread.start()
        self.jobs.put(job)

    def submit_async(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Have it done on the event loop."""
        import asyncio  # costs start-up time that a worker without async steps need not pay

        self.out += 1
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._looping = threading.Thread(target=_run_loop, args=(self._loop,), name="steps-async", daemon=True)
            self._looping.start()
        self._loop.call_soon_threadsafe(self._loop.create_task, coroutine)

    def done(self, *, thread: bool) -> None:
        """A job has ended, in a thread or on the loop, and its result has been received."""
        self.out -= 1
        self.busy -= thread

    @property
    def full(self) -> bool:
        """Whether no thread is free."""
        return self.busy >= self.size

    def close(self) -> None:
        """Let the threads end when they have nothing left to do. Does not wait for them."""
        for _ in self.threads:
            self.jobs.put(None)
        self.threads.clear()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._looping.join()
            self._loop = None

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None:
            job()


def _run_loop(loop: Any) -> None:
    """Until the loop is stopped; then what still runs on it is cancelled."""
    import asyncio

    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()

    async def ended() -> None:
        await asyncio.gather(*left, return_exceptions=True)

    loop.run_until_complete(ended())
    loop.close()
