"""The children of distributed Maps: executions of their own, in memory (`engine.core.spreading` says what is asked).

All of it happens under the lock of the records, in the thread that brings an event.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from engine.core.events import Event, ExecutionStopped, HistoryEvent, ScheduleTask, TaskSucceeded
from engine.core.execution import ABORTED, FAILED, RUNNING, SUCCEEDED, TASK, Execution, Frame
from engine.core.forks import PENDING, REDRIVE, RESULTS, label_of
from engine.core.redrive import refusal
from engine.core.scope import execution_arn, map_run
from engine.core.spreading import LINK, Family
from engine.errors import ExecutionFailure
from engine.service.records import Machine, MapRun, Records, Revision, Run
from engine.states.map_ import Map
from engine.values import JSON, dump

logger = logging.getLogger("engine")


class Runner(Protocol):
    """What moves executions on (`engine.service.driver`)."""

    records: Records

    def now(self) -> float:
        """The time."""

    def start(self, run: Run) -> None:
        """Begin an execution."""

    def redrive(self, run: Run, *, anew: bool = False) -> None:
        """Let an execution that has ended go on."""

    def feed(self, run: Run, event: Event) -> None:
        """Let an event happen."""

    def write(self, found: MapRun, calls: Sequence[ScheduleTask]) -> None:
        """Have results written that nobody waits for."""


class Children:
    """Starts children, counts their ends, and tells their parents."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    # -- what the parent does ------------------------------------------------------------------------------------------

    def note(self, run: Run, entries: Iterable[HistoryEvent]) -> None:
        """What the history of an execution says of its map runs."""
        for _, previous, time, kind, details in entries:
            if kind == "MapRunStarted":
                arn = (details or {})["mapRunArn"]
                run.map_runs[arn] = self._runner.records.map_runs[arn] = MapRun(arn, run, time)
            elif kind == "MapRunRedriven":
                found = run.map_runs[(details or {})["mapRunArn"]]
                found.status, found.stopped = RUNNING, None
                found.redrives, found.redriven = (details or {})["redriveCount"], time
            elif kind in ("MapRunSucceeded", "MapRunFailed"):
                found = _named(run, previous)
                found.status, found.stopped = kind.removeprefix("MapRun").upper(), time
                found.written = found.written and kind == "MapRunSucceeded"
        for found in run.map_runs.values():
            if found.status == RUNNING and not _awaited(run, found):
                self._leave(found)

    def asked(self, run: Run, command: ScheduleTask) -> None:
        """A parent wants children started, redriven, or their results."""
        frame = run.execution.frames[command.path]
        state = run.revision.machine.find[frame.state]
        assert isinstance(state, Map), "only a Map has children"
        found = run.map_runs[map_run(run.execution, frame, label_of(state))]
        found.token = command.token
        if frame.call["spread"] == RESULTS:
            results = _results(found)
            found.written = state.writer is not None and state.writer.exports
            self._tell(found, {"results": results})
            return
        found.open = True
        if frame.call["spread"] == REDRIVE:
            self._redrive(found)
        else:
            self._begin(found, frame, state)
        self.go_on(found)

    def _begin(self, found: MapRun, frame: Frame, state: Map) -> None:
        run, fork = found.parent, frame.fork
        assert fork is not None
        assert state.processor is not None
        found.family = Family(run.revision.machine, run.execution, frame.path, self._runner.now())
        settings = {**run.revision.settings, "definition": dump(state.processor.source)}
        revision = Revision(run.revision.id, state.processor, settings, run.revision.updated)
        kind, name = "EXPRESS" if state.express else "STANDARD", f"{run.machine.name}/{found.label}"
        found.machine = Machine(f"{run.machine.arn}/{found.label}", name, kind, revision, {})
        found.count, found.share = found.family.tolerances()
        found.concurrency = fork.limit
        found.sizes = [fork.weight(index) for index in range(fork.count)]
        found.waiting.extend(range(fork.count))

    def _redrive(self, found: MapRun) -> None:
        """Put those in the line that have not succeeded; those that cannot go on have failed for good."""
        found.waiting.clear()
        found.lost = 0
        for index, size in enumerate(found.sizes):
            child = found.children.get(index)
            if child is None or (child.execution.status != SUCCEEDED and refusal(child.execution) is None):
                found.waiting.append(index)
            elif child.execution.status != SUCCEEDED:
                found.lost += size

    def _leave(self, found: MapRun) -> None:
        """Nobody waits for a map run any more: its children are stopped, and what has come of them is written."""
        found.status, found.stopped = ABORTED, self._runner.now()
        self._close(found)
        if found.family is not None:
            try:
                self._runner.write(found, found.family.export(_results(found), found.stopped))
            except ExecutionFailure as failure:
                logger.warning("the results of %s cannot be written: %s", found.arn, failure)

    # -- what the children do ------------------------------------------------------------------------------------------

    def ended(self, child: Run) -> None:
        """A child has ended."""
        found = child.dispatcher
        assert found is not None
        found.running -= 1
        if child.execution.status != SUCCEEDED:
            found.lost += found.sizes[child.index]
        self.go_on(found)

    def go_on(self, found: MapRun) -> None:
        """Let children begin for which there is room, or end the run. A child that ends at once comes by here again
        while others are being begun: then nothing is to be done."""
        if found.filling or not found.open:
            return
        found.filling = True
        try:
            while self._has_room(found):
                self._let_in(found, found.waiting.popleft())
        except ExecutionFailure as failure:
            names = ("error", "cause", "kind", "location", "explain")
            self._end(found, {"failure": {name: getattr(failure, name) for name in names}})
            return
        finally:
            found.filling = False
        if found.lost > found.allowed:
            self._end(found, {"status": FAILED})
        elif not found.waiting and not found.running:
            self._end(found, {"status": SUCCEEDED})

    def _has_room(self, found: MapRun) -> bool:
        room = not found.concurrency or found.running < found.concurrency
        return bool(found.open and found.waiting and room and found.lost <= found.allowed)

    def _let_in(self, found: MapRun, index: int) -> None:
        """Begin a child, or let it go on. Raises ExecutionFailure when its input cannot be made."""
        child = found.children.get(index)
        if child is not None:
            found.running += 1
            self._runner.redrive(child, anew=child.machine.kind == "EXPRESS")
            return
        child = found.children[index] = _child(found, index)
        self._runner.records.runs[child.arn] = child
        found.running += 1
        self._runner.start(child)

    def _end(self, found: MapRun, answer: JSON) -> None:
        if answer != {"status": SUCCEEDED}:
            found.status, found.stopped = FAILED, self._runner.now()
        self._close(found)
        self._tell(found, answer)

    def _close(self, found: MapRun) -> None:
        """No child begins any more, and those that run are stopped."""
        found.open = False
        for child in list(found.children.values()):
            if child.execution.status == RUNNING:
                self._runner.feed(child, ExecutionStopped(self._runner.now()))

    def _tell(self, found: MapRun, answer: JSON) -> None:
        assert found.token is not None
        self._runner.feed(found.parent, TaskSucceeded(found.token, answer, self._runner.now()))


