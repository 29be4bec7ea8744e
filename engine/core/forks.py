"""Parallel and Map: starting children, ending them, joining them.

The functions work on a `Runner`, the decision under way (`engine.core.advance.Advance`): they start frames and hand
the joined result, or the failure, back to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from engine.core.execution import BROKEN, CHILDREN, OVER, READY, RUNNING, TASK, Execution, ForkProgress, Frame
from engine.core.scope import ARN, StateScope, arn_of, child_name, map_run
from engine.errors import ExecutionFailure
from engine.machine import State
from engine.outcomes import Call, Fork, Resource
from engine.states.map_ import Map
from engine.states.map_results import Child, Place, ResultWriter
from engine.states.moments import format_timestamp
from engine.values import JSON, TOO_LARGE, dump, exceeds

THRESHOLD: Final = "States.ExceedToleratedFailureThreshold"
CHILD_EXECUTIONS: Final = Resource("engine:children", "children", "children", "", "", "")
"""What the calls are to that spread the children of a distributed Map over workers. No flow can name it."""
START: Final = "start"
REDRIVE: Final = "redrive"
RESULTS: Final = "results"
THRESHOLD_CAUSE: Final = "The specified tolerated failure threshold was exceeded"


PENDING: Final = "PENDING"
"""The status of a child that never began, since its map run had failed before."""

Result = Sequence[JSON]
"""How a child has ended: its status, and its output or its error and cause. Of one that is an execution of its own also
when it started and stopped (seconds since the epoch), and how often it was redriven."""


class Inputs(Protocol):
    """What the inputs of children are made from."""

    def scope(self, frame: Frame) -> StateScope:
        """What expressions see in that frame."""


class Run(Inputs, Protocol):
    """What is told of children."""

    execution: Execution
    time: float


class Runner(Run, Protocol):
    """What this file needs of the decision under way."""

    changed: dict[str, Frame | None]
    find: dict[str, State]
    ready: deque[Frame]

    def frame(self, path: str) -> Frame | None:
        """The present frame of that path; not for changing."""

    def open(self, path: str) -> Frame:
        """The frame of that path, for changing."""

    def record(self, frame: Frame, kind: str, details: dict[str, JSON] | None) -> int:
        """Append a history event."""

    def token(self) -> int:
        """A number that was never used."""

    def ask(self, frame: Frame, resource: Resource, arguments: JSON, **marks: JSON) -> None:
        """Park the frame behind a call that is no task: `marks` say what for."""

    def settle(self, frame: Frame, state: State, result: JSON) -> None:
        """The state has its result."""

    def evaluation_failed(self, frame: Frame, state: State, failure: ExecutionFailure) -> None:
        """Something inside the state failed."""

    def fail(self, frame: Frame, error: str | None, cause: str | None) -> None:
        """The frame's state failed."""


def too_large(state: State) -> ExecutionFailure:
    """What a state fails with whose input after its arguments, result, output or variables are too large."""
    return ExecutionFailure("States.DataLimitExceeded", TOO_LARGE.format(state.name), explain=False)


def what(error: str | None, cause: str | None) -> dict[str, JSON]:
    """Error and cause as details, as far as there are any."""
    return {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}


def begin_map(run: Runner, frame: Frame, state: State, fork: Fork) -> int | None:
    """Write that a Map starts; answers how many items may fail, None when that could not be said.

    The children of a distributed Map form a map run.
    """
    run.record(frame, "MapStateStarted", {"length": fork.count})
    try:
        tolerated = _tolerance(run, frame, state, fork)
    except ExecutionFailure as failure:
        run.evaluation_failed(frame, state, failure)
        return None
    if fork.distributed:
        run.record(frame, "MapRunStarted", {"mapRunArn": map_run(run.execution, frame, label_of(state))})
    return tolerated


def spread(run: Runner, frame: Frame, state: State, answer: JSON) -> None:
    """The items of a Map have come, or a part of them."""
    scope = run.scope(frame)
    answers = [*frame.call.get("read", ()), answer]
    try:
        prepare = state.stages.prepare
        step = state.spread(answers, frame.input if prepare is None else prepare(frame.input, scope), scope)
    except ExecutionFailure as failure:
        frame.wait = CHILDREN
        run.evaluation_failed(frame, state, failure)
        return
    if isinstance(step, Call):
        run.ask(frame, step.resource, step.arguments, items=True, read=answers)
    else:
        begin_fork(run, frame, state, step, begun=True)


