"""What an expression sees: the Scope of one state in one frame. Made for every state, so it computes on demand only."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from typing import Protocol

from engine.core.execution import Execution, Frame
from engine.core.tokens import task_token
from engine.machine import State
from engine.outcomes import Resource
from engine.query import UNSET
from engine.states.map_ import Map
from engine.states.moments import format_timestamp
from engine.values import JSON

ARN = "arn:aws:states:us-east-1:111111111111"
"""Prefix of the names in the context object, so that flows written for AWS can take them apart."""


class Frames(Protocol):
    """Where a scope finds the frames around its own."""

    execution: Execution
    find: dict[str, State]
    time: float

    def frame(self, path: str) -> Frame | None:
        """The frame of that path."""


class StateScope:
    """The Scope of one state in one frame.

    `retries` says that the state is of a type that can retry, and so has a RetryCount in its context. `item` is the
    item of a Map whose iteration is being prepared: index, value, and whether the value is {"Key", "Value"}; `origin`
    is where it comes from, if that is to be shown and the Map has not begun.
    """

    # Class attributes instead of slots: most states are left before any of these is needed.
    result: JSON = UNSET
    error_output: JSON = UNSET
    item: tuple[int, JSON, bool] | None = None
    origin: str | None = None
    _context: JSON = None
    _variables: Mapping[str, JSON] | None = None
    _random: random.Random | None = None

    def __init__(self, frames: Frames, frame: Frame, retries: bool) -> None:
        self.frames = frames
        self.frame = frame
        self.input = frame.input
        self.retries = retries

    def around(self) -> Iterator[Frame]:
        """The frames around this one, from the nearest to the root."""
        path = self.frame.path.rpartition(".")[0]
        while path:
            parent = self.frames.frame(path)
            assert parent is not None, "a frame never outlives the one around it"
            yield parent
            path = path.rpartition(".")[0]

    @property
    def now(self) -> str:
        return format_timestamp(self.frames.time)

    @property
    def variables(self) -> Mapping[str, JSON]:
        """The frame's own variables over those of the frames around it."""
        if self._variables is None:
            merged: dict[str, JSON] = {}
            # A child execution of a distributed Map sees no variables of the execution around it.
            around = [parent for parent in self.around() if parent.apart == self.frame.apart]
            for parent in reversed(around):
                merged.update(parent.variables)
            self._variables = {**merged, **self.frame.variables} if merged else self.frame.variables
        return self._variables

    @property
    def context(self) -> JSON:
        """The context object of AWS's shape."""
        if self._context is None:
            self._context = self._build_context()
        return self._context

    def _build_context(self) -> dict[str, JSON]:
        execution, frame = self.frames.execution, self.frame
        context: dict[str, JSON] = {
            "Execution": {
                "Id": execution_arn(execution),
                "Input": execution.input,
                "StartTime": format_timestamp(execution.started),
                "Name": execution.name,
                "RoleArn": "arn:aws:iam::111111111111:role/engine",
                "RedriveCount": execution.redrives,
                **({"RedriveTime": format_timestamp(execution.redriven)} if execution.redriven is not None else {}),
            },
            "StateMachine": {"Id": f"{ARN}:stateMachine:{execution.machine_id}", "Name": execution.machine_id},
            "State": {
                "Name": frame.state,
                "EnteredTime": format_timestamp(frame.entered_at),
                **({"RetryCount": max(frame.tries - frame.earlier - 1, 0)} if self.retries else {}),
            },
        }
        item = self._item()
        if item is not None:
            context["Map"] = {"Item": item}
        resource = getattr(self.frames.find[frame.state], "resource", None)
        if isinstance(resource, Resource) and resource.waits:
            context["Task"] = {"Token": task_token(execution, f"{frame.path}#{frame.token}")}
        return context

    def _item(self) -> dict[str, JSON] | None:
        """Map.Item: of the iteration that is being prepared, else of the nearest Map around this frame."""
        if self.item is not None:
            return self._shown(self.frame, *self.item)
        path = self.frame.path
        for parent in self.around():
            index = int(path.rpartition(".")[2])
            if parent.fork is not None and parent.fork.items is not None:
                return self._shown(parent, index, parent.fork.items[index], parent.fork.keyed)
            path = parent.path
        link = self.frames.execution.parent
        return None if link is None else link.get("shown")

    def _shown(self, around: Frame, index: int, value: JSON, keyed: bool) -> dict[str, JSON]:
        """An item as the context has it; one of an object has its key beside its value."""
        found = {"Index": index, **value} if keyed else {"Index": index, "Value": value}
        state = self.frames.find[around.state]
        if around.fork is not None and around.fork.apart and isinstance(state, Map):
            found["Source"] = state.origin(around.fork.source, StateScope(self.frames, around, state.retries))
        elif self.origin is not None:
            found["Source"] = self.origin
        return found

    def with_item(self, index: int, value: JSON, keyed: bool, origin: str | None) -> StateScope:
        """The same for one item of a Map that has not begun (`engine.states.map_.ItemScope`)."""
        inner = StateScope(self.frames, self.frame, self.retries)
        inner.item, inner.origin = (index, value, keyed), origin
        inner._variables, inner._random = self.variables, self.random()
        return inner

    def random(self) -> random.Random:
        """One generator for the whole state: what is drawn twice in it differs."""
        if self._random is None:
            frame = self.frame
            seed = f"{self.frames.execution.name}/{frame.path}/{frame.entered}/{frame.tries}"
            self._random = random.Random(hashlib.sha256(seed.encode()).digest())
        return self._random


def map_run(execution: Execution, frame: Frame, label: str) -> str:
    """The ARN of the map run that a frame's Map has begun: another one for each entry into the state."""
    seed = f"{execution.name}/{frame.path}/{frame.entered}/{frame.tries}"
    return f"{ARN}:mapRun:{execution.machine_id}/{label}:{uuid_of(seed)}"


def child_name(execution: Execution, frame: Frame, index: int) -> str:
    """The name of a child execution of the map run that a frame's Map has begun."""
    again = f"/{frame.tries}" if frame.tries > 1 else ""
    return uuid_of(f"{execution.name}/{frame.path}.{index}/{frame.entered}{again}")


def uuid_of(seed: str) -> str:
    """A name in the form of a UUID, the same for the same seed."""
    found = hashlib.sha256(seed.encode()).hexdigest()
    return f"{found[:8]}-{found[8:12]}-4{found[13:16]}-a{found[17:20]}-{found[20:32]}"


def execution_arn(execution: Execution) -> str:
    """The execution's name as AWS would write it; that of an Express workflow has a part of its own for each run."""
    return arn_of(execution.machine_id, execution.name, express=execution.express, instance=execution.instance)


def arn_of(machine: str, name: str, *, express: bool, instance: str = "") -> str:
    """As `execution_arn`, of an execution that is not at hand."""
    if express:
        return f"{ARN}:express:{machine}:{name}:{instance or uuid_of(name)}"
    return f"{ARN}:execution:{machine}:{name}"
