"""Lists of executions: only small columns are read, along an index, and no more rows than are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine.core.execution import RUNNING
from engine.stores import EVERYTHING, Store, Summary, Wanted, rows

COLUMNS: Final = "name, flow, status, started_at, stopped_at, error, state, paused_at, parked, header"

CHILDREN: Final = "map_run IN (SELECT m.id FROM map_runs m JOIN executions p ON p.id = m.execution WHERE p.name = ?)"


def summaries(store: Store, wanted: Wanted = EVERYTHING) -> Sequence[Summary]:
    """The executions that are wanted, the youngest first."""
    sql, parameters = query(wanted)
    with store.reading() as db:
        found = db.execute(sql, parameters).fetchall()
    return [Summary(*row[:-1])._replace(error=rows.decoded_error(row[5]), parent=rows.parent(row[-1])) for row in found]


def query(wanted: Wanted) -> tuple[str, list[Any]]:
    """The statement and its parameters. Each part of it fits an index (see the migrations)."""
    parts = ["started_at >= ?"]
    parameters: list[Any] = [wanted.since]
    # Only what runs is in a state. There is no index by state: every step would have to move in it.
    status = RUNNING if wanted.state is not None and wanted.status is None else wanted.status
    for part, value in (("status = ?", status), ("state = ?", wanted.state), ("flow = ?", wanted.flow)):
        if value is not None:
            parts.append(part)
            parameters.append(rows.plain(value))
    if wanted.map_of is None:
        parts.append("map_run IS NULL")
    else:
        parts.append(CHILDREN)
        parameters.append(wanted.map_of)
    if wanted.paused is not None:
        parts.append(f"paused_at IS {'NOT ' if wanted.paused else ''}NULL")
    # Few are paused, or of one map run: they are found by their own index, and not along that of all by their start.
    order = "+started_at" if wanted.paused or wanted.map_of is not None else "started_at"
    where = " AND ".join(parts).replace("started_at >=", f"{order} >=")
    text = f"SELECT {COLUMNS} FROM executions WHERE {where} ORDER BY {order} DESC, name LIMIT ?"
    return text, [*parameters, wanted.limit]