def _tolerance(run: Runner, frame: Frame, state: State, fork: Fork) -> int:
    """How many items may fail, of all that there are: not how many batches. Raises ExecutionFailure."""
    return state.tolerance((fork.single or fork).count, fork.source, run.scope(frame))


def label_of(state: State) -> str:
    """The label of a distributed Map, its name when it has none."""
    return (state.label if isinstance(state, Map) else None) or state.name


def begin_fork(run: Runner, frame: Frame, state: State, fork: Fork, *, begun: bool = False) -> None:
    """Begin a Parallel or Map: start as many children as the limit allows. `begun`: its start is written already."""
    tolerated: int | None = 0
    if fork.items is None:
        run.record(frame, "ParallelStateStarted", None)
    elif begun:
        tolerated = _tolerance(run, frame, state, fork)
    else:
        tolerated = begin_map(run, frame, state, fork)
    if tolerated is None:
        return
    frame.wait, frame.token, frame.call = CHILDREN, run.token(), None
    frame.fork = ForkProgress(fork)
    frame.fork.tolerated = tolerated
    if fork.count == 0:
        join(run, frame)
        return
    if fork.distributed and run.execution.spreads:
        ask_children(run, frame, START)
        return
    first = frame.last
    for _ in range(min(fork.count, fork.limit or fork.count)):
        # A child whose input cannot be made ends the whole fork: then no more are started.
        if not start_child(run, frame, state, first):
            return


def ask_children(run: Runner, frame: Frame, stage: str, of: str | None = None, *, failed: bool = False) -> None:
    """Have the children of a distributed Map started, redriven or read, which are executions of their own
    (`engine.core.spreading`). `of`: the call that had waited for them before; `failed`: the map run has failed."""
    run.ask(frame, CHILD_EXECUTIONS, None, spread=stage, of=of, failed=failed)


def start_child(run: Runner, frame: Frame, state: State, last: int, index: int | None = None) -> bool:
    """Start the next child, or the one of that index. False when making its input failed, and the state with it."""
    fork = frame.fork
    assert fork is not None
    if index is None:
        index = fork.next
        fork.next += 1
    child = Frame(f"{frame.path}.{index}", state.child(index).start_at, None, last)
    child.apart = child.path if fork.apart else frame.apart
    if fork.items is not None:
        kind = "ExecutionStarted" if fork.apart else "MapIterationStarted"
        run.record(child, kind, {"name": frame.state, "index": index})
    try:
        child.input = child_input(run, frame, state, index)
    except ExecutionFailure as failure:
        run.evaluation_failed(frame, state, failure)
        return False
    run.changed[child.path] = child
    run.ready.append(child)
    return True


def child_input(run: Inputs, frame: Frame, state: State, index: int) -> JSON:
    """The input of the child of that index. Raises ExecutionFailure."""
    fork, scope = frame.fork, run.scope(frame)
    assert fork is not None
    if fork.items is not None:
        scope.item = (index, fork.items[index], fork.keyed)
    return state.child_input(fork.source, index, fork.item(index), scope)


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
    ended: list[tuple[str, JSON]] = []
    for index in range(fork.count):
        child = run.frame(f"{frame.path}.{index}")
        assert child is not None
        ended.append(("FAILED" if child.wait == BROKEN else "SUCCEEDED", child.output))
    joined(run, frame, state, ended)


def joined(run: Runner, frame: Frame, state: State, ended: Sequence[Result]) -> None:
    """The results of all children are there, in order."""
    fork = frame.fork
    assert fork is not None
    result: JSON = [output for _, output, *_ in ended]
    if isinstance(state, Map) and state.writer is not None:
        if state.writer.exports:
            export(run, frame, state, ended)
            return
        try:
            result = state.writer.transform(told(run, frame, state, ended))
        except ExecutionFailure as failure:
            run.evaluation_failed(frame, state, failure)
            return
    succeed(run, frame, state, result, apart=fork.apart)


