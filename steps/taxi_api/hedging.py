"""Asking twice when an answer takes longer than nearly all do: for calls that change nothing, and for no others.

Of the calls that went well lately, 95 % were answered within some time. After that time the same question is asked
once more, and the first good answer counts. What was asked second is a call like any other for breaker and retry
budget: where much fails already, nothing is asked twice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from typing import Any, Final

from engine import StepError, telemetry

REMEMBERED: Final = 200
LEAST_KNOWN: Final = 20
"""How many answers say what is usual; with fewer, nothing is asked twice."""
SHORTEST_S: Final = 0.05
"""Nobody is asked again before: whoever answers that fast is not helped by a second question."""
THREADS: Final = 256
"""Most questions on their way at once; threads are made as they are needed."""

Answer = dict[str, Any]


class Hedge:
    """How long one operation of one taxi company takes, and who is asked twice. Thread-safe."""

    def __init__(self, call: str) -> None:
        self.call = call
        self._lock = threading.Lock()
        self._lately: deque[float] = deque(maxlen=REMEMBERED)

    def usual(self) -> float | None:
        """Seconds within which 95 % of the answers came; None while too few are known."""
        with self._lock:
            known = sorted(self._lately)
        return None if len(known) < LEAST_KNOWN else max(SHORTEST_S, known[len(known) * 95 // 100])

    def first(self, ask: Callable[[bool], Answer]) -> Answer:
        """The first good answer of `ask(second)`, made once or twice. When none is good: the failure of the first."""
        usual = self.usual()
        if usual is None:
            return self._timed(ask, False)
        asked = [_threads().submit(copy_context().run, self._timed, ask, False)]
        if not wait(asked, timeout=usual).done:
            telemetry.count("taxi_asked_twice", call=self.call)
            asked.append(_threads().submit(copy_context().run, self._timed, ask, True))
        return _first(asked)

    def _timed(self, ask: Callable[[bool], Answer], second: bool) -> Answer:
        began = time.monotonic()
        answer = ask(second)
        with self._lock:
            self._lately.append(time.monotonic() - began)
        return answer


def _first(asked: list[Future[Answer]]) -> Answer:
    """The first that goes well. The second call may have been held back unsent, so its failure says nothing."""
    waiting = set(asked)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for one in done:
            if not isinstance(one.exception(), StepError):
                return one.result()
    return asked[0].result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="taxi")


@cache
def hedge_of(base: str, call: str) -> Hedge:
    """Of one kind of call to the taxi company at an address, for the life of the process."""
    return Hedge(call)
