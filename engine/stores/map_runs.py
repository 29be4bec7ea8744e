"""Map runs in a store: one row counts the children of a distributed Map, each of which is an execution of its own.

Rules of this file:

1. Every change of a map run holds its row first: so its counts are exact, and it ends once.
2. Children get their rows in bounded batches, in the order of their items. `begun` is the first item that is not let
   in yet: whatever is RUNNING from there on is pending, and nobody takes it up.
3. The commit that ends a child counts it, and lets in the next one or ends the run.
4. When a run ends before all its children have, those that nobody has begun end with it; the others are told to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from engine.core.execution import ABORTED, FAILED, RUNNING, SUCCEEDED, Execution
from engine.core.forks import PENDING
from engine.step import Connection
from engine.stores import Redrive, Stored, rows
from engine.stores.sql import statements
from engine.values import JSON

BATCH: Final = 500
"""Most children that one transaction writes, or reads."""
PART: Final = 4 * 1024 * 1024
"""About how many characters of results are read at once to be written out."""
FEW: Final = 50
"""Most rows that are read at once to be written out: each may be large."""
RECORD: Final = 600
"""About how many characters AWS's facts about a child are, beside its input and output."""
OVER: Final = "the map run has ended"
STOP: Final = rows.encode({"event": "ExecutionStopped", "time": 0.0, "cause": OVER})


class MapRun(NamedTuple):
    """One map run. `concurrency`: most children at once, 0 for all; `tolerated`: how many items may be
    lost, and how many `lost` the children that have not ended well; `created`: how many have a row; `running`: let in
    and not over."""

    id: int
    token: str
    name: str
    state: str
    status: str
    total: int
    concurrency: int
    tolerated: int
    created: int
    begun: int
    running: int
    succeeded: int
    failed: int
    aborted: int
    lost: int

    @property
    def pending(self) -> int:
        """How many have not been let in."""
        return self.total - self.running - self.succeeded - self.failed - self.aborted

    @property
    def room(self) -> int:
        """How many more may be let in at once."""
        return max(0, self.concurrency - self.running) if self.concurrency else self.total


class Seed(NamedTuple):
    """A child to be: name, input, and the column `header`."""

    name: str
    input: JSON
    header: str


class Ended(NamedTuple):
    """A child that has ended: its status, whether it had been let in, and how many items it was for."""

    status: str
    begun: bool = True
    items: int = 1


def items_of(child: Execution) -> int:
    """How many items a child is for: one, unless these are put into batches."""
    found: int = (child.parent or {}).get("items", 1)
    return found


def told(run: MapRun) -> dict[str, JSON]:
    """The run for people: name, state, status, limits, and counts of children."""
    names = ("name", "state", "status", "total", "pending", "running", "succeeded", "failed", "aborted")
    return {name: getattr(run, name) for name in (*names, "concurrency", "tolerated")}


def find(db: Connection, parent: str, token: str) -> MapRun | None:
    """The map run that this call of that execution waits for."""
    return next(_runs(db, "map_run", (parent, token)), None)


def of(db: Connection, parent: str) -> list[MapRun]:
    """The map runs of an execution, the oldest first."""
    return list(_runs(db, "map_runs", (parent,)))


def hold(db: Connection, run: int) -> MapRun | None:
    """The map run as it is, held until the transaction ends; None when it was removed."""
    return next(_runs(db, "hold_map_run", (run,)), None)


def _runs(db: Connection, statement: str, parameters: Sequence[JSON]) -> Iterator[MapRun]:
    for row in db.execute(statements("portable")[statement], parameters).fetchall():
        yield MapRun(*row)


def definition_of(db: Connection, parent: str) -> str:
    """The definition of an execution."""
    ((found,),) = db.execute(statements("portable")["definition_of"], (parent,)).fetchall()
    return str(found)


def results_size(db: Connection, run: int) -> int:
    """How long the outputs of all children are together, as JSON text."""
    ((size,),) = db.execute(statements("portable")["results_size"], (run,)).fetchall()
    return int(size)


def _count(db: Connection, run: MapRun) -> None:
    counts = (run.created, run.begun, run.running, run.succeeded, run.failed, run.aborted, run.lost)
    db.execute(statements("portable")["count_map_run"], (run.status, *counts, run.id))


def parent_frame(db: Connection, parent: str, path: str) -> tuple[int, str | None]:
    """The key of an execution that runs, held until the transaction ends, and the body of one of its frames; the key
    is 0 when it does not run any more."""
    for key, root in db.execute(statements("portable")["hold_parent"], (parent,)).fetchall():
        if path == "0":
            return key, root
        found = db.execute(statements("portable")["frame_of"], (key, path)).fetchall()
        return key, found[0][0] if found else None
    return 0, None