def _child(found: MapRun, index: int) -> Run:
    """A child that has not begun. Raises ExecutionFailure."""
    family, machine, parent = found.family, found.machine, found.parent
    assert family is not None
    assert machine is not None
    ((name, data),) = family.children(index, index + 1)
    link: dict[str, Any] = {
        "name": parent.name, "token": found.token, "as": LINK, "depth": 0, "shown": family.shown(index),
    }  # fmt: skip
    execution = Execution(
        name, data, machine_id=machine.name, express=machine.kind == "EXPRESS", parent=link, spreads=True
    )
    child = Run(execution_arn(execution), machine, machine.revision, execution, dump(data), parent.trace)
    child.dispatcher, child.index, child.depth = found, index, parent.depth
    return child


def _results(found: MapRun) -> list[list[JSON]]:
    """How all children have ended, in order."""
    return [_result(found.children.get(index)) for index in range(len(found.sizes))]


def _result(child: Run | None) -> list[JSON]:
    """How a child has ended, as its parent takes it."""
    if child is None:
        return [PENDING, {}]
    execution = child.execution
    output = execution.output
    if execution.status != SUCCEEDED:
        what = {"Error": execution.error, "Cause": execution.cause}
        output = {name: value for name, value in what.items() if value is not None}
    return [execution.status, output, execution.started, execution.stopped, execution.redrives]


def _named(run: Run, number: int) -> MapRun:
    """The map run that began or went on with the latest event of that kind from `number` back."""
    while True:
        _, previous, _, kind, details = run.history[number - 1]
        if kind in ("MapRunStarted", "MapRunRedriven"):
            return run.map_runs[(details or {})["mapRunArn"]]
        number = previous


def _awaited(run: Run, found: MapRun) -> bool:
    """Whether the execution still waits for a map run, or for what it is to read or write."""
    if run.execution.status != RUNNING:
        return False
    if found.token is None:
        return True  # its items are being read, or it has just begun
    path = found.token.partition("#")[0]
    frame = run.execution.frames.get(path)
    return frame is not None and frame.wait == TASK and frame.call.keys() & {"spread", "writes"} != set()
