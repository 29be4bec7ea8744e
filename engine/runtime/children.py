"""The children of distributed Maps as executions of their own: starting them, counting their ends, reading the results.

Starting is one call of the parent's Map frame. It writes the children in batches, each in a transaction of its own, and
goes on where it was when it is made again. Whatever ends a child counts it in the same transaction (`settle`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from engine.core.decide import decide
from engine.core.events import Decision, ExecutionRedriven, TaskSucceeded
from engine.core.execution import ABORTED, FAILED, RUNNING, SUCCEEDED, TASK, TIMED_OUT, Execution, Frame
from engine.core.exporting import FIRST
from engine.core.forks import REDRIVE, RESULTS, writer_of
from engine.core.redrive import misfit, refusal
from engine.core.scope import map_run
from engine.core.spreading import LINK, Family, map_run_of
from engine.errors import ExecutionFailure
from engine.runtime.machines import Machines, new_secret, spreads
from engine.runtime.redriving import renewed
from engine.runtime.signals import signal_of
from engine.states.map_ import Map
from engine.step import Connection, Step, TaskReceipt
from engine.stores import KEEP, Change, Redrive, Store, Stored, map_runs, rows
from engine.stores.map_runs import BATCH, Ended, MapRun, Seed
from engine.tasks.flows import DEEPEST
from engine.values import JSON, MAX_PAYLOAD_BYTES, dump

BROKEN: Final = (FAILED, ABORTED, TIMED_OUT)
TOO_DEEP: Final = f"more than {DEEPEST} executions stand inside one another"
ITEM: Final = re.compile(r"\bMap\b\s*[.\[]")
"""How a state speaks of Map.Item in its context."""


def step(store: Store, machines: Machines) -> Step:
    """What the calls of a distributed Map are to whose children are executions of their own."""
    return Step("children", _Children(store, machines), idempotency="keyed")


class _Children:
    """The handler of `step`."""

    def __init__(self, store: Store, machines: Machines) -> None:
        self._store = store
        self._machines = machines

    def __call__(self, arguments: JSON, ctx: Any) -> TaskReceipt | JSON:
        parent: Execution = ctx.running
        path = ctx.call.partition("#")[0]
        frame = parent.frames.get(path)
        if frame is None or not _waits(frame, ctx.call):
            return None  # nobody waits for it any more
        if frame.call["spread"] == RESULTS:
            return self._results(parent, frame, ctx)
        again = frame.call["spread"] == REDRIVE
        if again:
            with ctx.transaction() as db:
                before = map_runs.find(db, parent.name, frame.call["of"])
                if before is not None:
                    map_runs.recall(db, before)
                    self._store.announce(db)
        with ctx.transaction() as db:
            run = map_runs.find(db, parent.name, ctx.call) or self._begin(db, parent, frame, ctx.call)
            digest = map_runs.definition_of(db, parent.name)
        if run is None:
            return None
        maker = _Maker(self._machines, parent, frame, digest, run, ctx.clock.now())
        while run is not None and run.status == RUNNING and run.created < run.total:
            known = run
            try:
                run = (self._redrive(maker, known, ctx) if again else None) or self._create(maker, known, ctx)
            except ExecutionFailure as failure:
                return self._refuse(known, failure, ctx)
        return self._over(run, ctx) if again and run is not None else TaskReceipt(None)

    def _create(self, maker: _Maker, run: MapRun, ctx: Any) -> MapRun | None:
        """Write the next batch. Raises ExecutionFailure."""
        seeds = maker.seeds(run.created)  # before the row is held: others wait for it
        with ctx.transaction() as db:
            held = _hold(db, run)
            if held is not None and held.created == run.created:
                held = map_runs.create(db, held, seeds, maker.flow, maker.definition, ctx.clock.now())
                self._store.announce(db)
        return held

    def _redrive(self, maker: _Maker, run: MapRun, ctx: Any) -> MapRun | None:
        """Let the next batch of those that have begun before go on; None when there are no more."""
        now = ctx.clock.now()
        with ctx.transaction() as db:
            held = _hold(db, run)
            found = [] if held is None else map_runs.existing(db, held)
            if held is None or not found:
                return None
            broken = [child for child in found if child.execution.status in BROKEN]
            redriven = [maker.redriven(child, now) for child in broken]
            going = [child for child in redriven if child is not None]
            refused = [child.execution for child, goes in zip(broken, redriven, strict=True) if goes is None]
            held = map_runs.redrive(db, held, len(found), going, refused, now)
            self._store.announce(db)
        return held

    def _over(self, run: MapRun, ctx: Any) -> TaskReceipt | JSON:
        """A run that goes on may have nothing left to do."""
        with ctx.transaction() as db:
            held = _hold(db, run)
            if held is None:
                return TaskReceipt(None)
            held = map_runs.over(db, held, ctx.clock.now())
        return TaskReceipt(None) if held.status == RUNNING else {"status": held.status}

    def _begin(self, db: Connection, parent: Execution, frame: Frame, token: str) -> MapRun | None:
        """Write the map run, if the parent still waits for it."""
        key, body = map_runs.parent_frame(db, parent.name, frame.path)
        if body is None or not _waits(Frame.from_json({**rows.FRESH, **json.loads(body), "fork": None}), token):
            return None
        if frame.call["spread"] == REDRIVE:
            before = map_runs.find(db, parent.name, frame.call["of"])
            held = None if before is None else map_runs.hold(db, before.id)
            if held is not None:
                return map_runs.reopen(db, held, token)
        fork, state = frame.fork, self._machines.of(map_runs.definition_of(db, parent.name)).find[frame.state]
        assert fork is not None
        assert isinstance(state, Map)
        name = map_run(parent, frame, state.label or state.name).rpartition(":")[2]
        map_runs.add(db, key, token, name, frame.state, (fork.count, fork.limit, fork.tolerated))
        return map_runs.find(db, parent.name, token)

    def _refuse(self, run: MapRun, failure: ExecutionFailure, ctx: Any) -> JSON:
        """The input of a child cannot be made: the whole run ends."""
        with ctx.transaction() as db:
            held = _hold(db, run)
            if held is not None:
                map_runs.end(db, held, FAILED, ctx.clock.now())
                self._store.announce(db)
        names = ("error", "cause", "kind", "location", "explain")
        return {"failure": {name: getattr(failure, name) for name in names}}

    def _results(self, parent: Execution, frame: Frame, ctx: Any) -> JSON:
        """The results of all children in their order, None when they are too large for any state's result; or the next
        part of those that are written out."""
        state = self._machines.of(self._digest(parent, ctx)).find[frame.state]
        with ctx.transaction() as db:
            run = map_runs.find(db, parent.name, frame.call["of"])
            if run is None:
                return None
            if writer_of(state) is not None:
                at = frame.call.get("part") or FIRST
                found, following = map_runs.part(db, run, at["group"], at["first"])
                return {"part": found, "next": following}
            if map_runs.results_size(db, run.id) > 2 * MAX_PAYLOAD_BYTES:
                return {"results": None}
            return {"results": list(map_runs.results(db, run.id))}

    def _digest(self, parent: Execution, ctx: Any) -> str:
        with ctx.transaction() as db:
            return map_runs.definition_of(db, parent.name)


def _hold(db: Connection, run: MapRun) -> MapRun | None:
    """The run as it is, held, if it still goes on for the call that it went on for. It may not: whoever makes that call
    may have been given up for dead, and the run have been redriven since, with a newer definition."""
    held = map_runs.hold(db, run.id)
    return held if held is not None and held.status == RUNNING and held.token == run.token else None


def _waits(frame: Frame, call: str) -> bool:
    return frame.wait == TASK and call == f"{frame.path}#{frame.token}" and "spread" in frame.call


class _Maker:
    """Makes the rows of the children of one map run."""

    def __init__(
        self, machines: Machines, parent: Execution, frame: Frame, digest: str, run: MapRun, now: float
    ) -> None:
        self._parent, self._run = parent, run
        self._family = Family(machines.of(digest), parent, frame.path, now)
        self.flow = self._family.flow
        self.definition = f"{digest.partition('#')[0]}#{frame.state}"
        self._machine = machines.of(self.definition)
        self._shows = ITEM.search(dump(self._machine.source)) is not None
        self._depth = 1 + (parent.parent or {}).get("depth", 0)

    def seeds(self, first: int) -> list[Seed]:
        """The next batch. Raises ExecutionFailure."""
        if self._depth > DEEPEST:
            raise ExecutionFailure("States.Runtime", TOO_DEEP)
        last = min(first + BATCH, self._run.total)
        made = self._family.children(first, last)
        return [Seed(name, data, self._header(name, data, item)) for item, (name, data) in enumerate(made, start=first)]

    def redriven(self, child: Stored, now: float) -> Redrive | None:
        """How a child that has ended badly goes on, with its parent's definition of now; None when it cannot."""
        execution = renewed(child.execution, self._machine, self._parent.pins)
        link = execution.parent or {}
        if self._shows and "shown" not in link:
            execution.parent = {**link, "shown": self._family.shown(link["item"])}
        if not execution.events:  # it had not begun
            return Redrive(child.key, child.version, Decision(execution, {}, [], []), self.definition)
        if refusal(execution) is not None:
            return None
        if not self._family.express and misfit(self._machine, execution) is not None:
            return None
        decision = decide(self._machine, execution, ExecutionRedriven(now, anew=self._family.express))
        decision.execution.deadline = None  # it may have to wait until there is room
        return Redrive(child.key, child.version, decision, self.definition)

    def _header(self, name: str, data: JSON, item: int) -> str:
        parent = self._parent
        link = {
            "name": parent.name, "token": self._run.token, "as": LINK, "depth": self._depth,
            "run": self._run.id, "item": item,
        }  # fmt: skip
        if self._family.batched:
            link["items"] = len(data["Items"])
        if self._shows:
            link["shown"] = self._family.shown(item)
        child = Execution(
            name,
            data,
            machine_id=self.flow,
            history_limit=parent.history_limit,
            express=self._family.express,
            secret=new_secret(),
            parent=link,
            pins=parent.pins,
            spreads=spreads(self._machine),
        )
        return rows.header(child)


