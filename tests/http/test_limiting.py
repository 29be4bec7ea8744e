"""The rate limits by themselves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from limits.storage import MemoryStorage

from engine.service.http.limiting import RateLimits
from engine.service.http.problems import Refused

REQUESTS = 8


class Slowly:
    """An attribute that takes a moment to read, as one does for a thread that is interrupted right then."""

    def __get__(self, holder: Any, kind: type) -> Any:
        time.sleep(0.01)
        return holder.__dict__["timer"]

    def __set__(self, holder: Any, value: Any) -> None:
        holder.__dict__["timer"] = value


class Asked:
    """As much of a caller, a request and an operation as is looked at."""

    id = "mem_ana"
    peer = "192.0.2.1"
    rate = "5/minute"


def test_requests_at_once_are_counted_each_and_none_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStorage, "timer", Slowly(), raising=False)
    limits, asked, together = RateLimits(None), _asked(), threading.Barrier(REQUESTS)
    limits.check(_asked("mem_ben"), asked, asked)
    limits._limiter.storage.timer.join()  # so that the next ones start another

    def ask(_: int) -> str:
        together.wait(10)
        try:
            limits.check(asked, asked, asked)
        except Refused as refused:
            return refused.code
        return "answered"

    with ThreadPoolExecutor(REQUESTS) as threads:
        answers = list(threads.map(ask, range(REQUESTS)))
    assert sorted(answers) == ["answered"] * 5 + ["rate_limited"] * 3


def _asked(who: str = "mem_ana") -> Any:
    asked = Asked()
    asked.id = who
    return asked
