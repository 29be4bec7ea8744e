"""What operators do to the executions of a store, from any process: redrive, pause, unpause, prune, publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from engine.errors import ExecutionPaused, InvalidInput
from engine.machine import StateMachine
from engine.query import UNSET
from engine.runtime.context import EngineHost
from engine.runtime.machines import Definition, Machines, flow_name
from engine.runtime.redriving import redriven, renewed
from engine.runtime.simulate import Outcome
from engine.stores import Redrive, Store, pausing, pruning, versions
from engine.stores.versions import Alias, Version
from engine.values import JSON


class PausedStep(NamedTuple):
    """A pattern of steps that are not called, since when (seconds since the epoch), why, and how many executions are
    parked there."""

    pattern: str
    since: float
    reason: str | None
    parked: int


class Operations:
    """The part of `Engine` for operators."""

    host: EngineHost
    machines: Machines
    _store: Store

    def redrive(
        self,
        name: str,
        *,
        flow: Definition | None = None,
        input: JSON = UNSET,
        patch: JSON = UNSET,
        at: str | None = None,
    ) -> Outcome:
        """Let an execution that did not succeed go on where it failed, and return at once; `resume` or a worker
        runs it. What had succeeded is not run again; retries and time-outs begin anew.

        `flow`: a newer definition, which must have the unfinished states in the same place; what it starts is what lies
        beside it now. `input` replaces the input of the state that failed, `patch` changes it (a JSON Merge Patch);
        with more than one unfinished state, `at` names the state, or its path. Such a state gets a new idempotency key;
        others keep theirs.

        Raises ExecutionNotFound, NotRedrivable, InvalidInput, Conflict, and as `start` for `flow`.
        """
        stored = self._store.load(name)
        execution, digest = stored.execution, stored.definition
        machine = self.machines.of(digest) if flow is None else self.machines.ready(flow)
        if flow is not None:
            execution = renewed(execution, machine, self.machines.pins(machine))
            digest = self.machines.digest(machine)
        decision = redriven(machine, execution, self.host.clock.now(), input=input, patch=patch, at=at)
        with self._store.transaction():
            if flow is not None:
                self.machines.keep(machine)
            self._store.reopen(Redrive(stored.key, stored.version, decision, digest))
        execution = decision.apply()
        found = self._store.history(name)
        return Outcome(execution, lambda: found)

    def pause(self, name: str) -> bool:
        """Have nobody run an execution until it is unpaused. Calls that are out are waited for, and nothing more is
        called; timers that come due meanwhile are heeded afterwards. Durable, and from any process.

        False when it was paused before. Raises ExecutionNotFound, ExecutionEnded.
        """
        return pausing.pause(self._store, name, self.host.clock.now())

    def unpause(self, name: str) -> bool:
        """Let a paused execution go on at once. False when it was not paused. Raises ExecutionNotFound,
        ExecutionEnded."""
        return pausing.unpause(self._store, name)

    def pause_step(self, pattern: str, *, reason: str | None = None) -> None:
        """Have the steps of that name or pattern (`taxi.*`) not be called, by any process, from a second on. Executions
        that would call one park before it; the call's time-outs stand still. Raises InvalidInput."""
        _check_pattern(pattern)
        pausing.pause_step(self._store, pattern, self.host.clock.now(), reason)
        self.host.pauses.forget()

    def unpause_step(self, pattern: str, *, rate: float | None = None) -> int:
        """Have them called again. Executions that are parked there go on at `rate` a second, or all at once. Answers
        how many they are. Raises InvalidInput when that pattern is not paused."""
        released = pausing.unpause_step(self._store, pattern, self.host.clock.now(), rate)
        self.host.pauses.forget()
        if released is None:
            known = ", ".join(found.pattern for found in pausing.pauses(self._store))
            raise InvalidInput(f"{pattern!r} is not paused; " + (f"paused are: {known}" if known else "nothing is"))
        return released

    def paused_steps(self) -> Sequence[PausedStep]:
        """The steps that are paused."""
        found = pausing.pauses(self._store)
        return [PausedStep(*pause, pausing.parked_at(self._store, pause.pattern)) for pause in found]

    def prune(
        self, before: datetime, *, statuses: Sequence[str] | None = None, count_only: bool = False
    ) -> Iterator[int]:
        """Remove executions that ended before that moment, in small batches; answers the size of each once it is gone.

        `statuses`: only those that ended so. `count_only`: remove nothing. What runs is never removed; an execution
        that another one has started is kept as long as that one is.
        """
        wanted = pruning.ENDED if statuses is None else statuses
        return pruning.prune(self._store, before.timestamp(), wanted, count_only=count_only)

    def publish(self, flow: Definition, *, description: str | None = None) -> tuple[str, int]:
        """Make a flow its next version, which never changes; answers the flow's name and the number, from 1. The
        latest version once more keeps its number. Raises as `start` for `flow`."""
        machine = self.machines.ready(flow)
        name, digest = flow_name(machine), self.machines.digest(machine)
        with self._store.transaction():
            self._store.put_definition(digest, machine.source, machine.file)
            number = versions.publish(self._store, name, digest, description, self.host.clock.now())
        return name, number

    def route(self, flow: str, alias: str, routes: Mapping[int, int]) -> None:
        """Have an alias of a flow route new executions to one version or two, by weights of 100 in all.

        Raises InvalidInput, UnknownVersion.
        """
        versions.route(self._store, flow, alias, routes, self.host.clock.now())

    def versions(self, flow: str) -> Sequence[Version]:
        """The published versions of a flow, the oldest first."""
        return versions.versions(self._store, flow)

    def aliases(self, flow: str) -> Sequence[Alias]:
        """The aliases of a flow, by name."""
        return versions.aliases(self._store, flow)

    def published(self, reference: str, name: str) -> StateMachine:
        """The flow of `booking:3`, or of `booking:live` for the execution of that name: the same name is always drawn
        the same version. Raises UnknownVersion, InvalidInput."""
        flow, _, qualifier = reference.partition(":")
        if not flow or not qualifier:
            raise InvalidInput(f"{reference!r} is not FLOW:VERSION or FLOW:ALIAS, such as booking:live")
        return self.machines.of(versions.resolve(self._store, flow, qualifier, name).definition)

    def _check_not_paused(self, name: str) -> None:
        """Raises ExecutionPaused, ExecutionNotFound."""
        if pausing.paused_since(self._store, name) is not None:
            raise ExecutionPaused(f"execution {name!r} is paused; let it go on with: engine unpause {name}")


def _check_pattern(pattern: str) -> None:
    if not 0 < len(pattern) <= 200 or not pattern.isprintable() or " " in pattern:
        raise InvalidInput(f"{pattern!r} is no name of a step, and no pattern such as taxi.*")
