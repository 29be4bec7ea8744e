"""The schema of a store: which migrations there are, and what a look at it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.errors import StoreTooNew
from engine.stores.sql import migrations


class Owner(NamedTuple):
    """A process that runs executions: its id and host, since when (seconds since the epoch), and whether it lives."""

    process: str
    since: float
    alive: bool


class StoreStatus(NamedTuple):
    """How a store is. `schema` and `newest` number migrations; `executions` counts by status; `due` those that wait for
    somebody to run them now."""

    url: str
    database: str
    schema: int
    newest: int
    bytes: int | None
    executions: Mapping[str, int]
    due: int
    owners: Sequence[Owner]


def newest(database: str) -> int:
    """The number of the newest migration."""
    return migrations(database)[-1].number


def check_known(version: int, database: str, url: str) -> None:
    """Raises StoreTooNew for a version that this installation does not know."""
    if version > newest(database):
        raise StoreTooNew(
            f"{url} was written by a newer version (schema {version}, this one knows {newest(database)}); "
            "upgrade this installation: pip install --upgrade booking-orchestrator"
        )