def add(db: Connection, parent: int, token: str, name: str, state: str, counts: tuple[int, int, int]) -> None:
    """Begin a map run. `counts`: total, concurrency, tolerated."""
    db.execute(statements("portable")["add_map_run"], (parent, token, name, state, *counts))


def create(db: Connection, run: MapRun, seeds: Sequence[Seed], flow: str, definition: str, now: float) -> MapRun:
    """Write the next children of a run that is held, and let in those for which there is room. Answers it as it is
    then."""
    first = run.created
    entering = min(run.room, len(seeds)) if run.begun == first else 0
    values: list[JSON] = []
    for number, seed in enumerate(seeds):
        due = now if number < entering else None
        text = rows.encode(seed.input)
        values += (seed.name, rows.plain(flow), due, now, definition, seed.header, text, run.id, first + number)
    row = "(?, ?, 'RUNNING', 1, ?, 0, 0, 0, ?, ?, ?, ?, ?, ?)"
    db.execute(
        "INSERT INTO executions (name, flow, status, version, wakes_at, events, sequence, runs, started_at, definition,"
        f" header, input, map_run, item) VALUES {', '.join([row] * len(seeds))}",
        values,
    )
    run = run._replace(created=first + len(seeds), begun=run.begun + entering, running=run.running + entering)
    run = _let_in(db, run, now)
    _count(db, run)
    return run


def end_children(db: Connection, run: MapRun, ended: Sequence[Ended], now: float) -> MapRun:
    """Count children that have ended; let others in, or end the run, which is held. Answers it as it is then."""
    counts = {status: sum(child.status == status for child in ended) for status in (SUCCEEDED, ABORTED)}
    run = run._replace(
        running=run.running - sum(child.begun for child in ended),
        succeeded=run.succeeded + counts[SUCCEEDED],
        aborted=run.aborted + counts[ABORTED],
        failed=run.failed + len(ended) - sum(counts.values()),
        lost=run.lost + sum(child.items for child in ended if child.status != SUCCEEDED),
    )
    if run.status == RUNNING:
        if run.lost > run.tolerated:
            return end(db, run, FAILED, now)
        if run.succeeded + run.failed + run.aborted == run.total:
            run = run._replace(status=SUCCEEDED)
        else:
            run = _let_in(db, run, now)
    _count(db, run)
    return run


def _let_in(db: Connection, run: MapRun, now: float) -> MapRun:
    """Let in the next children that are pending, as many as there is room for."""
    room = min(run.room, run.pending)
    if not room or run.begun >= run.created:
        return run
    sql = statements("portable")
    items = [item for (item,) in db.execute(sql["pending_children"], (run.id, run.begun, room)).fetchall()]
    if not items:
        return run
    db.execute(sql["begin_children"], (now, now, run.id, run.begun, items[-1]))
    return run._replace(begun=items[-1] + 1, running=run.running + len(items))


def end(db: Connection, run: MapRun, status: str, now: float) -> MapRun:
    """End a run that is held, with all its children. Answers it as it is then."""
    sql = statements("portable")
    pending = db.execute(sql["abort_pending_children"], (now, rows.encode(OVER), run.id, run.begun)).rowcount
    let_in = db.execute(sql["abort_unbegun_children"], (now, rows.encode(OVER), run.id)).rowcount
    db.execute(sql["tell_children"], (STOP, run.id))
    db.execute(sql["wake_children"], (run.id,))
    # Of those that have no row yet there will never be one.
    unmade = run.total - run.created
    run = run._replace(status=status, running=run.running - let_in, aborted=run.aborted + pending + let_in + unmade)
    _count(db, run)
    return run


def recall(db: Connection, run: MapRun) -> None:
    """Take back that the children of a run that has ended are to stop: those that have not yet go on. Whoever runs them
    may have heard it already, and loses them, so that nothing can come of it."""
    sql = statements("portable")
    db.execute(sql["untell_children"], (STOP, run.id))
    db.execute(sql["take_children"], (run.id,))


def reopen(db: Connection, run: MapRun, token: str) -> MapRun:
    """Have a run that is held go on for that call: its children are looked through once more, from the first item on.
    Answers it as it is then."""
    sql = statements("portable")
    db.execute(sql["move_map_run"], (token, run.id))
    counts = dict(db.execute(sql["count_children"], (run.id,)).fetchall())
    run = run._replace(
        token=token, status=RUNNING, created=0, begun=0, failed=0, aborted=0, lost=0,
        running=counts.get(RUNNING, 0), succeeded=counts.get(SUCCEEDED, 0),
    )  # fmt: skip
    _count(db, run)
    return run


