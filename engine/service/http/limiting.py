"""How often one caller may ask. Counted in this process; a proxy in front limits a whole fleet."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from engine.errors import EngineError
from engine.service.http.callers import Caller
from engine.service.http.messages import Request
from engine.service.http.operations import Operation
from engine.service.http.problems import Refused


class RateLimits:
    """The limits of the document (`limits.rate`, such as `300/minute`), over a sliding window.

    A caller is counted over all operations that have the document's own limit, and for each that has another.
    """

    def __init__(self, general: str | None) -> None:
        self._general = general
        self._parsed: dict[str, Any] = {}
        self._limiter: Any = None
        # The library's memory starts a thread that forgets, and two requests at once would start the same one.
        self._lock = threading.Lock()

    def check(self, caller: Caller, request: Request, operation: Operation) -> None:
        """Count the request. Raises Refused (rate_limited)."""
        if operation.rate is None:
            return
        who = caller.id or f"peer {request.peer}"
        what = "everything" if operation.rate == self._general else operation.id
        with self._lock:
            limit = self._limit(operation.rate)
            if self._limiter.hit(limit, who, what):
                return
            resets = self._limiter.get_window_stats(limit, who, what).reset_time
        wait = max(1, math.ceil(resets - time.time()))
        raise Refused("rate_limited", headers={"Retry-After": str(wait)}, retry_after_s=wait)

    def _limit(self, text: str) -> Any:
        if text not in self._parsed:
            import limits

            if self._limiter is None:
                self._limiter = limits.strategies.SlidingWindowCounterRateLimiter(limits.storage.MemoryStorage())
            try:
                self._parsed[text] = limits.parse(text)
            except ValueError:
                raise EngineError(f"the rate {text!r} is not one: write it as 300/minute") from None
        return self._parsed[text]
