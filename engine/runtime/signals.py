"""What somebody wants of an execution that another process runs, on its way through the store: an event as JSON."""

from __future__ import annotations

from typing import Final

from engine.core.events import ExecutionStopped, TaskFailed, TaskHeartbeat, TaskStarted, TaskSucceeded
from engine.core.execution import RUNNING, TASK, Execution
from engine.core.tokens import TaskToken, genuine, read_token
from engine.errors import ExecutionNotFound, InvalidToken, TaskDoesNotExist, TaskTimedOut
from engine.runtime.pausing import PauseAsked
from engine.stores import Store
from engine.stores.pausing import PAUSED
from engine.values import JSON

Sendable = TaskStarted | TaskSucceeded | TaskFailed | TaskHeartbeat | ExecutionStopped

_KINDS: Final[dict[str, type[Sendable]]] = {
    kind.__name__: kind for kind in (TaskStarted, TaskSucceeded, TaskFailed, TaskHeartbeat, ExecutionStopped)
}


def signal_of(event: Sendable) -> dict[str, JSON]:
    """The event as JSON."""
    facts = {name: getattr(event, name) for name in event.__slots__}
    return {"event": type(event).__name__, **{name: value for name, value in facts.items() if value is not None}}


def event_of(signal: dict[str, JSON], now: float) -> Sendable | PauseAsked:
    """The event of a signal; it happens when it is received."""
    if signal["event"] == PAUSED:
        return PauseAsked(now)
    facts = {**signal, "time": now}
    kind = _KINDS[signal["event"]]
    event = kind.__new__(kind)
    for name in kind.__slots__:
        setattr(event, name, facts.get(name))
    return event


def accepted(store: Store, token: str) -> TaskToken:
    """The parts of a token that something waits for.

    Raises InvalidToken, TaskDoesNotExist, TaskTimedOut. None of them tells a stranger anything about the execution.
    """
    parts = read_token(token)
    if parts is None:
        raise InvalidToken("this is no task token; send back the whole of what the call handed out")
    try:
        execution = store.load(parts.name).execution
    except ExecutionNotFound:
        text = f"no execution {parts.name!r} is in {store.url}; is this the store that it was started in (--store)?"
        raise TaskDoesNotExist(text) from None
    if not genuine(execution, parts):
        raise InvalidToken("this task token was not made here; send back the whole of what the call handed out")
    if execution.status != RUNNING:
        raise TaskTimedOut(
            f"nothing waits for this task token any more: execution {parts.name} has ended as {execution.status}; "
            f"see: engine show {parts.name}"
        )
    if not _waits(execution, parts.inner):
        raise TaskTimedOut(
            "nothing waits for this task token any more: its call was answered before, or has timed out; "
            f"see: engine show {parts.name}"
        )
    return parts


def _waits(execution: Execution, inner: str) -> bool:
    """Whether that call of the execution is out."""
    path, _, number = inner.partition("#")
    frame = execution.frames.get(path)
    return frame is not None and frame.wait == TASK and str(frame.token) == number
