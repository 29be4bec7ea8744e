"""A distributed Map whose children are executions of their own, run by whoever has room for them.

The Map's frame makes two calls, which are no tasks and not in the history. The first has the children started, and is
answered when the map run is over; the second reads their results, in the order of the items. In between the execution
waits as a row. What happens in the Map is written as if the children were frames of this execution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.core import exporting, forks
from engine.core.events import ScheduleTask
from engine.core.execution import CHILDREN, SUCCEEDED, TASK, Execution, Frame
from engine.core.scope import child_name
from engine.core.working import Working
from engine.errors import ExecutionFailure
from engine.machine import State, StateMachine
from engine.states.map_ import Map
from engine.values import JSON

LINK: Final = "map"
"""As `Execution.parent["as"]`: a child of a map run."""


def answered(run: forks.Runner, frame: Frame, state: State, answer: JSON) -> None:
    """The map run is over, or the results have been read: `{"status"}` and perhaps `{"failure"}`, or `{"results"}`,
    None when they are too large to be handed on, or a part of them, `{"part", "next"}`."""
    exports = forks.writer_of(state) is not None
    if answer.get("status") == SUCCEEDED or ("status" in answer and exports):
        called, failed = f"{frame.path}#{frame.token}", answer["status"] != SUCCEEDED
        forks.ask_children(run, frame, forks.RESULTS, called, failed=failed)
        return
    frame.wait = CHILDREN
    if "failure" in answer:
        run.evaluation_failed(frame, state, ExecutionFailure(**answer["failure"]))
    elif "status" in answer:
        run.fail(frame, forks.THRESHOLD, forks.THRESHOLD_CAUSE)
    elif "part" in answer:
        exporting.export_part(run, frame, state, answer)
    elif answer["results"] is None:
        forks.succeed(run, frame, state, None, apart=True, fits=False)
    elif frame.call.get("failed"):
        forks.export(run, frame, state, answer["results"], failed=True)
    else:
        forks.joined(run, frame, state, answer["results"])


def children_of(frame: Frame) -> str | None:
    """The call that the children of a frame's map run were started or redriven by, last; None when it has none."""
    if frame.call is None or not frame.call.keys() & {"spread", "writes"}:
        return None
    before: str | None = frame.call.get("of")
    return before if frame.call.get("spread", forks.RESULTS) == forks.RESULTS else f"{frame.path}#{frame.token}"


def map_run_of(frame: Frame) -> str | None:
    """The call by which a frame waits for the end of a map run."""
    if frame.wait != TASK or frame.call.get("spread") not in (forks.START, forks.REDRIVE):
        return None
    return f"{frame.path}#{frame.token}"


class Family:
    """The children of one map run, as they are to be started.

    `flow`: what they are executions of; `batched`: each gets several items; `express`: they are Express executions.
    """

    def __init__(self, machine: StateMachine, execution: Execution, path: str, now: float) -> None:
        self._run = Working(machine, execution, now)
        self._frame = execution.frames[path]
        self._state = machine.find[self._frame.state]
        self._execution = execution
        self.express = isinstance(self._state, Map) and self._state.express
        self.batched = self._frame.fork is not None and self._frame.fork.batched
        self.flow = f"{execution.machine_id}/{forks.label_of(self._state)}"

    def children(self, first: int, last: int) -> Iterator[tuple[str, JSON]]:
        """Names and inputs of those from `first` up to `last`. Raises ExecutionFailure."""
        for index in range(first, last):
            name = child_name(self._execution, self._frame, index)
            yield name, forks.child_input(self._run, self._frame, self._state, index)

    def tolerances(self) -> tuple[int | None, float | None]:
        """How many items may fail, and how many in a hundred; None where it is not said."""
        assert isinstance(self._state, Map), "only a Map has a family"
        assert self._frame.fork is not None
        return self._state.tolerances(self._frame.fork.source, self._run.scope(self._frame))

    def export(self, results: Sequence[forks.Result], now: float) -> list[ScheduleTask]:
        """The calls that write the results of a run that was stopped, for which its parent does not wait any more: none
        where they are not to be written. Raises ExecutionFailure."""
        writer, run = forks.writer_of(self._state), self._run
        if writer is None:
            return []
        run.time = now
        known = forks.told(run, self._frame, self._state, results)
        puts, _ = writer.objects(known, forks.place_of(run, self._frame, self._state, writer))
        frame = self._frame.copy()
        frame.due = frame.beat = None
        frame.call = {"again": 0, "writes": []}
        return [ScheduleTask(frame, writer.resource, put) for put in puts]

    def shown(self, index: int) -> JSON:
        """Map.Item, as the context of a child has it."""
        scope, fork = self._run.scope(self._frame), self._frame.fork
        assert fork is not None
        scope.item = (index, (fork.items or [])[index], fork.keyed)
        return scope.context["Map"]["Item"]
