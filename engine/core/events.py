"""What comes in (events), what goes out (commands), and the two together (a decision).

Every event carries its own time, in seconds since the epoch. Tokens are `<path>#<number>`; an event whose token is
not what its frame waits for is late or repeated, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.core.execution import Execution, Frame
from engine.outcomes import Resource
from engine.values import JSON


class ExecutionStarted:
    """Begin. The execution has its input and no frames yet."""

    __slots__ = ("time",)

    def __init__(self, time: float) -> None:
        self.time = time


class TaskStarted:
    """The work on a call has begun. Only for who knows it before the answer comes; else the answer tells. `worker`: who
    has taken up the task of an activity, if it said so."""

    __slots__ = ("time", "token", "worker")

    def __init__(self, token: str, time: float, worker: str | None = None) -> None:
        self.token = token
        self.time = time
        self.worker = worker


class TaskSubmitted:
    """The first answer of a call that waits (`.sync`, `.waitForTaskToken`): a receipt, not the result. `child`: the
    name of the execution that the call has started and waits for."""

    __slots__ = ("child", "output", "started", "time", "token")

    def __init__(
        self, token: str, output: JSON, time: float, started: float | None = None, child: str | None = None
    ) -> None:
        self.token = token
        self.output = output
        self.time = time
        self.started = started
        self.child = child


class TaskSucceeded:
    """A call's result. `started`: when the work began; `note`: a line for people, kept beside the history."""

    __slots__ = ("note", "output", "started", "time", "token")

    def __init__(
        self, token: str, output: JSON, time: float, started: float | None = None, note: str | None = None
    ) -> None:
        self.token = token
        self.output = output
        self.time = time
        self.started = started
        self.note = note


class TaskFailed:
    """A call failed. `retry_after`: seconds that the called side asked to be left alone."""

    __slots__ = ("cause", "error", "note", "retry_after", "started", "time", "token")

    def __init__(
        self,
        token: str,
        error: str | None,
        cause: str | None,
        time: float,
        started: float | None = None,
        retry_after: float | None = None,
        note: str | None = None,
    ) -> None:
        self.token = token
        self.error = error
        self.cause = cause
        self.time = time
        self.started = started
        self.retry_after = retry_after
        self.note = note


class TaskHeartbeat:
    """The work goes on: restarts HeartbeatSeconds."""

    __slots__ = ("time", "token")

    def __init__(self, token: str, time: float) -> None:
        self.token = token
        self.time = time


class TaskHeld:
    """A call was not made, since `name`, what it calls, is paused. Its time-outs stand still until it is asked for
    again (ExecutionResumed)."""

    __slots__ = ("name", "time", "token")

    def __init__(self, token: str, name: str, time: float) -> None:
        self.token = token
        self.name = name
        self.time = time


class CallsReturned:
    """Whoever gives the execution back has not begun these calls: the next one to make them makes them for the first
    time (ExecutionResumed). Their time-outs go on."""

    __slots__ = ("time", "tokens")

    def __init__(self, tokens: Sequence[str], time: float) -> None:
        self.tokens = tokens
        self.time = time


class TimerFired:
    """A moment that a frame waits for has come. `started`: when the work that timed out began, if it did."""

    __slots__ = ("started", "time", "token")

    def __init__(self, token: str, time: float, started: float | None = None) -> None:
        self.token = token
        self.time = time
        self.started = started


class TimersFired:
    """Several moments that frames wait for have come at once."""

    __slots__ = ("time", "tokens")

    def __init__(self, tokens: Sequence[str], time: float) -> None:
        self.tokens = tokens
        self.time = time


class ExecutionResumed:
    """A process takes the execution over after another one ended: everything it waits for is asked for again."""

    __slots__ = ("time",)

    def __init__(self, time: float) -> None:
        self.time = time


class ExecutionRedriven:
    """Somebody has an execution that did not succeed go on where it failed. `inputs`: new inputs of unfinished states,
    by the paths of their frames. `anew`: it begins again with its first state, as an Express child of a map run does.
    The machine may be a newer one, if it fits (`engine.core.redrive.misfit`)."""

    __slots__ = ("anew", "inputs", "time")

    def __init__(self, time: float, inputs: Mapping[str, JSON] | None = None, *, anew: bool = False) -> None:
        self.time = time
        self.inputs = inputs or {}
        self.anew = anew


class DeadlineReached:
    """The machine's TimeoutSeconds are over."""

    __slots__ = ("time",)

    def __init__(self, time: float) -> None:
        self.time = time


class ExecutionStopped:
    """Somebody stopped the execution."""

    __slots__ = ("cause", "error", "time")

    def __init__(self, time: float, error: str | None = None, cause: str | None = None) -> None:
        self.time = time
        self.error = error
        self.cause = cause


Event = (
    ExecutionStarted
    | TaskStarted
    | TaskSubmitted
    | TaskSucceeded
    | TaskFailed
    | TaskHeartbeat
    | TaskHeld
    | CallsReturned
    | TimerFired
    | TimersFired
    | ExecutionResumed
    | ExecutionRedriven
    | DeadlineReached
    | ExecutionStopped
)


class ScheduleTask:
    """Call the resource. `attempt` counts the deliveries of this entry; `key` is the same for all of them and, with the
    execution's name in front, for no others anywhere.

    `again`: this very call may have been made before, by a process that ended. `writes`: it writes results of a Map
    out, and its answer matters to nobody.
    """

    __slots__ = (
        "again", "arguments", "attempt", "beat", "due", "entry", "path", "resource", "state", "token", "writes",
    )  # fmt: skip

    def __init__(self, frame: Frame, resource: Resource, arguments: JSON) -> None:
        self.token = f"{frame.path}#{frame.token}"
        self.path = frame.path
        self.state = frame.state
        self.resource = resource
        self.arguments = arguments
        self.again: int = frame.call["again"]
        self.attempt = frame.tries + self.again
        self.due = frame.due
        self.beat = frame.beat
        self.entry = frame.key
        self.writes: bool = "writes" in frame.call

    @property
    def key(self) -> str:
        """The path and the number of the entry."""
        return f"{self.path}/{self.entry}"


class StartTimer:
    """Send TimerFired with this token at `due`."""

    __slots__ = ("due", "token")

    def __init__(self, token: str, due: float) -> None:
        self.token = token
        self.due = due


class Cancel:
    """Nobody waits for this token any more: stop the work if that is possible."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token


class FinishExecution:
    """The execution has ended; its status, output, error and cause are on it."""

    __slots__ = ()


Command = ScheduleTask | StartTimer | Cancel | FinishExecution

HistoryEvent = tuple[int, int, float, str, "dict[str, JSON] | None"]
"""Id, id of the event before it in its path, seconds since the epoch, AWS's type name, details as JSON values."""


class Decision:
    """What follows from an event. Written together in one transaction; only then are the commands carried out.

    `frames` maps the paths that changed to their new frames, None for those that are gone.
    """

    __slots__ = ("commands", "execution", "frames", "history")

    def __init__(
        self,
        execution: Execution,
        frames: dict[str, Frame | None],
        history: list[HistoryEvent],
        commands: list[Command],
    ) -> None:
        self.execution = execution
        self.frames = frames
        self.history = history
        self.commands = commands

    def apply(self) -> Execution:
        """The execution after this decision. The owner of the execution calls it once, after the commit.

        It changes the shared mapping of frames in place: a decision costs what it touches, not what lies beside it.
        """
        frames = self.execution.frames
        for path, frame in self.frames.items():
            if frame is None:
                frames.pop(path, None)
            else:
                frames[path] = frame
        return self.execution
