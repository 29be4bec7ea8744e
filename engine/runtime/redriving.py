"""Redriving an execution of a store: what is to be checked and replaced before the core lets it go on."""

from __future__ import annotations

from typing import Any

from engine.core.decide import decide
from engine.core.events import Decision, ExecutionRedriven
from engine.core.execution import Execution
from engine.core.redrive import misfit, refusal, unfinished
from engine.core.spreading import LINK
from engine.errors import InvalidInput, NotRedrivable
from engine.machine import StateMachine
from engine.query import UNSET
from engine.runtime.machines import spreads
from engine.values import JSON, MAX_PAYLOAD_BYTES, check_json, exceeds


def redriven(
    machine: StateMachine, execution: Execution, now: float, *, input: JSON, patch: JSON, at: str | None
) -> Decision:
    """The decision by which the execution goes on. Raises NotRedrivable, InvalidInput. See `Engine.redrive`."""
    name = execution.name
    link = execution.parent
    if link is not None and link["as"] == LINK:
        raise NotRedrivable(f"{name}: the map run counts its children; redrive {link['name']}, which has started them")
    reason = refusal(execution)
    if reason is not None:
        raise NotRedrivable(f"{name}: {reason}")
    problem = misfit(machine, execution)
    if problem is not None:
        raise NotRedrivable(f"{name}: this definition cannot take the execution over: {problem}")
    inputs: dict[str, JSON] = {}
    if input is not UNSET or patch is not UNSET:
        path, data = _replaced(execution, input, patch, at)
        inputs[path] = data
    elif at is not None:
        raise InvalidInput(f"{name}: a state is named, but no new input is given for it")
    return decide(machine, execution, ExecutionRedriven(now, inputs))


def renewed(execution: Execution, machine: StateMachine, pins: dict[str, str]) -> Execution:
    """The execution as one of a newer definition, which starts what lies beside that. A map run that has begun stays
    where its children are; one that is still to come is spread as if the execution had begun with this definition."""
    newer = execution.copy()
    newer.pins = pins
    newer.spreads = execution.spreads or spreads(machine)
    return newer


def _replaced(execution: Execution, input: JSON, patch: JSON, at: str | None) -> tuple[str, JSON]:
    """The path of the frame whose input is replaced, and the new input."""
    frames = unfinished(execution)
    found = [frame for frame in frames if at is None or at in (frame.state, frame.path)]
    if len(found) != 1:
        there = ", ".join(f"{frame.state} ({frame.path})" for frame in frames)
        what = "more than one state" if found else f"no state {at!r}"
        raise InvalidInput(f"{execution.name}: {what} to go on from; name one of: {there}")
    (frame,) = found
    data = frame.input if input is UNSET else input
    if patch is not UNSET:
        data = merged(data, patch)
    problem = check_json(data)
    if problem is None and exceeds(data):
        problem = f"it is larger than {MAX_PAYLOAD_BYTES} bytes"
    if problem is not None:
        raise InvalidInput(f"the new input of state {frame.state!r} is not acceptable: {problem}")
    return frame.path, data


def merged(target: JSON, patch: JSON) -> JSON:
    """A JSON Merge Patch (RFC 7396): objects are merged, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
