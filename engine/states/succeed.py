"""Succeed: end this machine well."""

from __future__ import annotations

from typing import ClassVar

from engine.machine import Fields, State, state_type
from engine.outcomes import Done, Outcome
from engine.query import Scope
from engine.states.stages import PATH_IO, state_stages
from engine.values import JSON


@state_type
class Succeed(State):
    """Ends the machine, or the branch or iteration it stands in, with its output."""

    __slots__ = ()

    TYPE = "Succeed"
    SCHEMA: ClassVar[dict[str, JSON]] = {**PATH_IO, "Output": {"description": "Expression languages only."}}
    EXAMPLE = """
        Type: Succeed
        OutputPath: $.booking
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = None, True
        self.stages = state_stages(fields, assign=False)
        self.retriers = self.catchers = ()

    def looks(self) -> bool:
        return False

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        return Done(data)
