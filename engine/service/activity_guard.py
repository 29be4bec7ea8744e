"""States that run an activity fail, as on AWS, when it does not exist at the moment they are entered."""

from __future__ import annotations

from collections.abc import Container

from engine.errors import ExecutionFailure
from engine.machine import StateMachine
from engine.outcomes import Prepare, Stages
from engine.query import Scope
from engine.states.task import Task
from engine.values import JSON


def require_activities(machine: StateMachine, known: Container[str]) -> None:
    """Have the states of a machine look among the `known` ARNs before anything else. Once for each machine."""
    for state in machine.walk():
        if isinstance(state, Task) and state.resource.scheme == "activity":
            stages = state.stages
            prepare = _guarded(state.resource.uri, stages.prepare, known)
            state.stages = Stages(prepare, stages.produce, stages.assign)


def _guarded(arn: str, prepare: Prepare | None, known: Container[str]) -> Prepare:
    def check(data: JSON, scope: Scope) -> JSON:
        if arn not in known:
            raise ExecutionFailure("States.Runtime", f"The activity {arn} does not exist.")
        return data if prepare is None else prepare(data, scope)

    return check
