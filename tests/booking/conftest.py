from __future__ import annotations

import secrets
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from steps.simulator import Simulator
from steps.taxi_api.health import health_of
from steps.taxi_api.hedging import hedge_of
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
    hedge_of.cache_clear()
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


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of a server that plays AWS."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def clients(aws: str) -> dict[str, Any]:
    urllib.request.urlopen(urllib.request.Request(f"{aws}/moto-api/reset", method="POST")).close()
    return {name: boto3.client(name, endpoint_url=aws) for name in ("sns", "sqs")}