def export(run: Runner, frame: Frame, state: State, ended: Sequence[Result], *, failed: bool = False) -> None:
    """Have the results of a map run written, of one that has `failed` too: it fails when they are."""
    writer = writer_of(state)
    assert writer is not None, "only a writer writes"
    try:
        puts, result = writer.objects(told(run, frame, state, ended), place_of(run, frame, state, writer))
    except ExecutionFailure as failure:
        run.evaluation_failed(frame, state, failure)
        return
    of = frame.call["of"] if frame.call is not None else None
    run.ask(frame, writer.resource, puts[0], writes=puts[1:], result=result, of=of, failed=failed)


def writer_of(state: State) -> ResultWriter | None:
    """What writes the results of a Map out; None where they are handed on."""
    return state.writer if isinstance(state, Map) and state.writer is not None and state.writer.exports else None


def place_of(run: Run, frame: Frame, state: State, writer: ResultWriter) -> Place:
    """Where the results go. Raises ExecutionFailure."""
    assert frame.fork is not None
    return writer.place(map_run(run.execution, frame, label_of(state)), frame.fork.source, run.scope(frame))


def succeed(run: Runner, frame: Frame, state: State, result: JSON, *, apart: bool, fits: bool = True) -> None:
    """Write that a Parallel or Map has succeeded, and settle its state, unless its result does not fit."""
    if apart:
        run.record(frame, "MapRunSucceeded", None)
    run.record(frame, f"{state.TYPE}StateSucceeded", None)
    if not fits or exceeds(result):
        run.evaluation_failed(frame, state, too_large(state))
    else:
        run.settle(frame, state, result)


def written(run: Runner, frame: Frame, state: State) -> None:
    """An object with results is written: the next one, or the end."""
    call = frame.call
    if call["writes"]:
        writer = writer_of(state)
        assert writer is not None, "only a writer writes"
        marks = {name: call.get(name) for name in ("result", "of", "failed")}
        run.ask(frame, writer.resource, call["writes"][0], writes=call["writes"][1:], **marks)
    elif call.get("failed"):
        frame.wait = CHILDREN
        run.fail(frame, THRESHOLD, THRESHOLD_CAUSE)
    else:
        succeed(run, frame, state, call["result"], apart=True)


def told(run: Run, frame: Frame, state: State, ended: Sequence[Result]) -> list[Child]:
    """What is known of all children: those that nothing is said of are pending. Raises ExecutionFailure."""
    assert frame.fork is not None
    known = [*ended, *((PENDING, {}) for _ in range(len(ended), frame.fork.count))]
    return children(run, frame, state, enumerate(known))


def children(run: Run, frame: Frame, state: State, ended: Iterable[tuple[int, Result]]) -> list[Child]:
    """What is known of children, by their items. Those that are frames have the times of the map run. Raises
    ExecutionFailure."""
    execution = run.execution
    machine, found = f"{execution.machine_id}/{label_of(state)}", []
    express = isinstance(state, Map) and state.express
    for index, (status, output, *known) in ended:
        record: dict[str, JSON] = {
            "Input": dump(child_input(run, frame, state, index)),
            "InputDetails": {"Included": True},
        }
        if status != PENDING:
            name = child_name(execution, frame, index)
            started, stopped, redrives = known or (frame.entered_at, run.time, 0)
            record |= {
                "ExecutionArn": arn_of(machine, name, express=express),
                "Name": name,
                "RedriveCount": redrives,
                "StartDate": format_timestamp(started),
                "StateMachineArn": f"{ARN}:stateMachine:{machine}",
                "StopDate": format_timestamp(run.time if stopped is None else stopped),
            }
        # One that runs has been told to stop: nothing but that can come of it any more.
        found.append(Child("ABORTED" if status == RUNNING else status, output, record))
    return found


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
    fork.failed += fork.weight(frame.index)  # all items of a batch, whatever it had done (AWS, "DescribeMapRun")
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
    state = run.find[frame.state]
    if isinstance(state, Map) and state.distributed and frame.wait in (TASK, CHILDREN):
        run.record(frame, "MapRunAborted", None)
    run.record(frame, f"{state.TYPE}StateAborted", None)
    frame.last = own
