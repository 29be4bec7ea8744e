"""What somebody wants of an execution that another process runs, on its way through the store: an event as JSON.

A task token is `<execution>:<path>#<number>`.
"""

from __future__ import annotations

from typing import Final

from engine.core.events import ExecutionStopped, TaskFailed, TaskHeartbeat, TaskSucceeded
from engine.core.execution import RETRY, TASK, TIMER, Execution
from engine.errors import InvalidToken
from engine.values import JSON

Sendable = TaskSucceeded | TaskFailed | TaskHeartbeat | ExecutionStopped

_KINDS: Final[dict[str, type[Sendable]]] = {
    kind.__name__: kind for kind in (TaskSucceeded, TaskFailed, TaskHeartbeat, ExecutionStopped)
}


def signal_of(event: Sendable) -> dict[str, JSON]:
    """The event as JSON."""
    facts = {name: getattr(event, name) for name in event.__slots__}
    return {"event": type(event).__name__, **{name: value for name, value in facts.items() if value is not None}}


def event_of(signal: dict[str, JSON], now: float) -> Sendable:
    """The event of a signal; it happens when it is received."""
    facts = {**signal, "time": now}
    kind = _KINDS[signal["event"]]
    event = kind.__new__(kind)
    for name in kind.__slots__:
        setattr(event, name, facts.get(name))
    return event


def split_token(token: str) -> tuple[str, str]:
    """The execution's name and the rest of a task token. Raises InvalidToken."""
    name, _, inner = token.rpartition(":")
    if not name or "#" not in inner:
        raise InvalidToken(f"{token!r} is no task token")
    return name, inner


def wakes(execution: Execution) -> float | None:
    """When the execution needs somebody to run it: at once (0) for a call that is to be made, at its earliest timer, or
    never (None) before a callback comes."""
    moments = [] if execution.deadline is None else [execution.deadline]
    for frame in execution.frames.values():
        if frame.wait == TASK and "submitted" not in frame.call:
            return 0.0
        if frame.wait in (TASK, TIMER, RETRY) and frame.wakes is not None:
            moments.append(frame.wakes)
    return min(moments, default=None)


def check_waiting(execution: Execution, inner: str) -> None:
    """Raises InvalidToken when nothing in the execution waits for that token."""
    path, _, number = inner.partition("#")
    frame = execution.frames.get(path)
    if frame is None or frame.wait != TASK or str(frame.token) != number:
        raise InvalidToken(f"nothing waits for the token {execution.name}:{inner} (any more)")
