"""What the service remembers: state machines with their revisions, versions and aliases, activities, executions.

Kept in memory for now, in plain dicts of one object: everything is gone when the process ends. The rest of the service
reaches them through `Records` only, under its `lock`; a durable form would take the place of this class.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from engine.core.events import HistoryEvent
from engine.core.execution import RUNNING, Execution
from engine.core.spreading import Family
from engine.machine import StateMachine
from engine.service import arns
from engine.service.errors import ApiError, no_activity, no_execution, no_machine, no_map_run
from engine.states.map_items import allowed_failures
from engine.values import JSON

Found = TypeVar("Found")


class Revision:
    """What an update can change of a state machine: one immutable state of it. `id` is None for the first one."""

    def __init__(self, identity: str | None, machine: StateMachine, settings: dict[str, Any], updated: float) -> None:
        self.id = identity
        self.machine = machine
        self.settings = settings
        self.updated = updated
        self.references: dict[str, list[str]] = {}

    @property
    def definition(self) -> str:
        """The text as it was sent."""
        text: str = self.settings["definition"]
        return text


class Version:
    """A published revision."""

    def __init__(self, arn: str, number: int, revision: Revision, description: str | None, created: float) -> None:
        self.arn = arn
        self.number = number
        self.revision = revision
        self.description = description
        self.created = created


class Alias:
    """A name for one or two versions. `routes` maps the ARNs of versions to their weights, 100 in all."""

    def __init__(self, arn: str, name: str, routes: dict[str, int], description: str | None, created: float) -> None:
        self.arn = arn
        self.name = name
        self.routes = routes
        self.description = description
        self.created = self.updated = created


class Machine:
    """A state machine. `request` is what it was created with, to recognise a repeated CreateStateMachine."""

    def __init__(self, arn: str, name: str, kind: str, revision: Revision, request: dict[str, Any]) -> None:
        self.arn = arn
        self.name = name
        self.kind = kind
        self.revision = revision
        self.request = request
        self.created = revision.updated
        self.versions: dict[int, Version] = {}
        self.published = 0
        self.aliases: dict[str, Alias] = {}


class Activity:
    """An activity: work waits in `tasks` (tokens) until a worker asks for it."""

    def __init__(self, arn: str, name: str, created: float, encryption: dict[str, Any]) -> None:
        self.arn = arn
        self.name = name
        self.created = created
        self.encryption = encryption
        self.tasks: deque[Task] = deque()


class Run:
    """An execution with what AWS tells about it beside its state and history.

    `over` is set when it has ended. `input` is the text as it was sent; `tasks` those that the outside answers, by the
    tokens of the engine; `redriven` the times of redrives by their client tokens; `map_runs` those that it has begun,
    the oldest first. `nested` has the executions that it waits for, by its calls, and `waiters` those that wait for it:
    who, the call, and how (`sync`, `sync:2`); it stands `depth` deep in others. `dispatcher` is the map run that it is
    a child of, if it is: the one of that `index`.
    """

    def __init__(
        self, arn: str, machine: Machine, revision: Revision, execution: Execution, text: str, trace: str | None
    ) -> None:
        self.arn = arn
        self.machine = machine
        self.revision = revision
        self.execution = execution
        self.input = text
        self.trace = trace
        self.version: str | None = None
        self.alias: str | None = None
        self.history: list[HistoryEvent] = []
        self.tasks: dict[str, Task] = {}
        self.redriven: dict[str | None, float] = {}
        self.map_runs: dict[str, MapRun] = {}
        self.nested: dict[str, Run] = {}
        self.waiters: list[tuple[Run, str, str]] = []
        self.depth = 0
        self.dispatcher: MapRun | None = None
        self.index = 0
        self.over = threading.Event()

    @property
    def name(self) -> str:
        return self.execution.name


class MapRun:
    """The children of a distributed Map, each an execution of its own.

    `token` is the call by which `parent` waits for them, None before there are any; `open` says that they go on.
    `sizes` has for how many items each child is, by its index; `children` those that have begun, `waiting` the indices
    of those that are still to begin or go on, `running` how many run, `lost` for how many items those are that did not
    end well. `count` and `share` (of a hundred): how many items may be lost, None where it is not said. `written`:
    ResultWriter has written the results.
    """

    def __init__(self, arn: str, parent: Run, started: float) -> None:
        self.arn = arn
        self.parent = parent
        self.started = started
        self.stopped: float | None = None
        self.status = RUNNING
        self.redrives = 0
        self.redriven: float | None = None
        self.machine: Machine | None = None
        self.family: Family | None = None
        self.token: str | None = None
        self.open = self.filling = False
        self.concurrency = 0
        self.count: int | None = None
        self.share: float | None = None
        self.sizes: list[int] = []
        self.children: dict[int, Run] = {}
        self.waiting: deque[int] = deque()
        self.running = self.lost = 0
        self.written = False

    @property
    def label(self) -> str:
        """The label in its ARN: arn:…:mapRun:MACHINE/LABEL:ID."""
        return self.arn.rpartition("/")[2].partition(":")[0]

    @property
    def allowed(self) -> int:
        """How many items may be lost."""
        return allowed_failures(self.count, self.share, sum(self.sizes))


class Task:
    """A call that waits for an answer from outside, by its token. `worker` took it up at `started`, if anyone did."""

    def __init__(self, token: str, run: Run, inner: str, arguments: JSON) -> None:
        self.token = token
        self.run = run
        self.inner = inner
        self.arguments = arguments
        self.worker: str | None = None
        self.started: float | None = None

    @property
    def open(self) -> bool:
        """Whether anything still waits for it."""
        path, _, number = self.inner.partition("#")
        execution = self.run.execution
        frame = execution.frames.get(path) if execution.status == RUNNING else None
        return frame is not None and frame.wait == "TASK" and str(frame.token) == number


class Records:
    """All of it. Hold `lock` while reading or changing anything; `changed` (on the same lock) tells of new work.

    `tasks` has the tasks of a token. There is one, unless executions of two state machines have the same name.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.machines: dict[str, Machine] = {}
        self.activities: dict[str, Activity] = {}
        self.runs: dict[str, Run] = {}
        self.map_runs: dict[str, MapRun] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.tasks: dict[str, list[Task]] = {}

    def machine(self, arn: str) -> Machine:
        """The state machine of an unqualified ARN. Raises InvalidArn, StateMachineDoesNotExist."""
        return _known(arn, arns.STATE_MACHINE, self.machines, no_machine)

    def qualified(self, arn: str) -> tuple[Machine, Version | None, Alias | None]:
        """The state machine of any ARN, with the version or alias that it names. Raises as `machine`."""
        found = arns.parse(arn, arns.STATE_MACHINE)
        machine = self.machines.get(arns.make(arns.STATE_MACHINE, found.name))
        if machine is None:
            raise no_machine(arn)
        if not found.qualifier:
            return machine, None, None
        if found.qualifier.isdecimal() and int(found.qualifier) in machine.versions:
            return machine, machine.versions[int(found.qualifier)], None
        if found.qualifier in machine.aliases:
            return machine, None, machine.aliases[found.qualifier]
        raise no_machine(arn)

    def activity(self, arn: str) -> Activity:
        """The activity. Raises InvalidArn, ActivityDoesNotExist."""
        return _known(arn, arns.ACTIVITY, self.activities, no_activity)

    def run(self, arn: str) -> Run:
        """The Standard execution. Raises InvalidArn (for Express ones too), ExecutionDoesNotExist."""
        return _known(arn, arns.EXECUTION, self.runs, no_execution)

    def described(self, arn: str) -> Run:
        """The execution, which may be an Express one if a map run has started it. Raises as `run`."""
        return self.runs[arn] if arn in self.runs else self.run(arn)

    def map_run(self, arn: str) -> MapRun:
        """The map run. Raises InvalidArn, ResourceNotFound."""
        return _known(arn, arns.MAP_RUN, self.map_runs, no_map_run)


def _known(arn: str, kind: str, among: Mapping[str, Found], missing: Callable[[str], ApiError]) -> Found:
    """What an ARN of that kind names. Raises InvalidArn, or what `missing` makes of one that names nothing."""
    arns.parse(arn, kind)
    if arn not in among:
        raise missing(arn)
    return among[arn]
