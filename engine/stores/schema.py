"""The schema of a store: which migrations there are, and what a look at it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.errors import StoreTooNew
from engine.stores.sql import migrations, statements


class Owner(NamedTuple):
    """A process that runs executions: its id and host, since when (seconds since the epoch), and whether it lives."""

    process: str
    since: float
    alive: bool


MAP_RUNS: Final = 5
"""The schema from which on there are map runs."""
CHILDREN: Final = ("pending", "running", "succeeded", "failed", "aborted")


class StoreStatus(NamedTuple):
    """How a store is. `schema` and `newest` number migrations; `executions` counts by status; `due` those that wait for
    somebody to run them now. The children of map runs are only in `due`, and in `children`, which counts them: pending,
    running, succeeded, failed, aborted."""

    url: str
    database: str
    schema: int
    newest: int
    bytes: int | None
    executions: Mapping[str, int]
    due: int
    owners: Sequence[Owner]
    children: Mapping[str, int]


def counts(db: Any, version: int, older: str) -> tuple[dict[str, int], dict[str, int]]:
    """Executions by status, and children of map runs by what they are. `older`: the statement for executions where the
    schema knows no map runs."""
    if version < MAP_RUNS:
        return dict(db.execute(older).fetchall()), {}
    sql = statements("portable")
    (found,) = db.execute(sql["count_in_map_runs"]).fetchall()
    children = {name: int(count) for name, count in zip(CHILDREN, found, strict=True) if count}
    return dict(db.execute(sql["count"]).fetchall()), children


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
