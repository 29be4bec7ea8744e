"""Parallel and Map: starting children, ending them, joining them.

The functions work on a `Runner`, the decision under way (`engine.core.advance.Advance`): they start frames and hand
the joined result, or the failure, back to it.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from engine.core.execution import BROKEN, CHILDREN, OVER, READY, Execution, ForkProgress, Frame
from engine.core.scope import ARN, StateScope
from engine.errors import ExecutionFailure
from engine.machine import State
from engine.outcomes import Fork
from engine.values import JSON

THRESHOLD: Final = "States.ExceedToleratedFailureThreshold"
THRESHOLD_CAUSE: Final = "The specified tolerated failure threshold was exceeded"


class Runner(Protocol):
    """What this file needs of the decision under way."""

    changed: dict[str, Frame | None]
    execution: Execution
    find: dict[str, State]
    ready: deque[Frame]

    def frame(self, path: str) -> Frame | None:
        """The present frame of that path; not for changing."""

    def open(self, path: str) -> Frame:
        """The frame of that path, for changing."""

    def record(self, frame: Frame, kind: str, details: dict[str, JSON] | None) -> int:
        """Append a history event."""

    def scope(self, frame: Frame) -> StateScope:
        """What expressions see in that frame."""

    def token(self) -> int:
        """A number that was never used."""

    def settle(self, frame: Frame, state: State, result: JSON) -> None:
        """The state has its result."""

    def evaluation_failed(self, frame: Frame, state: State, failure: ExecutionFailure) -> None:
        """Something inside the state failed."""


def what(error: str | None, cause: str | None) -> dict[str, JSON]:
    """Error and cause as details, as far as there are any."""
    return {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}


def begin_map(run: Runner, frame: Frame, state: State, count: int, source: JSON, *, apart: bool) -> int | None:
    """Write that a Map starts; answers how many children may fail, None when that could not be said.

    The children of a distributed Map form a map run.
    """
    run.record(frame, "MapStateStarted", {"length": count})
    try:
        tolerated = state.tolerance(count, source, run.scope(frame))
    except ExecutionFailure as failure:
        run.evaluation_failed(frame, state, failure)
        return None
    if apart:
        arn = f"{ARN}:mapRun:{run.execution.machine_id}/{frame.state}:{run.execution.name}"
        run.record(frame, "MapRunStarted", {"mapRunArn": arn})
    return tolerated


def spread(run: Runner, frame: Frame, state: State, answer: JSON) -> None:
    """The items of a Map have come."""
    scope = run.scope(frame)
    try:
        prepare = state.stages.prepare
        fork = state.spread(answer, frame.input if prepare is None else prepare(frame.input, scope), scope)
    except ExecutionFailure as failure:
        frame.wait = CHILDREN
        run.evaluation_failed(frame, state, failure)
    else:
        begin_fork(run, frame, state, fork, begun=True)


def begin_fork(run: Runner, frame: Frame, state: State, fork: Fork, *, begun: bool = False) -> None:
    """Begin a Parallel or Map: start as many children as the limit allows. `begun`: its start is written already."""
    tolerated: int | None = 0
    if fork.items is None:
        run.record(frame, "ParallelStateStarted", None)
    elif begun:
        tolerated = state.tolerance(fork.count, fork.source, run.scope(frame))
    else:
        tolerated = begin_map(run, frame, state, fork.count, fork.source, apart=fork.distributed)
    if tolerated is None:
        return
    frame.wait, frame.token, frame.call = CHILDREN, run.token(), None
    frame.fork = ForkProgress(fork)
    frame.fork.tolerated = tolerated
    if fork.count == 0:
        join(run, frame)
        return
    first = frame.last
    for _ in range(min(fork.count, fork.limit or fork.count)):
        # A child whose input cannot be made ends the whole fork: then no more are started.
        if not start_child(run, frame, state, first):
            return


def start_child(run: Runner, frame: Frame, state: State, last: int, index: int | None = None) -> bool:
    """Start the next child, or the one of that index. False when making its input failed, and the state with it."""
    fork = frame.fork
    assert fork is not None
    if index is None:
        index = fork.next
        fork.next += 1
    child = Frame(f"{frame.path}.{index}", state.child(index).start_at, None, last)
    child.apart = child.path if fork.apart else frame.apart
    scope = run.scope(frame)
    if fork.items is not None:
        kind = "ExecutionStarted" if fork.apart else "MapIterationStarted"
        run.record(child, kind, {"name": frame.state, "index": index})
        scope.item = (index, fork.items[index], fork.keyed)
    try:
        child.input = state.child_input(fork.source, index, scope)
    except ExecutionFailure as failure:
        run.evaluation_failed(frame, state, failure)
        return False
    run.changed[child.path] = child
    run.ready.append(child)
    return True


def child_over(run: Runner, parent: Frame, child: Frame) -> None:
    """A child has ended, well or tolerably: start the next one, or join them."""
    assert parent.fork is not None
    parent.fork = fork = parent.fork.copy()
    fork.left -= 1
    last = parent.last if fork.apart else child.last
    if fork.left == 0:
        parent.last = last
        join(run, parent)
    elif fork.next < fork.count:
        start_child(run, parent, run.find[parent.state], last)


def join(run: Runner, frame: Frame) -> None:
    """Every child has ended well: gather their outputs in order and go on."""
    state = run.find[frame.state]
    fork = frame.fork
    assert fork is not None
    outputs = []
    for index in range(fork.count):
        child = run.frame(f"{frame.path}.{index}")
        assert child is not None
        outputs.append(child.output)
    if fork.apart:
        run.record(frame, "MapRunSucceeded", None)
    run.record(frame, f"{state.TYPE}StateSucceeded", None)
    run.settle(frame, state, outputs)


def fail_child(run: Runner, frame: Frame) -> Frame:
    """A branch or iteration failed; answers the frame around it, whose state fails with it.

    All that is said about the end of its siblings follows, as on AWS, from the event that the child failed with.
    """
    last = frame.last
    parent = run.open(frame.path.rpartition(".")[0])
    parent.last = last
    state = run.find[frame.state]
    is_map = parent.fork is not None and parent.fork.items is not None
    where = {"name": parent.state, "index": frame.index} if is_map else None
    if is_map:
        run.record(frame, "MapIterationFailed", where)
        frame.last = last
    if state.TYPE == "Task":
        run.record(frame, "TaskStateAborted", None)
    frame.wait = BROKEN
    for index in range(parent.fork.next if parent.fork is not None else 0):
        sibling = run.frame(f"{parent.path}.{index}")
        if sibling is not None and sibling.wait not in (None, OVER, BROKEN, READY):
            _abort_child(run, run.open(sibling.path), parent, last, is_map)
    return parent


def fail_apart(run: Runner, frame: Frame, error: str | None, cause: str | None) -> Frame | None:
    """A child execution of a distributed Map failed. None while that is tolerated, else the Map's frame."""
    output = {key: value for key, value in (("Error", error), ("Cause", cause)) if value is not None}
    frame.wait, frame.output = BROKEN, output
    parent = run.open(frame.path.rpartition(".")[0])
    assert parent.fork is not None
    parent.fork = fork = parent.fork.copy()
    fork.failed += 1
    if fork.failed > fork.tolerated:
        return parent
    child_over(run, parent, frame)
    return None


def _abort_child(run: Runner, frame: Frame, parent: Frame, last: int, is_map: bool) -> None:
    """Write that a sibling of a failed child is ended. It stays where it was: a redrive goes on from there."""
    own, frame.last = frame.last, last
    if is_map:
        run.record(frame, "MapIterationAborted", {"name": parent.state, "index": frame.index})
        frame.last = last
    run.record(frame, f"{run.find[frame.state].TYPE}StateAborted", None)
    frame.last = own
