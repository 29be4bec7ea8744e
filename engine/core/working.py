"""The working state of one decision: copies of what changes, and what is to be said about it."""

from __future__ import annotations

from typing import Final

from engine.core.events import Cancel, Command, Decision, HistoryEvent
from engine.core.execution import BROKEN, READY, RETRY, TASK, TIMER, Execution, Frame
from engine.core.scope import StateScope
from engine.machine import StateMachine
from engine.values import JSON, exceeds

EXPRESS_SECONDS: Final = 300
"""Longest time an Express execution may take (AWS's quota)."""


class HistoryFull(Exception):
    """The next event would be the last one that the history has room for: that is kept for the end (AWS)."""


class Working:
    """Reads come from the execution or from what has changed since; writes go to copies of frames only.

    The execution itself is changed: whoever needs it as it was gives a copy.
    """

    __slots__ = ("changed", "commands", "execution", "find", "history", "machine", "measured", "time")

    def __init__(self, machine: StateMachine, execution: Execution, time: float) -> None:
        self.machine = machine
        self.find = machine.find
        self.execution = execution
        self.time = time
        self.changed: dict[str, Frame | None] = {}
        self.history: list[HistoryEvent] = []
        self.commands: list[Command] = []
        self.measured: JSON = None
        """The value that was last found not to be too large: most are handed on as they are."""

    def decision(self) -> Decision:
        """Everything that was decided."""
        return Decision(self.execution, self.changed, self.history, self.commands)

    def frame(self, path: str) -> Frame | None:
        """The present frame of that path, changed or not; not for changing."""
        changed = self.changed
        return changed[path] if path in changed else self.execution.frames.get(path)

    def open(self, path: str) -> Frame:
        """The frame of that path, for changing."""
        changed = self.changed.get(path)
        if changed is None:
            changed = self.changed[path] = self.execution.frames[path].copy()
        return changed

    def record(self, frame: Frame, kind: str, details: dict[str, JSON] | None) -> int:
        """Append a history event to the frame's path; answers its id.

        A child execution of a distributed Map has a history of its own, of which only the count is kept.
        """
        if frame.apart is not None:
            child = frame if frame.path == frame.apart else self.open(frame.apart)
            child.events = frame.last = child.events + 1
            return frame.last
        execution = self.execution
        number = execution.events + 1
        if number >= execution.history_limit and not kind.startswith("Execution"):
            raise HistoryFull
        execution.events = number
        self.history.append((number, frame.last, self.time, kind, details))
        frame.last = number
        return number

    def fits(self, value: JSON) -> bool:
        """Whether a value is not too large to be handed on."""
        if value is self.measured:
            return True
        if exceeds(value):
            return False
        self.measured = value
        return True

    def set_deadline(self) -> None:
        """Have the execution time out, counted from now: by its flow's own limit, and by that of Express ones."""
        limits = [self.machine.timeout, EXPRESS_SECONDS if self.execution.express else None]
        known = [limit for limit in limits if limit is not None]
        self.execution.deadline = self.time + min(known) if known else None

    def before(self, number: int) -> int:
        """The id of the event before one of this decision."""
        return next((event[1] for event in reversed(self.history) if event[0] == number), 0)

    def scope(self, frame: Frame) -> StateScope:
        """What expressions see in that frame."""
        return StateScope(self, frame, self.find[frame.state].retries)

    def token(self) -> int:
        """A number that was never used in this execution."""
        self.execution.sequence = number = self.execution.sequence + 1
        return number

    def drop_children(self, frame: Frame) -> None:
        """Forget every child of the frame, and end whatever it waits for."""
        if frame.fork is None:
            return
        for index in range(frame.fork.next):
            path = f"{frame.path}.{index}"
            child = self.frame(path)
            if child is not None:
                if child.fork is not None:
                    self.drop_children(child)
                if child.wait in (TASK, TIMER, RETRY):
                    self.commands.append(Cancel(f"{child.path}#{child.token}"))
                self.changed[path] = None
        frame.fork = None

    def break_children(self, frame: Frame) -> None:
        """End what the children of a frame whose state fails are at, and keep them: a redrive goes on from there."""
        for index in range(frame.fork.next if frame.fork is not None else 0):
            path = f"{frame.path}.{index}"
            child = self.frame(path)
            if child is None:
                continue
            if child.wait in (TASK, TIMER, RETRY):
                self.commands.append(Cancel(f"{path}#{child.token}"))
                self.open(path).wait = BROKEN
            elif child.wait is None:
                self.open(path).wait = READY
            if child.fork is not None:
                self.break_children(child)