def existing(db: Connection, run: MapRun) -> list[Stored]:
    """The next children of a run that goes on, as far as they have rows."""
    sql = statements("portable")
    bounds = (run.id, run.created, run.created + BATCH)
    found = db.execute(sql["children_to_redrive"], bounds).fetchall()
    return [rows.stored(row, [body for (body,) in db.execute(sql["frames_of"], (row[0],)).fetchall()]) for row in found]


def redrive(
    db: Connection, run: MapRun, seen: int, redriven: Sequence[Redrive], refused: Sequence[Execution], now: float
) -> MapRun:
    """Let children of a run that is held go on, as soon as there is room. `seen`: how many children that is, with those
    that need nothing; `refused`: those that cannot go on. Answers the run as it is then."""
    # What SQLite's statements say here, PostgreSQL understands as well.
    sql = {**statements("sqlite"), **statements("portable")}
    made = [(child.key, child.decision) for child in redriven]
    succeeded, failed = 0, list(refused)
    for child in redriven:
        if not child.decision.history:
            header = rows.header(child.decision.execution)
            db.execute(sql["reopen_pending_child"], (child.definition, header, child.key))
            continue
        db.execute(sql["reopen"], rows.reopen_row(child))
        status = child.decision.execution.status
        if status == RUNNING:
            db.execute(sql["hold_back_child"], (child.key,))
        elif status == SUCCEEDED:
            succeeded += 1
        else:
            failed.append(child.decision.execution)
    written, gone = rows.frame_rows(made)
    for statement, values in (("put_frame", written), ("drop_frame", gone)):
        for row in values:
            db.execute(sql[statement], row)
    for history in rows.history_rows(made):
        db.execute(sql["append_history"], history)
    run = run._replace(
        created=run.created + seen,
        succeeded=run.succeeded + succeeded,
        failed=run.failed + len(failed),
        lost=run.lost + sum(map(items_of, failed)),
    )
    run = _let_in(db, run, now)
    _count(db, run)
    return run


def over(db: Connection, run: MapRun, now: float) -> MapRun:
    """End a run that is held if there is nothing left to do in it. Answers it as it is then."""
    return end_children(db, run, (), now)


def results(db: Connection, run: int) -> Iterator[list[JSON]]:
    """How each child ended, in the order of the items: its status, its output or its error and cause, when it started
    and stopped, and how often it was redriven; of one that never began only that it is PENDING."""
    for row in _results(db, "results_of", run, 0, BATCH):
        yield _result(*row[1:9])


def part(db: Connection, run: MapRun, group: str, first: int) -> tuple[list[JSON], int | None]:
    """How children of a group (SUCCEEDED, PENDING; FAILED: the others) have ended, from that item on: `[item, *result]`
    each, about as many as PART characters hold; with the item from which on there may be more."""
    found: list[JSON] = []
    size = 0
    for item, *row, given in _results(db, f"{group.lower()}_results", run.id, first, FEW):
        if size >= PART:
            return found, item
        found.append([item, *_result(*row)])
        size += RECORD + given + sum(len(text) for text in row[1:4] if text is not None)
    if group == PENDING:
        ((unmade,),) = db.execute(statements("portable")["unmade_from"], (run.id,)).fetchall()
        found += [[item, PENDING, {}] for item in range(max(first, unmade), run.total)]
    return found, None


def _results(db: Connection, statement: str, run: int, first: int, most: int) -> Iterator[Sequence[Any]]:
    """The rows of that statement, `most` at a time."""
    while True:
        found = db.execute(statements("portable")[statement], (run, first, most)).fetchall()
        yield from found
        if len(found) < most:
            return
        first = found[-1][0] + 1


def _result(
    status: str, output: str | None, error: str | None, cause: str | None,
    started: float, stopped: float | None, events: int, header: str,
) -> list[JSON]:  # fmt: skip
    known = [started, stopped, rows.redrives(header)]
    if status == SUCCEEDED:
        return [status, rows.decoded(output), *known]
    if not events:
        return [PENDING, {}]
    what = {"Error": rows.decoded(error), "Cause": rows.decoded(cause)}
    return [status, {name: value for name, value in what.items() if value is not None}, *known]


def free_children(db: Connection, parents: Sequence[int], limit: int) -> list[str]:
    """Names of children of these executions that nobody runs and that have something to do, now or later."""
    text = statements("portable")["free_children"]
    return [name for key in parents for (name,) in db.execute(text, (key, limit)).fetchall()][:limit]


def any_owned(db: Connection, parents: Sequence[int], me: int | None) -> bool:
    """Whether somebody else runs a child of one of these executions."""
    text = statements("portable")["owned_child"]
    return any(db.execute(text, (key, me or 0)).fetchall() for key in parents)


def wake(db: Connection, child: int) -> None:
    """Have somebody look at a child that was given back."""
    db.execute(statements("portable")["wake_child"], (child,))
