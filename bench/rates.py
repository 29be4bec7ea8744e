"""Measuring rates within this process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

ROUNDS = 5


def rate(work: Callable[[], int], seconds: float) -> float:
    """Units per second: the median of five rounds. `work` answers how many units it has done."""
    rates = []
    for _ in range(ROUNDS):
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / ROUNDS:
            done += work()
        rates.append(done / (time.perf_counter() - start))
    return statistics.median(rates)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    found = sorted(values)
    return found[min(len(found) - 1, int(len(found) * share))]
