"""Pass: hand the input on, or put a fixed value in its place."""

from __future__ import annotations

from typing import ClassVar

from engine.errors import ExecutionFailure
from engine.machine import Fields, State, state_type
from engine.outcomes import Done, Outcome
from engine.query import Scope
from engine.states.stages import FLOW_SCHEMA, OUTPUT, PATH, PATH_IO, read_flow, state_stages
from engine.values import JSON, TOO_LARGE, exceeds


@state_type
class Pass(State):
    """Hands its input on, or a value made from it. Does no work."""

    __slots__ = ("fixed", "result", "too_large")

    TYPE = "Pass"
    SCHEMA: ClassVar[dict[str, JSON]] = {
        **FLOW_SCHEMA,
        **PATH_IO,
        **OUTPUT,
        "Parameters": {"description": "JSONPath only."},
        "Result": {"description": "JSONPath only: the result, taken as it is."},
        "ResultPath": PATH,
    }
    EXAMPLE = """
        Type: Pass
        Result: {currency: GBP}
        ResultPath: $.price
        End: true
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = read_flow(fields)
        self.fixed = fields.by_path and fields.has("Result")
        self.result = fields.literal("Result") if fields.by_path else None
        self.too_large = exceeds(self.result)
        self.stages = state_stages(fields, arguments=fields.by_path, result_path=fields.by_path)
        self.retriers = self.catchers = ()

    def looks(self) -> bool:
        return False

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        if self.too_large:
            raise ExecutionFailure("States.DataLimitExceeded", TOO_LARGE.format(self.name), explain=False)
        return Done(self.result if self.fixed else data)
