"""Parallel: run branches side by side and join their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from engine.machine import Fields, State, StateMachine, state_type
from engine.outcomes import Fork, Outcome
from engine.query import Scope
from engine.states.stages import (
    CATCH_SCHEMA,
    FLOW_SCHEMA,
    OUTPUT,
    PATH,
    PATH_IO,
    RETRY_SCHEMA,
    read_catchers,
    read_flow,
    read_retriers,
    state_stages,
)
from engine.values import JSON


@state_type
class Parallel(State):
    """Runs every branch on the same input; the result is the list of their outputs, in the order of the branches.

    One branch that fails ends the others, and the error is the state's.
    """

    __slots__ = ("branches",)

    retries = True
    TYPE = "Parallel"
    REQUIRED = ("Branches",)
    SCHEMA: ClassVar[dict[str, JSON]] = {
        **FLOW_SCHEMA,
        **PATH_IO,
        **OUTPUT,
        "Branches": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Machine"}},
        "Arguments": {"description": "Expression languages only."},
        "Parameters": {"description": "JSONPath only."},
        "ResultSelector": {"type": "object", "description": "JSONPath only."},
        "ResultPath": PATH,
        "Retry": RETRY_SCHEMA,
        "Catch": CATCH_SCHEMA,
    }
    EXAMPLE = """
        Type: Parallel
        Branches:
          - StartAt: Quote
            States: {Quote: {Type: Pass, Result: 5800, End: true}}
          - StartAt: Weather
            States: {Weather: {Type: Pass, Result: rain, End: true}}
        End: true
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = read_flow(fields)
        self.stages = state_stages(fields, arguments=True, selector=True, result_path=True)
        self.branches = fields.machines("Branches")
        self.retriers = read_retriers(fields)
        self.catchers = read_catchers(fields)

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        return Fork(len(self.branches), 0, None, data)

    def machines(self) -> Sequence[StateMachine]:
        return self.branches

    def child(self, index: int) -> StateMachine:
        return self.branches[index]

    def child_input(self, source: JSON, index: int, item: JSON, scope: Scope) -> JSON:
        return source
