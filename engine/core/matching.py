"""Which retrier or catcher takes an error, and how long to wait. Source: States Language specification, "Errors"."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from engine.machine import Catcher, Retrier

RUNTIME = "States.Runtime"
"""The flow itself is wrong: no retrier and no catcher takes it, not even by name (recorded on AWS)."""

TIMEOUT = "States.Timeout"
LONGEST = 99_999_999.0
"""Most seconds between two tries where MaxDelaySeconds does not say it: the most that a flow can say at all."""
HEARTBEAT = "States.HeartbeatTimeout"


def matches(names: Sequence[str], error: str | None, *, heartbeat: bool = False) -> bool:
    """Whether an ErrorEquals list takes the error. A missed heartbeat answers to its own name and to States.Timeout."""
    if error == RUNTIME:
        return False
    if error in names or (heartbeat and HEARTBEAT in names):
        return True
    return "States.ALL" in names or ("States.TaskFailed" in names and error != TIMEOUT)


def find_retrier(
    retriers: Sequence[Retrier], spent: tuple[int, ...], error: str | None, *, heartbeat: bool = False
) -> int | None:
    """The first retrier that takes the error, if it has attempts left; a spent one ends the search, as on AWS."""
    for number, retrier in enumerate(retriers):
        if matches(retrier.errors, error, heartbeat=heartbeat):
            used = spent[number] if spent else 0
            return number if used < retrier.max_attempts else None
    return None


def find_catcher(catchers: Sequence[Catcher], error: str | None, *, heartbeat: bool = False) -> Catcher | None:
    """The first catcher that takes the error."""
    return next((catcher for catcher in catchers if matches(catcher.errors, error, heartbeat=heartbeat)), None)


def retry_delay(
    retrier: Retrier, used: int, draw: Callable[[], random.Random], retry_after: float | None = None
) -> float:
    """Seconds until the next try, after `used` retries by this retrier. `retry_after` is a lower bound."""
    longest = LONGEST if retrier.max_delay is None else retrier.max_delay
    # After many retries the power is a number that no float holds.
    grown = math.log(retrier.interval) + used * math.log(retrier.backoff_rate)
    beyond = grown > math.log(longest) + 1
    delay = longest if beyond else min(retrier.interval * retrier.backoff_rate**used, longest)
    if retrier.jitter:
        delay = draw().uniform(0, delay)
    return max(delay, retry_after or 0.0)
