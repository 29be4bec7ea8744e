"""Every test of this folder that asks for `url` runs on all stores."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.servers import postgres, schema


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    if request.param == "memory":
        yield "memory:"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/{secrets.token_hex(4)}.db"
    else:
        with schema(request.getfixturevalue("server")) as found:
            yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store that several processes can open."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/{secrets.token_hex(4)}.db"
    else:
        with schema(request.getfixturevalue("server")) as found:
            yield found