# -- what the commits of children and parents mean for map runs -----------------------------------------------------


def concerns(before: Execution, change: Change) -> bool:
    """Whether a change has to do with a map run: a child ends or is given back, or a parent waits no longer."""
    execution = change.decision.execution
    is_child = execution.parent is not None and execution.parent["as"] == LINK
    if is_child and (execution.status != RUNNING or change.wakes != KEEP):
        return True
    return before.spreads and bool(_left(before, change.decision))


def settle(store: Store, db: Connection, made: Sequence[tuple[Execution, Change]]) -> None:
    """Count what has happened in the transaction that is open; `made`: what concerns map runs."""
    ended: dict[int, list[tuple[Execution, bool]]] = {}
    given_back: dict[int, list[int]] = {}
    for before, change in made:
        execution = change.decision.execution
        link = execution.parent
        if link is None or link["as"] != LINK:
            continue
        if execution.status != RUNNING:
            ended.setdefault(link["run"], []).append((execution, before.runs > 0))
        elif change.wakes != KEEP:
            given_back.setdefault(link["run"], []).append(change.key)
    for key in sorted({*ended, *given_back}):  # one order for everybody
        run = map_runs.hold(db, key)
        if run is None:
            continue
        children = ended.get(key, ())
        if children:
            _count(store, db, run, children)
        if run.status != RUNNING:
            for child in given_back.get(key, ()):
                map_runs.wake(db, child)  # it has been told to stop
    for before, change in made:
        for token in _left(before, change.decision) if before.spreads else ():
            found = map_runs.find(db, before.name, token)
            held = map_runs.hold(db, found.id) if found is not None and found.status == RUNNING else None
            if held is not None and held.status == RUNNING:
                map_runs.end(db, held, ABORTED, _moment(change.decision))
                store.announce()


