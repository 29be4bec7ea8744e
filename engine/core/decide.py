"""`decide`: the pure heart. An execution and an event in; a decision out. No clock, no randomness, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.core import exporting, forks, spreading, task_events
from engine.core.advance import Advance
from engine.core.events import (
    CallsReturned,
    DeadlineReached,
    Decision,
    Event,
    ExecutionRedriven,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionStopped,
    ScheduleTask,
    StartTimer,
    TaskFailed,
    TaskHeartbeat,
    TaskHeld,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TimerFired,
    TimersFired,
)
from engine.core.execution import ABORTED, CHILDREN, RETRY, ROOT, RUNNING, TASK, TIMED_OUT, TIMER, Execution, Frame
from engine.core.matching import TIMEOUT
from engine.core.redrive import redrive
from engine.core.working import HistoryFull
from engine.machine import State, StateMachine
from engine.outcomes import Resource
from engine.states.map_reader import READER_FAILED
from engine.states.map_results import WRITER_FAILED
from engine.states.resource import parse_resource
from engine.states.task import Task
from engine.values import JSON, TOO_LARGE


def decide(machine: StateMachine, execution: Execution, event: Event) -> Decision:
    """What follows from an event.

    Neither argument is changed. An event that nothing waits for (late, repeated, or of an execution that is over)
    gives a decision without history, frames or commands. Raises TransitionLimitExceeded for a flow that runs in
    circles without a history limit.
    """
    run = Advance(machine, execution.copy(), event.time)
    handle(run, event)
    return run.decision()


def handle(run: Advance, event: Event) -> None:
    """Let an event happen in the working state `run`: what `decide` does, without its copies.

    For an owner that keeps the working state from one event to the next and needs no decisions, as a simulation.
    """
    if run.execution.status == RUNNING or type(event) is ExecutionRedriven:
        run.time = event.time
        try:
            HANDLERS[type(event)](run, event)
            if run.ready:
                run.drain()
        except HistoryFull:
            run.overflow()


def _start(run: Advance, event: ExecutionStarted) -> None:
    execution = run.execution
    if execution.events:
        return
    execution.started = execution.started or event.time  # a child of a map run starts when it is let in
    run.set_deadline()
    execution.events = 1
    run.history.append((1, 0, event.time, "ExecutionStarted", {"input": execution.input}))
    run.begin()


def _resume(run: Advance, event: ExecutionResumed) -> None:
    """Ask again for everything that is waited for; a first run has nothing that could have been made before."""
    again = 1 if run.execution.runs else 0
    run.execution.runs += 1
    for path, waiting in run.execution.frames.items():
        if waiting.wait == TASK and "submitted" not in waiting.call:
            frame = run.open(path)
            frame.call = call = {**frame.call}
            unmade = call.pop("unmade", False)
            if "held" not in call:
                call["again"] += 0 if unmade else again
            else:  # it was never made, and its time begins now
                frame.due = None if call["left"] is None else event.time + call["left"]
                frame.beat = None if call["heartbeat"] is None else event.time + call["heartbeat"]
                del call["held"], call["left"]
            run.commands.append(ScheduleTask(frame, _resource(run, frame), frame.call["arguments"]))
        elif waiting.wait in (TASK, TIMER, RETRY) and waiting.wakes is not None:
            run.commands.append(StartTimer(f"{path}#{waiting.token}", waiting.wakes))


def _deadline(run: Advance, event: DeadlineReached) -> None:
    deadline = run.execution.deadline
    if deadline is not None and event.time >= deadline:
        root = _root(run)
        root.last = 0  # as on AWS: nothing in the flow led to it
        run.end(root, TIMED_OUT, "ExecutionTimedOut", error=TIMEOUT)
        run.execution.error = None  # only the history names it


def _stop(run: Advance, event: ExecutionStopped) -> None:
    if not run.execution.events:  # a child that has not begun
        run.execution.started = run.execution.started or event.time
        run.changed[ROOT] = Frame(ROOT, run.machine.start_at, run.execution.input, 0)
    root = _root(run)
    root.last = 0  # as on AWS: nothing in the flow led to it
    run.end(root, ABORTED, "ExecutionAborted", error=event.error, cause=event.cause)


def _root(run: Advance) -> Frame:
    """The root frame, its history going on after whatever happened last anywhere."""
    root = run.open(ROOT)
    root.last = run.execution.events
    return root


def _waiting(run: Advance, token: str) -> Frame | None:
    """The frame that waits for exactly this token, for reading: what is opened is written, even if nothing changes."""
    path, _, number = token.partition("#")
    frame = run.frame(path)
    if frame is None or frame.wait not in WAITING or frame.token != int(number or 0):
        return None
    return frame


def _calling(run: Advance, token: str) -> Frame | None:
    """The frame whose call has this token, for reading."""
    frame = _waiting(run, token)
    return frame if frame is not None and frame.wait == TASK else None


def _called(run: Advance, token: str) -> Frame | None:
    """The frame whose call has this token, for changing."""
    frame = _calling(run, token)
    return None if frame is None else run.open(frame.path)


def _resource(run: Advance, frame: Frame) -> Resource:
    """What the frame's call calls: a Task's resource, or what a Map reads from or writes to."""
    state = run.find[frame.state]
    if "spread" in frame.call:
        return forks.CHILD_EXECUTIONS
    if "resource" in frame.call:
        return parse_resource(frame.call["resource"])
    assert isinstance(state, Task)
    return state.resource


def _note_start(
    run: Advance, frame: Frame, resource: Resource, started: float | None, worker: str | None = None
) -> None:
    """Write that the work began, with the time at which it did; once, also where the first answer was a receipt."""
    if "started" in frame.call or ("submitted" in frame.call and resource.family != "Activity"):
        return
    details = task_events.started(resource) if worker is None else {"workerName": worker}
    if started is None:
        run.record(frame, resource.started, details)
    else:
        moment, run.time = run.time, started
        run.record(frame, resource.started, details)
        run.time = moment


def _started(run: Advance, event: TaskStarted) -> None:
    frame = _calling(run, event.token)
    if frame is None or "resource" in frame.call or "started" in frame.call:
        return
    frame = run.open(frame.path)
    resource = _resource(run, frame)
    _note_start(run, frame, resource, None, event.worker)
    frame.call = {**frame.call, "started": True}
    if resource.family == "Activity" and frame.call["heartbeat"] is not None:
        # As on AWS, the count begins when somebody has taken the task.
        frame.beat = event.time + frame.call["heartbeat"]
        run.commands.append(StartTimer(event.token, frame.beat))


def _heartbeat(run: Advance, event: TaskHeartbeat) -> None:
    frame = _calling(run, event.token)
    if frame is not None and frame.call["heartbeat"] is not None:
        run.open(frame.path).beat = event.time + frame.call["heartbeat"]


def _held(run: Advance, event: TaskHeld) -> None:
    frame = _calling(run, event.token)
    if frame is not None and "submitted" not in frame.call and "held" not in frame.call:
        frame = run.open(frame.path)
        left = None if frame.due is None else frame.due - event.time
        frame.call = {**frame.call, "held": event.name, "left": left}
        frame.due = frame.beat = None


def _returned(run: Advance, event: CallsReturned) -> None:
    for token in event.tokens:
        frame = _calling(run, token)
        if frame is not None and not frame.call.keys() & {"submitted", "unmade"}:
            frame = run.open(frame.path)
            frame.call = {**frame.call, "unmade": True}


def _submitted(run: Advance, event: TaskSubmitted) -> None:
    frame = _calling(run, event.token)
    if frame is None or "submitted" in frame.call:
        return
    if "spread" in frame.call:
        frame = run.open(frame.path)
        frame.call = {**frame.call, "submitted": True}
    elif "resource" not in frame.call:
        frame = run.open(frame.path)
        resource = _resource(run, frame)
        if resource.family == "Activity":
            frame.call = {**frame.call, "submitted": True}  # it is in a queue, and starts when somebody takes it
            return
        _note_start(run, frame, resource, event.started)
        frame.call = {**frame.call, "submitted": event.child or True}
        run.record(frame, "TaskSubmitted", {**resource.shown, "output": event.output})


def _succeeded(run: Advance, event: TaskSucceeded) -> None:
    frame = _called(run, event.token)
    if frame is None:
        return
    state = run.find[frame.state]
    if "resource" in frame.call:
        _read_or_written(run, frame, state, event.output)
        return
    resource = _resource(run, frame)
    if not run.fits(event.output):
        cause = TOO_LARGE.format(resource.service if resource.scheme == "service" else resource.uri)
        _failed(run, TaskFailed(event.token, "States.DataLimitExceeded", cause, event.time, event.started))
        return
    _note_start(run, frame, resource, event.started)
    details = {**resource.shown, "output": event.output}
    if event.note is not None:
        details["note"] = event.note
    run.record(frame, resource.succeeded, details)
    run.settle(frame, state, event.output)


def _read_or_written(run: Advance, frame: Frame, state: State, answer: JSON) -> None:
    """The answer of a call that is no task: a Map has read items, run its children apart, or written results."""
    if "items" in frame.call:
        forks.spread(run, frame, state, answer)
        _go_on(run, frame)
    elif "spread" in frame.call:
        spreading.answered(run, frame, state, answer)
        _go_on(run, frame)
    else:
        exporting.written(run, frame, state)
        _go_on(run, frame)


def _failed(run: Advance, event: TaskFailed) -> None:
    frame = _called(run, event.token)
    if frame is None:
        return
    if "resource" in frame.call:
        frame.wait, error = CHILDREN, READER_FAILED if "items" in frame.call else WRITER_FAILED
        if frame.call.get("failed"):  # why the map run has failed matters more than that it could not be written
            run.fail(frame, forks.THRESHOLD, forks.THRESHOLD_CAUSE)
        else:
            run.fail(frame, error, event.cause or event.error, retry_after=event.retry_after)
    else:
        resource = _resource(run, frame)
        _note_start(run, frame, resource, event.started)
        kind, details = task_events.failed(resource, event.error, event.cause)
        if event.note is not None:
            details["note"] = event.note
        run.record(frame, kind, details)
        run.fail(frame, event.error, event.cause, retry_after=event.retry_after)
    _go_on(run, frame)


def _timer(run: Advance, event: TimerFired) -> None:
    frame = _due(run, event.token)
    if frame is not None and not _outlived(run, frame):
        _note_timeout(run, frame, event.started)
        _wake(run, frame)


def _timers(run: Advance, event: TimersFired) -> None:
    """As recorded on AWS, all that timed out at one moment is written before any state fails of it."""
    for token in event.tokens:
        frame = _due(run, token)
        if frame is not None:
            if _outlived(run, frame):
                return
            _note_timeout(run, frame, None)
    for token in event.tokens:
        frame = _due(run, token)
        if frame is not None:
            _wake(run, frame)
            run.drain()


def _due(run: Advance, token: str) -> Frame | None:
    """The frame that waits for this token, for changing, if the moment it waits for has come."""
    frame = _waiting(run, token)
    if frame is None or (frame.wakes is not None and run.time < frame.wakes):
        return None
    return None if frame.wait == TASK and "held" in frame.call else run.open(frame.path)


def _outlived(run: Advance, frame: Frame) -> bool:
    """Whether the execution has timed out with what the frame waits for: where both come at one moment, the execution's
    own limit is the first, in whatever order they are told of."""
    deadline = run.execution.deadline
    if deadline is not None and frame.wakes is not None and frame.wakes >= deadline:
        _deadline(run, DeadlineReached(run.time))
    return run.execution.status != RUNNING


def _note_timeout(run: Advance, frame: Frame, started: float | None) -> None:
    """Write that a call timed out, if it is that for which the frame waits."""
    if frame.wait == TASK:
        resource = _resource(run, frame)
        if started is not None or resource.family != "Activity":  # nobody may have taken up an activity
            _note_start(run, frame, resource, started)
        run.record(frame, *task_events.failed(resource, TIMEOUT, None))


def _wake(run: Advance, frame: Frame) -> None:
    """What the frame waited for has come: let its state go on, or fail of the time-out."""
    state = run.find[frame.state]
    if frame.wait == TIMER:
        run.settle(frame, state, frame.output)
        return
    if frame.wait == RETRY:
        frame.wait = frame.due = None
        run.attempt(frame, state)
    else:
        beat, due = frame.beat, frame.due
        run.fail(frame, TIMEOUT, None, heartbeat=beat is not None and run.time >= beat and (due is None or beat < due))
    _go_on(run, frame)


def _go_on(run: Advance, frame: Frame) -> None:
    """Let the frame run on if nothing parked it. Running a frame that is parked does nothing."""
    if frame.wait is None:
        run.ready.append(frame)


WAITING: Final = (TASK, TIMER, RETRY)
HANDLERS: Final[dict[type, Callable[[Advance, Any], None]]] = {
    TaskSucceeded: _succeeded,
    TaskFailed: _failed,
    TaskSubmitted: _submitted,
    TaskStarted: _started,
    TaskHeartbeat: _heartbeat,
    TaskHeld: _held,
    CallsReturned: _returned,
    TimerFired: _timer,
    TimersFired: _timers,
    ExecutionStarted: _start,
    ExecutionResumed: _resume,
    DeadlineReached: _deadline,
    ExecutionStopped: _stop,
    ExecutionRedriven: redrive,
}
"""What each event does. A test says that none is missing."""
