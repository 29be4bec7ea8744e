"""Redriving: an execution that did not succeed goes on where it failed. What had succeeded is not run again.

Source: AWS Step Functions Developer Guide, "Restarting state machine executions with redrive". Rules of this file:

1. Every state that was entered and not left is tried again, with its input, and all its retries are unspent. So a Task
   is scheduled again, a Choice decides again, a Wait waits again (one until a moment that is past ends at once), and a
   Fail state is entered again, and fails.
2. A Parallel or Map keeps the results of the children that have succeeded, and tries the others again; those that had
   not begun begin when there is room. When all have succeeded, only what came behind them is tried again, but for
   `States.DataLimitExceeded`, after which all of it runs again, and in a distributed Map for `States.Runtime` as well.
   Express children of a map run begin again with their first state.
3. The time-out of the machine starts anew. Tokens and history go on, so that nothing late is taken for something new.
4. An entry keeps its idempotency key, since a redrive asks for the same thing once more, unless its input was replaced.

AWS goes on with the same definition and the same input only; here both may be replaced (`misfit`, `inputs`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from engine.core import forks, spreading
from engine.core.events import ExecutionRedriven
from engine.core.execution import CHILDREN, OVER, READY, ROOT, RUNNING, SUCCEEDED, TASK, Execution, ForkProgress, Frame
from engine.core.scope import map_run
from engine.machine import State, StateMachine
from engine.states.map_ import Map

MAX_REDRIVES: Final = 1000
"""AWS's quota."""
ROOM: Final = 2
"""How many more history events there must be room for: one that tells of the redrive, and another."""
TOO_LARGE_ERROR: Final = "States.DataLimitExceeded"
ALL_AGAIN: Final = {True: (TOO_LARGE_ERROR, "States.Runtime"), False: (TOO_LARGE_ERROR,)}
"""The errors after which everything in a state runs again, in a map run (True) and in others."""


class Runner(forks.Runner, Protocol):
    """What this file needs of the decision under way."""

    machine: StateMachine
    time: float

    def attempt(self, frame: Frame, state: State) -> None:
        """Enter the state once more."""

    def drop_children(self, frame: Frame) -> None:
        """Forget the children."""

    def set_deadline(self) -> None:
        """Have the execution time out."""


def refusal(execution: Execution) -> str | None:
    """Why the execution cannot be redriven, in AWS's words; None when it can."""
    if execution.status in (RUNNING, SUCCEEDED):
        return f"Execution is {execution.status} and cannot be redriven"
    if execution.events + ROOM > execution.history_limit:
        return "Execution history event limit exceeded"
    if execution.redrives >= MAX_REDRIVES:
        return f"Execution redrive limit of {MAX_REDRIVES} exceeded"
    if ROOT not in execution.frames:
        return "Execution has no state to go on from"
    return None


def unfinished(execution: Execution) -> list[Frame]:
    """The frames whose states a redrive tries again, innermost ones only, in the order of their paths."""
    return [frame for frame in _open(execution) if frame.fork is None]


def misfit(machine: StateMachine, execution: Execution) -> str | None:
    """Why a machine cannot take over the execution: every state that was entered and not left must be there, in the
    same place. None when it can."""
    for frame in _open(execution):
        inside: StateMachine = machine
        if frame.parent is not None:
            around = execution.frames[frame.parent]
            inside = machine.find[around.state].child(frame.index)
        state = inside.states.get(frame.state)
        if state is None:
            return f"it has no state {frame.state!r} where the execution stands ({frame.path})"
        fork = frame.fork
        if fork is None:
            continue
        if not _continues(state, fork):
            return f"its state {frame.state!r} has not the branches that have begun"
    return None


def _continues(state: State, fork: ForkProgress) -> bool:
    """Whether a state is of the kind that has begun those branches or iterations."""
    if fork.items is None:
        return state.TYPE == "Parallel" and len(state.machines()) == fork.count
    return isinstance(state, Map) and state.distributed == fork.apart


def redrive(run: Runner, event: ExecutionRedriven) -> None:
    """Let the execution go on."""
    execution = run.execution
    if refusal(execution) is not None:
        return
    error = execution.error
    execution.status = RUNNING
    execution.output = execution.error = execution.cause = execution.stopped = None
    execution.redrives += 1
    execution.redriven = event.time
    execution.runs = 0  # no call that is scheduled from here on can have been made by a process that ended
    run.set_deadline()
    root = run.open(ROOT)
    if event.anew:
        run.drop_children(root)
        root = run.changed[ROOT] = Frame(ROOT, run.machine.start_at, execution.input, 0)
    root.last = execution.events
    run.record(root, "ExecutionRedriven", {"redriveCount": execution.redrives})
    for path, data in event.inputs.items():
        frame = run.open(path)
        frame.input = data
        frame.key = 0  # another request than before: not to be answered as that one
    _Redrive(run, error).go(root)