def _count(store: Store, db: Connection, run: MapRun, children: Sequence[tuple[Execution, bool]]) -> None:
    """Children of a run that is held have ended, each with whether it had been let in."""
    ended = [Ended(child.status, begun, map_runs.items_of(child)) for child, begun in children]
    now = max(child.stopped or child.started for child, _ in children)
    after = map_runs.end_children(db, run, ended, now)
    if run.status == RUNNING and after.status in (SUCCEEDED, FAILED):
        parent = (children[0][0].parent or {})["name"]
        store.tell([(parent, signal_of(TaskSucceeded(after.token, {"status": after.status}, now)))])
    elif after.begun != run.begun:
        store.announce()


def _left(before: Execution, decision: Decision) -> list[str]:
    """The calls by which a parent waited for map runs before a decision, and does not any more."""
    over = decision.execution.status != RUNNING
    paths: Iterable[str] = before.frames if over else decision.frames
    left = []
    for path in paths:
        waited = before.frames.get(path)
        token = None if waited is None else map_run_of(waited)
        if token is not None:
            now = decision.frames.get(path, waited)
            if over or now is None or map_run_of(now) != token:
                left.append(token)
    return left


def _moment(decision: Decision) -> float:
    return decision.history[-1][2] if decision.history else decision.execution.started
