"""Flows made ready to run, and the first decision of an execution."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from engine.core.decide import decide
from engine.core.events import Decision, Event, ExecutionResumed, ExecutionStarted
from engine.core.execution import DEFAULT_HISTORY_LIMIT, Execution
from engine.definition import load
from engine.errors import InvalidInput, UnsupportedResource
from engine.machine import StateMachine
from engine.states.map_ import Map
from engine.states.task import Task
from engine.stores import Store
from engine.tasks import Resources
from engine.tasks.flows import nested_flows
from engine.values import JSON, MAX_PAYLOAD_BYTES, check_json, content_hash, exceeds

Definition = StateMachine | dict[str, JSON] | str | os.PathLike[str]
ENDINGS: Final = (".yaml", ".yml", ".json")
NAME_CHARACTERS: Final = 80
MOST_KEPT: Final = 256
FORBIDDEN: Final = set(' \t\r\n<>{}[]?*"#%\\^|~`$&,;:/')


class Machines:
    """The machines of one store: those that are started, and those that stored executions began with."""

    def __init__(self, store: Store, resources: Resources) -> None:
        self._store = store
        self.resources = resources
        self._steps = resources.steps
        self._stored: dict[str, StateMachine] = {}
        self._digests: dict[int, tuple[StateMachine, str]] = {}
        self._pinned: dict[int, tuple[StateMachine, dict[str, StateMachine]]] = {}

    def ready(self, flow: Definition) -> StateMachine:
        """The machine of a flow, read if need be, with all its resources at hand.

        Raises DefinitionError, UnknownStep, UnsupportedResource.
        """
        machine = flow if isinstance(flow, StateMachine) else load(flow, steps=self._steps.names())
        if id(machine) in self._digests:
            return machine
        for state in machine.walk():
            if isinstance(state, Task):
                self.resources.check(state.name, state.resource)
        return machine

    def digest(self, machine: StateMachine) -> str:
        """The content hash of a machine that is ready; kept with the machine itself, whose id is the key."""
        found = self._digests.get(id(machine))
        if found is None:
            if len(self._digests) >= MOST_KEPT:
                # Other threads ask too: what was found is answered, not looked up again.
                self._digests.clear()
                self._pinned.clear()
            found = self._digests[id(machine)] = (machine, content_hash(machine.source))
        return found[1]

    def pins(self, machine: StateMachine) -> dict[str, str]:
        """The flows that a machine may start, by name, and those that these may start: their content hashes.

        Raises DefinitionError, UnknownStep, UnsupportedResource.
        """
        self.digest(machine)
        known = self._pinned.get(id(machine))
        if known is None:
            known = self._pinned[id(machine)] = (machine, self._beside(machine))
        return {name: self.digest(found) for name, found in known[1].items()}

    def _beside(self, machine: StateMachine) -> dict[str, StateMachine]:
        """The flow files that a machine names, and those that these name. They may go in circles."""
        found: dict[str, StateMachine] = {}
        looked = [machine]
        while looked:
            for name in nested_flows(looked.pop().source):
                if name not in found:
                    found[name] = self.ready(_flow_file(machine, name))
                    looked.append(found[name])
        return found

    def keep(self, machine: StateMachine) -> None:
        """Store the definitions of a machine and of those that it may start."""
        for kept in self._family(machine):
            self._store.put_definition(self.digest(kept), kept.source, kept.file)

    def kept(self, machine: StateMachine) -> bool:
        """Whether it is known that `keep` would change nothing."""
        return all(self._store.knows(self.digest(kept)) for kept in self._family(machine))

    def _family(self, machine: StateMachine) -> Iterable[StateMachine]:
        return machine, *self._pinned.get(id(machine), (machine, {}))[1].values()

    def of(self, digest: str) -> StateMachine:
        """The machine that a stored execution began with, whatever its file says today. `HASH#STATE` is the
        ItemProcessor of that Map in it."""
        if digest not in self._stored:
            whole, _, state = digest.partition("#")
            self._stored[digest] = self.of(whole).find[state].child(0) if state else self._read(whole)
        return self._stored[digest]

    def file(self, digest: str) -> str | None:
        """Where that machine came from."""
        return self._store.definition(digest.partition("#")[0]).file

    def _read(self, digest: str) -> StateMachine:
        found = self._store.definition(digest)
        machine = load(found.source)
        for inner in (machine, *(part for state in machine.walk() for part in state.machines())):
            inner.file = found.file
        return machine


def begin(
    machine: StateMachine,
    input: JSON,
    name: str,
    now: float,
    *,
    runs: int,
    limit: int = DEFAULT_HISTORY_LIMIT,
    parent: dict[str, JSON] | None = None,
    pins: dict[str, str] | None = None,
    apart: bool = False,
) -> Decision:
    """The first decision of a new execution; the execution's `machine_id` is the flow's name. `apart`: the children of
    distributed Maps are to be executions of their own. Raises InvalidInput."""
    _check_name(name)
    given = {} if input is None else input
    problem = check_json(given)
    if problem is None and exceeds(given):
        problem = f"it is larger than {MAX_PAYLOAD_BYTES} bytes"
    if problem is not None:
        raise InvalidInput(f"the input is not acceptable: {problem}")
    flow = flow_name(machine)
    fresh = Execution(
        name, given, machine_id=flow, history_limit=limit, runs=runs, secret=new_secret(), parent=parent, pins=pins,
        spreads=apart and spreads(machine),
    )  # fmt: skip
    return decide(machine, fresh, ExecutionStarted(now))


def opening(execution: Execution, now: float) -> Event:
    """What happens first to an execution that somebody has just taken up."""
    if execution.events:
        return ExecutionResumed(now)
    execution.runs += 1
    return ExecutionStarted(now)


@lru_cache(maxsize=MOST_KEPT)
def spreads(machine: StateMachine) -> bool:
    """Whether it has a distributed Map."""
    return any(isinstance(state, Map) and state.distributed for state in machine.find.values())


def _flow_file(machine: StateMachine, name: str) -> Path:
    """The file of a flow beside a machine's own. Raises UnsupportedResource."""
    if machine.file is None:
        raise UnsupportedResource(f"flow:{name} is a file beside the running one, which is no file")
    folder = Path(machine.file).parent
    for ending in ENDINGS:
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    raise UnsupportedResource(f"there is no flow {name!r} beside {machine.file}: no file {folder / name}{ENDINGS[0]}")


def flow_name(machine: StateMachine) -> str:
    """What a flow is called: its file without folder and ending."""
    return Path(machine.file).stem if machine.file else "flow"


def new_name() -> str:
    """A name for an execution that was given none."""
    return f"run-{_second(int(time.time()))}-{secrets.token_hex(6)}"


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%d-%H%M%S")


def new_secret() -> str:
    """What the tokens of one execution are signed with: 128 bits that nobody can guess."""
    return secrets.token_urlsafe(16)


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_CHARACTERS or FORBIDDEN & set(name) or not name.isprintable():
        raise InvalidInput(
            f"{name!r} is no execution name: use 1 to {NAME_CHARACTERS} letters, digits, hyphens, underscores or dots"
        )