class _Redrive:
    """First every frame is made ready, then each goes on: the first may end what the others belong to."""

    def __init__(self, run: Runner, error: str | None) -> None:
        self.run = run
        self.error = error
        self.work: deque[tuple[Frame, Callable[[Frame], None]]] = deque()

    def go(self, root: Frame) -> None:
        run = self.run
        self.prepare(root)
        while self.work and run.execution.status == RUNNING:
            frame, act = self.work.popleft()
            if run.changed.get(frame.path) is frame:
                act(frame)

    def prepare(self, frame: Frame) -> None:
        """See what is to be done in the frame, and in those below it."""
        run = self.run
        state = run.find[frame.state]
        if frame.wait in (None, READY) or state.TYPE == "Fail":
            self.work.append((frame, self.enter))
            return
        frame.spent = ()
        frame.earlier = frame.tries
        children = spreading.children_of(frame)
        whole = self.whole(frame)
        frame.due = frame.beat = frame.call = None
        if children is not None and frame.fork is not None and not whole:
            frame.fork = frame.fork.copy()
            self.note_map_run(frame, state)
            self.work.append((frame, lambda again: forks.ask_children(run, again, forks.REDRIVE, children)))
            return
        if children is not None:
            frame.fork = None
        if frame.fork is None:
            self.work.append((frame, self.attempt))
            return
        fork = frame.fork = frame.fork.copy()
        inside = [run.frame(f"{frame.path}.{index}") for index in range(fork.next)]
        fork.left = fork.count - sum(child is not None and child.wait == OVER for child in inside)
        fork.failed = 0
        if not fork.left and whole:
            run.drop_children(frame)
            self.work.append((frame, self.attempt))
            return
        frame.wait, frame.token = CHILDREN, run.token()
        if fork.apart:
            self.note_map_run(frame, state)
        if not fork.left:
            self.work.append((frame, lambda joined: forks.join(run, joined)))
        for index, child in enumerate(inside):
            if child is None:
                self.work.append((frame, self.starting(index)))
            elif child.wait != OVER and isinstance(state, Map) and state.express:
                run.drop_children(child)
                self.work.append((frame, self.starting(index)))
            elif child.wait != OVER:
                self.prepare(run.open(child.path))
        unstarted = fork.count - fork.next
        room = unstarted if not fork.limit else min(unstarted, fork.limit - (fork.left - unstarted))
        for _ in range(room):
            self.work.append((frame, self.starting(None)))

    def whole(self, frame: Frame) -> bool:
        """Whether a state whose children have all succeeded failed in such a way that they run again all the same."""
        fork = frame.fork
        if fork is None or frame.wait == TASK or self.error not in ALL_AGAIN[fork.apart]:
            return False
        return frame.call is None or (frame.call.get("spread") == forks.RESULTS and not frame.call.get("failed"))

    def note_map_run(self, frame: Frame, state: State) -> None:
        """Write that a map run goes on. Its fork is for changing."""
        assert frame.fork is not None
        frame.fork.redrives += 1
        arn = map_run(self.run.execution, frame, forks.label_of(state))
        details = {"mapRunArn": arn, "redriveCount": frame.fork.redrives}
        self.run.record(frame, "MapRunRedriven", details)

    def starting(self, index: int | None) -> Callable[[Frame], None]:
        """Start a child that has not begun: the one of that index, or the next one."""
        run = self.run

        def start(frame: Frame) -> None:
            if frame.fork is not None and frame.wait == CHILDREN:
                forks.start_child(run, frame, run.find[frame.state], frame.last, index)

        return start

    def enter(self, frame: Frame) -> None:
        """Go on as if nothing had been: the state is entered."""
        frame.wait = None
        self.run.ready.append(frame)

    def attempt(self, frame: Frame) -> None:
        """Try the state again, without entering it again."""
        frame.wait = None
        self.run.attempt(frame, self.run.find[frame.state])
        if frame.wait is None:
            self.run.ready.append(frame)


def _open(execution: Execution) -> Iterator[Frame]:
    """The frames that have not ended well, each behind the one around it."""
    over = {path for path, frame in execution.frames.items() if frame.wait == OVER}
    for path in sorted(execution.frames, key=lambda path: [int(part) for part in path.split(".")]):
        if path not in over:
            yield execution.frames[path]
