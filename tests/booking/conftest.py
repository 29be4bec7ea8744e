from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.simulator import Simulator
from tests.booking.world import START, Desk, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """A factory: `world("F07", plan={…}, TAXI_TOMBSTONES="no")` gives a World with these faults, plan and settings."""
    made: list[World] = []

    def make(*faults: str, plan: Any = None, **settings: str) -> World:
        simulator = Simulator(plan, faults=faults, clock="virtual", start_at=START, hang_s=3).start()
        folder = tmp_path / f"world-{len(made)}"
        folder.mkdir()
        made.append(World(folder, simulator, settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.sim.stop()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A context for steps without an engine, on a fresh database."""
    made = Desk(tmp_path / "desk.db")
    yield made
    made.close()
