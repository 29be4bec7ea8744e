"""How the taxi company is doing, by operation, as far as this process has seen: shared by all bookings.

Three things hold a call back before it is made, so that each proves that nothing was sent:

* the breaker is open: of the calls of the last 30 s at least half failed. After 15 s two probes are let through.
* the retry budget is spent: a retry is a call that a failure has caused. Ten tokens; a failure takes one, a success
  gives a tenth back; at half of them nothing is retried (gRPC's retry throttling).
* the taxi company has asked everybody to wait (429 with Retry-After).

Cancelling is never stopped. When it fails it is paced: one call in a while instead of all at once.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from engine import StepError
from steps.taxi_api.errors import PATIENCE_S

QUOTE, CREATE, READ, CANCEL = "quote", "create", "read", "cancel"
FAILURES: Final = frozenset({"Taxi.NotSent", "Taxi.Ambiguous"})
"""Time-outs, connection errors and 5xx. What was refused, or answered with 429, is an answer."""
WASTED: Final = FAILURES | {"Taxi.BadResponse"}
"""What takes a token of the retry budget."""
LONGEST_SHARED_WAIT_S: Final = 60.0
"""However long one booking was told to wait: after this somebody asks again."""
CLOSED, HALF_OPEN, OPEN = STATES = ("closed", "half-open", "open")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a breaker opens and closes, how many retries there may be, and how slowly cancels go when they fail."""

    window_s: float = 30.0
    least_calls: int = 10
    failing: float = 0.5
    open_s: float = 15.0
    probes: int = 2
    tokens: float = 10.0
    per_success: float = 0.1
    pace_s: float = 2.0


class State(NamedTuple):
    """For metrics: the breaker, the calls of its window, the retry budget, and the wait that was asked for."""

    state: str
    calls: int
    failures: int
    tokens: float
    wait_s: float


class Health:
    """One operation of one taxi company. Thread-safe. Times are seconds since 1970 of the engine's clock."""

    def __init__(self, operation: str, limits: Limits = Limits()) -> None:
        self.operation = operation
        self.limits = limits
        self._lock = threading.Lock()
        self._calls: deque[tuple[float, bool]] = deque()
        self._state = CLOSED
        self._opened_at = 0.0
        self._probing = 0
        self._passed = 0
        self._tokens = limits.tokens
        self._not_before = 0.0
        self._asked_at = 0.0
        self._last_call = 0.0

    def enter(self, now: float, *, again: bool) -> None:
        """Ask to make a call; `again`: a failure of an earlier one is the reason. `leave` must follow.

        Raises StepError Taxi.CircuitOpen, Taxi.Throttled, Taxi.Unavailable; then no call is made, and no `leave`.
        """
        with self._lock:
            self._check_wait(now)
            if self.operation == CANCEL:
                self._check_pace(now)
            else:
                self._check_breaker(now)
                if again and self._tokens <= self.limits.tokens / 2:
                    self._give_back()
                    raise StepError("Taxi.Unavailable", f"{self.operation}: too much fails to try again")
            self._last_call = now

    def leave(self, now: float, error: str | None, retry_after: float | None = None) -> None:
        """Tell how a call ended: the name of its error, if it had one."""
        with self._lock:
            failed = error in FAILURES
            if error in WASTED:
                self._tokens = max(0.0, self._tokens - 1)
            elif error is None:
                self._tokens = min(self.limits.tokens, self._tokens + self.limits.per_success)
            if retry_after is not None and error in ("Taxi.Throttled", "Taxi.Unavailable"):
                self._asked_at, self._not_before = now, now + min(retry_after, LONGEST_SHARED_WAIT_S)
            if self.operation != CANCEL:
                self._count(now, failed)

    def abandon(self) -> None:
        """The call broke off for a reason of ours: it says nothing of the taxi company."""
        with self._lock:
            self._give_back()

    def state(self, now: float) -> State:
        """How it is now."""
        with self._lock:
            self._forget(now)
            failures = sum(failed for _, failed in self._calls)
            wait_s = round(self._waiting(now), 3)
            return State(self._state, len(self._calls), failures, round(self._tokens, 1), wait_s)

    def _check_wait(self, now: float) -> None:
        left = self._waiting(now)
        if left > 0:
            name = "Taxi.Throttled" if left <= PATIENCE_S else "Taxi.Unavailable"
            raise StepError(name, f"{self.operation}: the taxi company asks all to wait", retry_after=left)

    def _waiting(self, now: float) -> float:
        # A clock that was set back must not make the wait longer.
        return self._not_before - now if self._asked_at <= now < self._not_before else 0.0

    def _check_pace(self, now: float) -> None:
        left = self._last_call + self.limits.pace_s - now
        if self._tokens <= self.limits.tokens / 2 and 0 < left <= self.limits.pace_s:
            raise StepError("Taxi.Throttled", "cancels fail: they go one by one", retry_after=left)

    def _check_breaker(self, now: float) -> None:
        if self._state == OPEN:
            left = self._opened_at + self.limits.open_s - now
            if 0 < left <= self.limits.open_s:
                raise StepError("Taxi.CircuitOpen", f"{self.operation}: most calls failed", retry_after=left)
            self._state, self._probing, self._passed = HALF_OPEN, 0, 0
        if self._state == HALF_OPEN:
            if self._probing + self._passed >= self.limits.probes:
                raise StepError("Taxi.CircuitOpen", f"{self.operation}: a probe is on its way", retry_after=1.0)
            self._probing += 1

    def _count(self, now: float, failed: bool) -> None:
        self._calls.append((now, failed))
        self._forget(now)
        if self._state == HALF_OPEN and self._probing:
            self._probing -= 1
            self._passed += not failed
            if failed:
                self._open(now)
            elif self._passed >= self.limits.probes:
                self._state = CLOSED
                self._calls.clear()
        elif self._state == CLOSED and len(self._calls) >= self.limits.least_calls:
            failures = sum(failed for _, failed in self._calls)
            if failures >= self.limits.failing * len(self._calls):
                self._open(now)

    def _open(self, now: float) -> None:
        self._state, self._opened_at = OPEN, now

    def _give_back(self) -> None:
        if self._state == HALF_OPEN and self._probing:
            self._probing -= 1

    def _forget(self, now: float) -> None:
        while self._calls and not 0 <= now - self._calls[0][0] <= self.limits.window_s:
            self._calls.popleft()


@cache
def health_of(base: str) -> dict[str, Health]:
    """The operations of the taxi company at an address, for the life of the process."""
    return {operation: Health(operation) for operation in (QUOTE, CREATE, READ, CANCEL)}
