"""One run as data: an execution and its frames.

A **frame** is one running path: the root, a branch of a Parallel, an iteration of a Map. It knows the state it stands
in and what it waits for. Frames form a tree by their paths: the root is "0", its third branch "0.2".

What a frame waits for is data too, so that a store needs no queue beside it:

    TASK      a call is out; `due` is its time-out, `beat` its heartbeat time-out (seconds since the epoch, or None)
    TIMER     a Wait; `due` is when it ends
    RETRY     a retrier's delay; `due` is when the state is tried again
    CHILDREN  a Parallel or Map; `fork` counts its children
    OVER      a branch or iteration that has ended; its `output` waits for the join
    BROKEN    its state failed and nothing took the error, or it was ended with what failed around it
    READY     as BROKEN, of one that had not entered its state yet

An execution that did not succeed keeps its frames as they were when it ended: that is what a redrive goes on from.

`token` numbers what is waited for. It counts over the whole execution and never repeats, so that anything late or
repeated is recognised and ignored.

Executions and frames are values: `decide` copies what it changes. `to_json` and `from_json` are the snapshot, with a
format version.
"""

from __future__ import annotations

from typing import Any, Final

from engine.outcomes import Fork
from engine.values import JSON

FORMAT: Final = 1
"""Version of the snapshot. A change of the fields below needs a new one and a step in `upgrade`."""

LATER: Final[dict[str, JSON]] = {
    "batched": False, "earlier": 0, "instance": "", "parent": None, "pins": {}, "redrives": 0, "redriven": None,
    "secret": "", "spreads": False, "whole": False,
}  # fmt: skip
"""What fields that joined the format later are in a snapshot without them."""

ROOT: Final = "0"

TASK: Final = "TASK"
TIMER: Final = "TIMER"
RETRY: Final = "RETRY"
CHILDREN: Final = "CHILDREN"
OVER: Final = "OVER"
BROKEN: Final = "BROKEN"
READY: Final = "READY"

RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
TIMED_OUT: Final = "TIMED_OUT"
ABORTED: Final = "ABORTED"

DEFAULT_HISTORY_LIMIT: Final = 25_000
"""Most events an execution may have (AWS's quota)."""


