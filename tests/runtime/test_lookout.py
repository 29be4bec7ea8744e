"""When a worker shows a sign of life, and how much it takes up at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.runtime import lookout
from engine.runtime.lookout import CLAIM, Lookout


class Store:
    """Counts signs of life; nothing else ever happens in it."""

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> int:
        self.beats += 1
        return 0

    def changed(self) -> bool:
        return False

    def signals(self) -> Sequence[Any]:
        return ()


class Host:
    """As much of an EngineHost as a lookout needs."""

    def __init__(self) -> None:
        self.store, self.clock, self.pauses = Store(), self, self

    def now(self) -> float:
        return 0.0

    def sweep(self, now: float) -> None:
        pass


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that it is: the last of them."""
    found = [100.0]
    monkeypatch.setattr(lookout.time, "monotonic", lambda: found[-1])
    return found


@pytest.mark.parametrize(("lease", "beats"), [(15.0, 10), (3.0, 10), (1.0, 30), (0.3, 100)])
def test_signs_of_life_come_every_second_and_three_times_in_a_shorter_lease(
    moments: list[float], lease: float, beats: int
) -> None:
    host = Host()
    found = Lookout(host, lease)  # type: ignore[arg-type]
    for step in range(1000):
        moments.append(100.0 + step / 100)
        if found.look(now=False):
            found.ask()
    assert 0.9 * beats <= host.store.beats <= beats + 1, "in ten seconds"


def test_a_worker_too_slow_for_its_lease_takes_up_less_until_it_keeps_it(moments: list[float]) -> None:
    found = Lookout(Host(), 1.0)  # type: ignore[arg-type]
    for _ in range(20):
        found.clear()
    assert found.ration == 1
    for step in range(40):
        moments.append(200.0 + step)
        assert found.look(now=False)
        found.ask()
    assert found.ration == CLAIM
