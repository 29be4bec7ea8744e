"""Run frames on until each is parked or over: an `Advance` is the work of one decision.

Rules of this file, and nothing of it lives elsewhere:

1. A frame runs through states that need nothing from outside (Pass, Choice, Succeed, Fail) without a pause.
2. A state that fails goes to its Retriers, then to its Catchers; else its frame fails, and with it the state around it.
3. A Parallel or Map keeps counters and starts its children in order; its last child joins it. A child that fails ends
   its siblings at once, also while the fork is still starting children (`engine.core.forks`).
4. Tokens come from the execution's own counter and never repeat.

Frames that are ready to run wait in a queue, so that nothing here is recursive in the number of items.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from engine.core import forks
from engine.core.events import Cancel, FinishExecution, ScheduleTask, StartTimer
from engine.core.execution import (
    BROKEN,
    CHILDREN,
    FAILED,
    OVER,
    RETRY,
    ROOT,
    RUNNING,
    SUCCEEDED,
    TASK,
    TIMER,
    Execution,
    Frame,
)
from engine.core.matching import RUNTIME, TIMEOUT, find_catcher, find_retrier, retry_delay
from engine.core.scope import StateScope
from engine.core.task_events import scheduled
from engine.core.working import HistoryFull, Working
from engine.errors import ExecutionFailure, TransitionLimitExceeded
from engine.machine import State, StateMachine
from engine.outcomes import Call, Done, Fork, Goto, Resource, Sleep, Stages
from engine.query import UNSET
from engine.states.map_ import Map
from engine.values import JSON, MAX_VARIABLES_BYTES, exceeds

MAX_EVENTS: Final = 3_000_000
"""Most events one frame may write without a pause. Reached only without a history limit: it is the last fuse."""


def _set_variables(frame: Frame, state: State, assigned: dict[str, JSON]) -> None:
    frame.variables = {**frame.variables, **assigned}
    if exceeds(assigned) or exceeds(frame.variables, MAX_VARIABLES_BYTES):
        raise forks.too_large(state)


class Advance(Working):
    """Runs the frames of one decision on."""

    __slots__ = ("ready",)

    def __init__(self, machine: StateMachine, execution: Execution, time: float) -> None:
        super().__init__(machine, execution, time)
        self.ready: deque[Frame] = deque()

    # -- running ---------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Run until no frame can go on."""
        ready = self.ready
        while ready:
            frame = ready.popleft()
            if self.changed.get(frame.path) is frame and self.execution.status == RUNNING:
                self.run(frame)

    def begin(self) -> None:
        """The root frame, at the start of the machine."""
        frame = self.changed[ROOT] = Frame(ROOT, self.machine.start_at, self.execution.input, 0)
        self.ready.append(frame)

    def run(self, frame: Frame) -> None:
        """Enter states, one after the other, until the frame is parked or over."""
        find, execution, history, time = self.find, self.execution, self.history, self.time
        fuse = execution.events + MAX_EVENTS
        while frame.wait is None:
            state = find[frame.state]
            if frame.apart is not None:
                entered = self.record(frame, state.entered, None)
            else:
                # As `record`, spelled out: this runs for every state.
                entered = execution.events + 1
                if entered >= execution.history_limit:
                    raise HistoryFull
                execution.events = entered
                details = {"name": state.name, "input": frame.input}
                history.append((entered, frame.last, time, state.entered, details))
                frame.last = entered
            if frame.apart is not None and entered >= execution.history_limit:
                self.fail(frame, RUNTIME, self.overfull)
                return
            if entered > fuse:
                raise TransitionLimitExceeded(
                    f"{execution.name}: {MAX_EVENTS} events without a pause; the flow seems to run in circles"
                )
            frame.entered = entered
            frame.entered_at = time
            frame.tries = frame.earlier = frame.key = 0
            frame.spent = ()
            self.attempt(frame, state)

    def attempt(self, frame: Frame, state: State) -> None:
        """Enter the state once: the first time, or again after a retry."""
        frame.tries += 1
        if state.calls:
            frame.token = self.token()
        prepare = state.stages.prepare
        scope: Any = None  # a blind state needs none
        try:
            if prepare is not None or not state.blind:
                scope = StateScope(self, frame, state.retries)
            outcome = state.enter(frame.input if prepare is None else prepare(frame.input, scope), scope)
            if isinstance(outcome, Done):
                self.finish(frame, state, state.stages, outcome.result, scope)
                return
            if isinstance(outcome, Goto):
                self.finish(frame, state, outcome.stages, outcome.result, scope, outcome.target)
                return
        except ExecutionFailure as failure:
            self.evaluation_failed(frame, state, failure)
            return
        if isinstance(outcome, Call):
            if self.fits(outcome.arguments):
                self.call(frame, state, outcome)
            else:
                self.evaluation_failed(frame, state, forks.too_large(state))
        elif isinstance(outcome, Sleep):
            frame.wait, frame.token, frame.due, frame.output = TIMER, self.token(), outcome.until, outcome.result
            self.commands.append(StartTimer(f"{frame.path}#{frame.token}", outcome.until))
        elif isinstance(outcome, Fork):
            forks.begin_fork(self, frame, state, outcome)
        else:
            self.fail(frame, outcome.error, outcome.cause)

    def finish(
        self,
        frame: Frame,
        state: State,
        stages: Stages,
        result: JSON,
        scope: StateScope | None,
        target: str | None = None,
    ) -> None:
        """The state has its result: run the stages behind it, write its exit, and go where it leads."""
        output = result
        assigned: dict[str, JSON] | None = None
        if stages.produce is not None or stages.assign is not None:
            data = frame.input
            scope = scope or StateScope(self, frame, state.retries)
            if scope.error_output is UNSET and state.retries:
                scope.result = result
            if stages.produce is not None:
                output = stages.produce(data, result, scope)
                if output is not data and not self.fits(output):
                    raise forks.too_large(state)
            if stages.assign is not None:
                assigned = stages.assign(data, result, scope)
                _set_variables(frame, state, assigned)
        details = {"name": state.name, "output": output}
        if assigned is not None:
            details["assignedVariables"] = assigned
        if frame.apart is not None:
            self.record(frame, state.exited, None)
        else:
            # As `record`, spelled out: this runs for every state.
            execution = self.execution
            number = execution.events + 1
            if number >= execution.history_limit:
                raise HistoryFull
            execution.events = number
            self.history.append((number, frame.last, self.time, state.exited, details))
            frame.last = number
        if frame.wait is not None:
            if frame.fork is not None:
                self.drop_children(frame)
            frame.wait = frame.due = frame.beat = frame.call = None
        target = target or state.next
        if target is not None:
            frame.state = target
            frame.input = output
        else:
            frame.wait = OVER
            self.complete(frame, output)

    def call(self, frame: Frame, state: State, call: Call) -> None:
        """Park the frame behind a call and have it made."""
        if call.items and forks.begin_map(self, frame, state, Fork(0, 0, [], call.source, distributed=True)) is None:
            return
        if not frame.key:
            frame.key = frame.token
        frame.wait = TASK
        if call.timeout is not None:
            frame.due = self.time + call.timeout
        if call.heartbeat is not None and call.resource.family != "Activity":
            frame.beat = self.time + call.heartbeat
        frame.call = {"arguments": call.arguments, "heartbeat": call.heartbeat, "again": 0}
        if call.items:
            self.ask(frame, call.resource, call.arguments, items=True)
            return
        kind, details = scheduled(call)
        self.record(frame, kind, details)
        self.commands.append(ScheduleTask(frame, call.resource, call.arguments))

    def ask(self, frame: Frame, resource: Resource, arguments: JSON, **marks: JSON) -> None:
        """Park the frame behind a call that is no task and is not in the history: a Map reads items or writes results.

        `marks` are kept in the frame's call: `items` with what was `read` before, or `writes` (what is still to be
        written) with the `result`.
        """
        frame.wait, frame.token, frame.due, frame.beat = TASK, self.token(), None, None
        frame.key = frame.key or frame.token
        frame.call = {"arguments": arguments, "heartbeat": None, "again": 0, "resource": resource.uri, **marks}
        self.commands.append(ScheduleTask(frame, resource, arguments))

    # -- results and failures --------------------------------------------------------------------------------------

    def complete(self, frame: Frame, output: JSON) -> None:
        """The frame has reached its end with an output."""
        frame.output = output
        frame.input = None
        if frame.path == ROOT:
            self.end(frame, SUCCEEDED, "ExecutionSucceeded", output=output)
            return
        parent = self.open(frame.path.rpartition(".")[0])
        assert parent.fork is not None
        if parent.fork.items is not None and not parent.fork.apart:
            self.record(frame, "MapIterationSucceeded", {"name": parent.state, "index": frame.index})
        forks.child_over(self, parent, frame)

    def settle(self, frame: Frame, state: State, result: JSON) -> None:
        """A result came from outside or from children: finish the state and let its frame run on."""
        try:
            self.finish(frame, state, state.stages, result, None)
        except ExecutionFailure as failure:
            self.evaluation_failed(frame, state, failure)
        if frame.wait is None:
            self.ready.append(frame)

    # -- failing ---------------------------------------------------------------------------------------------------

    def evaluation_failed(self, frame: Frame, state: State, failure: ExecutionFailure) -> None:
        """Something inside the state failed: word the cause as AWS does, and let the state fail."""
        if failure.kind == "evaluation" and frame.last == frame.entered:
            # As on AWS, the event follows the one before the state was entered.
            frame.last = self.before(frame.entered)
        unread = failure.kind != "state" and failure.location in (None, "Items")
        if unread and state.TYPE == "Map" and frame.wait is None:
            frame.wait = CHILDREN  # AWS writes MapStateFailed, though no iteration has begun
        self.fail(frame, failure.error, self.explained(frame, state, failure))

    def explained(self, frame: Frame, state: State, failure: ExecutionFailure) -> str | None:
        """The cause of a failure inside the state, in AWS's words; that of an evaluation is written down too."""
        cause = failure.cause
        if failure.explain and cause is not None:
            cause = (
                f"An error occurred while executing the state '{state.name}' "
                f"(entered at the event id #{frame.entered}). {cause}"
            )
        if failure.kind != "state":
            details = {"error": failure.error, "cause": cause, "location": failure.location, "state": state.name}
            self.record(frame, "EvaluationFailed", {key: value for key, value in details.items() if value is not None})
        return cause

    def fail(
        self,
        frame: Frame,
        error: str | None,
        cause: str | None,
        *,
        heartbeat: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """The frame's state failed: retry it, catch it, or fail the frame and the state around it."""
        while True:
            state = self.find[frame.state]
            begun = frame.wait == CHILDREN and (frame.fork or frame.call)
            if begun and isinstance(state, Map) and state.distributed:
                # As a task's failure, that of a map run is written whatever becomes of it: a retry makes another one.
                self.record(frame, "MapRunFailed", forks.what(error, cause))
            number = find_retrier(state.retriers, frame.spent, error, heartbeat=heartbeat)
            if number is not None:
                self.retry(frame, state, number, retry_after)
                return
            if frame.wait == CHILDREN:
                self.break_children(frame)
                self.record(frame, f"{state.TYPE}StateFailed", None)
            catcher = find_catcher(state.catchers, error, heartbeat=heartbeat)
            if catcher is not None:
                failure = self.catch(frame, state, catcher.stages, catcher.next, error, cause)
                if failure is None:
                    return
                error, cause = failure.error, self.explained(frame, state, failure)
            if frame.path == ROOT:
                self.end(frame, FAILED, "ExecutionFailed", error=error, cause=cause)
                return
            if frame.apart == frame.path:
                around = forks.fail_apart(self, frame, error, cause)
                if around is None:
                    return
                frame, error, cause = around, forks.THRESHOLD, forks.THRESHOLD_CAUSE
            else:
                frame = forks.fail_child(self, frame)
            retry_after = None

    def retry(self, frame: Frame, state: State, number: int, retry_after: float | None) -> None:
        """Park the frame until the retrier's delay is over."""
        self.drop_children(frame)
        spent = list(frame.spent or (0,) * len(state.retriers))
        delay = retry_delay(state.retriers[number], spent[number], self.scope(frame).random, retry_after)
        spent[number] += 1
        frame.spent = tuple(spent)
        frame.wait, frame.token, frame.due, frame.beat = RETRY, self.token(), self.time + delay, None
        frame.call = None
        self.commands.append(StartTimer(f"{frame.path}#{frame.token}", self.time + delay))

    def catch(
        self, frame: Frame, state: State, stages: Stages, target: str, error: str | None, cause: str | None
    ) -> ExecutionFailure | None:
        """Hand the error to a catcher. None when it worked, else its own failure, which nothing catches."""
        scope = self.scope(frame)
        # AWS gives a time-out an empty cause here, though it has none in the history.
        scope.error_output = found = {"Error": error, "Cause": "" if cause is None and error == TIMEOUT else cause}
        try:
            self.finish(frame, state, stages, found, scope, target)
        except ExecutionFailure as failure:
            return failure
        self.ready.append(frame)
        return None

    @property
    def overfull(self) -> str:
        """The cause of the failure of an execution with a full history."""
        return f"The execution reached the maximum number of history events ({self.execution.history_limit})."

    def overflow(self) -> None:
        """The history is full: the execution ends, with the last event there is room for. Nothing more is begun."""
        root = self.open(ROOT)
        root.last = self.execution.events
        self.commands.clear()
        self.end(root, FAILED, "ExecutionFailed", error=RUNTIME, cause=self.overfull)

    def end(
        self,
        frame: Frame,
        status: str,
        kind: str,
        *,
        output: JSON = None,
        error: str | None = None,
        cause: str | None = None,
    ) -> None:
        """End the execution and everything in it. One that has not succeeded keeps its frames, to be redriven."""
        self.record(frame, kind, {"output": output} if status == SUCCEEDED else forks.what(error, cause))
        execution = self.execution
        execution.status, execution.output, execution.error, execution.cause = status, output, error, cause
        execution.stopped = self.time
        if status == FAILED:
            frame.wait = BROKEN
        for path, waiting in {**execution.frames, **self.changed}.items():
            if waiting is not None and waiting.wait in (TASK, TIMER, RETRY) and waiting is not frame:
                self.commands.append(Cancel(f"{path}#{waiting.token}"))
            if status == SUCCEEDED:
                self.changed[path] = None
        self.ready.clear()
        self.commands.append(FinishExecution())