class ForkProgress:
    """How far a Parallel or Map is.

    `source` is the prepared input; `items` the list of a Map, None for a Parallel; `keyed` says that it was an object,
    whose items are then {"Key", "Value"}; `batched` that each is a batch of such. `next` is the next child to start,
    `left` how many have not ended, `failed` how many items have failed of the `tolerated`. `apart`: the children are
    executions of their own (a distributed Map); how often they were redriven is `redrives`.
    `whole`: it comes from a store that knew no better than to write the items with every change of the counters.
    """

    __slots__ = (
        "apart",
        "batched",
        "count",
        "failed",
        "items",
        "keyed",
        "left",
        "limit",
        "next",
        "redrives",
        "source",
        "tolerated",
        "whole",
    )

    def __init__(self, fork: Fork) -> None:
        self.count = self.left = fork.count
        self.limit = fork.limit
        self.items = fork.items
        self.keyed = fork.keyed
        self.batched = fork.single is not None
        self.source = fork.source
        self.tolerated = 0
        self.apart = fork.distributed
        self.next = 0
        self.failed = 0
        self.redrives = 0
        self.whole = False

    def copy(self) -> ForkProgress:
        """A copy to change."""
        new = ForkProgress.__new__(ForkProgress)
        new.count = self.count
        new.left = self.left
        new.limit = self.limit
        new.items = self.items
        new.keyed = self.keyed
        new.batched = self.batched
        new.source = self.source
        new.tolerated = self.tolerated
        new.apart = self.apart
        new.next = self.next
        new.failed = self.failed
        new.redrives = self.redrives
        new.whole = self.whole
        return new

    def weight(self, index: int) -> int:
        """How many items a Map's child is for."""
        return len(self.item(index)["Items"]) if self.batched else 1

    def item(self, index: int) -> JSON:
        """The item of a Map's child; None for a Parallel. The child of an object gets a pair (AWS, "ItemsPath")."""
        return None if self.items is None else self.items[index]

    def to_json(self) -> dict[str, JSON]:
        """The snapshot."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "whole" or self.whole}

    @classmethod
    def from_json(cls, value: dict[str, JSON]) -> ForkProgress:
        """The progress of a snapshot."""
        new = cls.__new__(cls)
        for name in cls.__slots__:
            setattr(new, name, value[name] if name in value else LATER[name])
        return new


class Frame:
    """One running path. Treat as immutable; `copy` first.

    `entered` and `last` are event ids (of the state's entry, and the latest in this path); `entered_at` seconds
    since the epoch; `tries` counts the attempts of this entry, `earlier` those of them before the latest redrive,
    `spent` the retries by retrier; `key` is the first token of this entry, from which its idempotency key is made;
    `call` holds the arguments, time-out and heartbeat of a call that is out. `apart` is the path of the child
    execution of a distributed Map that the frame belongs to, and `events` the number of events of that child,
    counted on its own root: they are not part of this execution's history.
    """

    __slots__ = (
        "apart",
        "beat",
        "call",
        "due",
        "earlier",
        "entered",
        "entered_at",
        "events",
        "fork",
        "input",
        "key",
        "last",
        "output",
        "path",
        "spent",
        "state",
        "token",
        "tries",
        "variables",
        "wait",
    )

    path: str
    state: str
    input: JSON
    variables: dict[str, JSON]
    entered: int
    entered_at: float
    last: int
    tries: int
    earlier: int
    spent: tuple[int, ...]
    key: int
    wait: str | None
    token: int
    due: float | None
    beat: float | None
    call: Any
    fork: ForkProgress | None
    output: JSON
    apart: str | None
    events: int

    def __init__(self, path: str, state: str, data: JSON, last: int) -> None:
        self.path = path
        self.state = state
        self.input = data
        self.variables = {}
        self.entered = 0
        self.entered_at = 0.0
        self.last = last
        self.tries = 0
        self.earlier = 0
        self.spent = ()
        self.key = 0
        self.wait = None
        self.token = 0
        self.due = None
        self.beat = None
        self.call = None
        self.fork = None
        self.output = None
        self.apart = None
        self.events = 0

    def copy(self) -> Frame:
        """A copy to change. Values inside are shared: they are immutable."""
        new = Frame.__new__(Frame)
        new.path = self.path
        new.state = self.state
        new.input = self.input
        new.variables = self.variables
        new.entered = self.entered
        new.entered_at = self.entered_at
        new.last = self.last
        new.tries = self.tries
        new.earlier = self.earlier
        new.spent = self.spent
        new.key = self.key
        new.wait = self.wait
        new.token = self.token
        new.due = self.due
        new.beat = self.beat
        new.call = self.call
        new.fork = self.fork
        new.output = self.output
        new.apart = self.apart
        new.events = self.events
        return new

    @property
    def parent(self) -> str | None:
        """The path of the frame that forked this one; None for the root."""
        return self.path.rpartition(".")[0] or None

    @property
    def index(self) -> int:
        """Which branch or iteration this is."""
        return int(self.path.rpartition(".")[2])

    @property
    def wakes(self) -> float | None:
        """When this frame needs a TimerFired at the latest, in seconds since the epoch."""
        if self.due is None or self.beat is None:
            return self.beat if self.due is None else self.due
        return min(self.due, self.beat)

    def to_json(self) -> dict[str, JSON]:
        """The snapshot of this frame."""
        value = {name: getattr(self, name) for name in self.__slots__ if name not in ("fork", "spent")}
        value["spent"] = list(self.spent)
        value["fork"] = None if self.fork is None else self.fork.to_json()
        return value

    @classmethod
    def from_json(cls, value: dict[str, JSON]) -> Frame:
        """The frame of a snapshot."""
        new = cls.__new__(cls)
        for name in cls.__slots__:
            setattr(new, name, value[name] if name in value else LATER[name])
        new.spent = tuple(value["spent"])
        new.fork = None if value["fork"] is None else ForkProgress.from_json(value["fork"])
        return new


class Execution:
    """One run. Treat as immutable; its owner calls `Decision.apply`.

    `events` is the id of the latest history event; `sequence` the latest token; `deadline` and the times are seconds
    since the epoch; `runs` counts the processes that have taken it up; `redrives` how often it was redriven, the latest
    time at `redriven`; `express`: of an Express workflow, of which `instance` tells runs of one name apart. `secret` is
    what its task tokens are signed with, "" for plain ones. `parent`, of one that a call of another execution has
    started: `{"name", "token", "as", "depth"}`, who is to be told of the end, and how deep it stands. `pins` maps the
    names of the flows that it may start to their content hashes. `spreads`: the children of a distributed Map are
    executions of their own in the store, and not frames of this one. `frames` maps paths to frames.
    """

    __slots__ = (
        "cause",
        "deadline",
        "error",
        "events",
        "express",
        "frames",
        "history_limit",
        "input",
        "instance",
        "machine_id",
        "name",
        "output",
        "parent",
        "pins",
        "redriven",
        "redrives",
        "runs",
        "secret",
        "sequence",
        "spreads",
        "started",
        "status",
        "stopped",
    )

    def __init__(
        self,
        name: str,
        data: JSON,
        *,
        machine_id: str = "flow",
        history_limit: int = DEFAULT_HISTORY_LIMIT,
        runs: int = 0,
        express: bool = False,
        secret: str = "",
        parent: dict[str, JSON] | None = None,
        pins: dict[str, str] | None = None,
        spreads: bool = False,
    ) -> None:
        self.name = name
        self.machine_id = machine_id
        self.input = data
        self.status = RUNNING
        self.output: JSON = None
        self.error: str | None = None
        self.cause: str | None = None
        self.started = 0.0
        self.stopped: float | None = None
        self.deadline: float | None = None
        self.events = 0
        self.sequence = 0
        self.history_limit = history_limit
        self.runs = runs
        self.redrives = 0
        self.redriven: float | None = None
        self.express = express
        self.instance = ""
        self.secret = secret
        self.parent = parent
        self.pins = pins or {}
        self.spreads = spreads
        self.frames: dict[str, Frame] = {}

    def copy(self) -> Execution:
        """A copy to change. It shares `frames`: a decision lists the frames it changes beside it."""
        new = Execution.__new__(Execution)
        new.name = self.name
        new.machine_id = self.machine_id
        new.input = self.input
        new.status = self.status
        new.output = self.output
        new.error = self.error
        new.cause = self.cause
        new.started = self.started
        new.stopped = self.stopped
        new.deadline = self.deadline
        new.events = self.events
        new.sequence = self.sequence
        new.history_limit = self.history_limit
        new.runs = self.runs
        new.redrives = self.redrives
        new.redriven = self.redriven
        new.express = self.express
        new.instance = self.instance
        new.secret = self.secret
        new.parent = self.parent
        new.pins = self.pins
        new.spreads = self.spreads
        new.frames = self.frames
        return new

    def header(self) -> dict[str, JSON]:
        """Everything but the frames, as JSON."""
        value = {name: getattr(self, name) for name in self.__slots__ if name != "frames"}
        for name, usual in LATER.items():
            if name in value and value[name] == usual:
                del value[name]
        return {"format": FORMAT, **value}

    @classmethod
    def from_json(cls, header: dict[str, JSON], frames: list[dict[str, JSON]]) -> Execution:
        """The execution of a snapshot."""
        new = cls.__new__(cls)
        for name in cls.__slots__:
            if name != "frames":
                setattr(new, name, header[name] if name in header else LATER[name])
        loaded = (Frame.from_json(frame) for frame in frames)
        new.frames = {frame.path: frame for frame in loaded}
        return new
