from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.simulator import Simulator
from steps.taxi_api.health import health_of
from tests.booking.world import START, Desk, World
from tests.stores.servers import postgres, schema


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A maker of URLs of empty stores: the test runs once on each kind of database."""
    made = []

    def url() -> str:
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path}/{secrets.token_hex(4)}.db"
        made.append(schema(request.getfixturevalue("server")))
        return made[-1].__enter__()

    yield url
    for one in made:
        one.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path: Path, database: Callable[[], str]) -> Iterator[Callable[..., World]]:
    """A factory: `world("F07", plan={…}, TAXI_TOMBSTONES="no")` gives a World with these faults, plan and settings."""
    made: list[World] = []
    health_of.cache_clear()  # a port may be used a second time, by another taxi company

    def make(*faults: str, plan: Any = None, **settings: str) -> World:
        simulator = Simulator(plan, faults=faults, clock="virtual", start_at=START, hang_s=3).start()
        folder = tmp_path / f"world-{len(made)}"
        folder.mkdir()
        made.append(World(folder, database(), simulator, settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.sim.stop()


@pytest.fixture
def desk(database: Callable[[], str]) -> Iterator[Desk]:
    """A context for steps without an engine, on a fresh database."""
    made = Desk(database())
    yield made
    made.close()
