"""Activities: work that is done by whoever asks for it, wherever that is.

A call of an activity is a row in a queue, written in the transaction that records the call. `take` hands it out to one
of those who ask, the oldest first; the answer comes back with the task token, as for `.waitForTaskToken`. An activity
needs no registration: its ARN in a flow is enough.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.core.scope import ARN
from engine.outcomes import Resource
from engine.step import Connection, Step, TaskReceipt
from engine.stores.sql import read_statements
from engine.values import JSON, dump

SQL: Final = read_statements(Path(__file__).with_name("activities.sql"))


class ActivityTask(NamedTuple):
    """Work that was handed out: the token that its answer needs, and its input."""

    token: str
    input: JSON


def activity_arn(name: str) -> str:
    """The ARN of an activity that is given by its name or its ARN."""
    return name if name.startswith("arn:") else f"{ARN}:activity:{name}"


def step(resource: Resource) -> Step:
    """The call of an activity: put it into the queue."""

    def queue(arguments: JSON, ctx: Any) -> TaskReceipt:
        with ctx.transaction() as db:
            now = ctx.now().timestamp()
            db.execute(SQL["queue"], (ctx.token, resource.uri, ctx.execution, dump(arguments), now))
        return TaskReceipt(None)

    made = Step("activity", queue, idempotency="keyed", transactional=True)
    made.name = f"activity:{resource.name.rpartition(':')[2]}"
    return made


def take(db: Connection, activity: str, worker: str | None, now: float) -> ActivityTask | None:
    """Hand out the oldest task, inside the caller's transaction; None when there is none. Whether anything still waits
    for it is the caller's to see."""
    while (row := db.execute(SQL["first"], (activity,)).fetchone()) is not None:
        token, text = row
        if db.execute(SQL["take"], (now, worker, token)).fetchone() is not None:
            return ActivityTask(token, json.loads(text))
    return None


def drop(db: Connection, token: str) -> None:
    """Forget a task: it was answered, or nobody waits for it."""
    db.execute(SQL["drop"], (token,))
