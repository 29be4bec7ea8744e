"""Map: run the same machine once for every item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from engine.errors import ExecutionFailure
from engine.machine import Fields, Fork, Outcome, State, StateMachine, state_type
from engine.query import Expression, Scope
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
from engine.values import JSON, dump, type_name

MACHINE: JSON = {"$ref": "#/$defs/Machine"}


@state_type
class Map(State):
    """Runs its ItemProcessor once per item, at most MaxConcurrency at a time; the result is the list of outputs."""

    __slots__ = ("items", "limit", "processor", "selector")

    retries = True
    TYPE = "Map"
    REQUIRED = ()
    SCHEMA: ClassVar[dict[str, JSON]] = {
        **FLOW_SCHEMA,
        **PATH_IO,
        **OUTPUT,
        "ItemProcessor": MACHINE,
        "Iterator": {**MACHINE, "deprecated": True, "description": "The old name of ItemProcessor."},
        "Items": {
            "type": ["array", "object", "string"],
            "description": "Expression languages only: the list, or an expression.",
        },
        "ItemsPath": PATH,
        "ItemSelector": {"description": "The input of each iteration."},
        "Parameters": {"description": "The old name of ItemSelector. JSONPath only."},
        "MaxConcurrency": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\{%"}]},
        "MaxConcurrencyPath": {"type": "string", "description": "JSONPath only."},
        "ResultSelector": {"description": "JSONPath only."},
        "ResultPath": PATH,
        "Retry": RETRY_SCHEMA,
        "Catch": CATCH_SCHEMA,
    }
    EXAMPLE = """
        Type: Map
        ItemsPath: $.rides
        MaxConcurrency: 2
        ItemProcessor:
          StartAt: Look
          States: {Look: {Type: Pass, End: true}}
        End: true
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.next, self.end = read_flow(fields)
        self.stages = state_stages(fields, selector=True, result_path=True)
        modern = fields.has("ItemProcessor")
        if modern and fields.has("Iterator"):
            fields.problem("both-forms", "ItemProcessor and Iterator are the same field; keep one", "Iterator")
        self.processor = fields.machine("ItemProcessor" if modern or not fields.has("Iterator") else "Iterator")
        if not modern and not fields.has("Iterator"):
            fields.problem("missing-field", "A Map needs the field ItemProcessor", hint="the machine to run per item")
        self.items = fields.path("ItemsPath") if fields.by_path else fields.template("Items", languages="expression")
        selector = fields.template("ItemSelector")
        older = fields.template("Parameters", languages="path")
        self.selector = selector or older
        self.limit: int | Expression | None = fields.integer_or_expression("MaxConcurrency")
        by_path = fields.path("MaxConcurrencyPath")
        if self.limit is not None and by_path is not None:
            fields.problem(
                "both-forms", "MaxConcurrency and MaxConcurrencyPath exclude each other", "MaxConcurrencyPath"
            )
        self.limit = self.limit if self.limit is not None else by_path
        self.retriers = read_retriers(fields)
        self.catchers = read_catchers(fields)

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        items = data if self.items is None else self.items.evaluate(data, scope)
        keyed = isinstance(items, dict) and self.items is not None
        if keyed:
            items = [{"Key": key, "Value": value} for key, value in items.items()]
        if not isinstance(items, list):
            raise self._no_list(items)
        return Fork(len(items), self._concurrency(data, scope), items, data, keyed)

    def _concurrency(self, data: JSON, scope: Scope) -> int:
        limit = self.limit.evaluate(data, scope) if isinstance(self.limit, Expression) else self.limit or 0
        if isinstance(limit, str) and limit.isdecimal():
            limit = int(limit)  # AWS takes the digits of a text too
        if isinstance(limit, bool) or not isinstance(limit, int | float) or limit != int(limit):
            shown = limit if isinstance(limit, str) else dump(limit)
            source = self.limit.source if isinstance(self.limit, Expression) else ""
            raise ExecutionFailure(
                "States.Runtime",
                f'The MaxConcurrencyPath field refers to value "{shown}" which is not a valid integer: {source}',
            )
        if limit < 0:
            raise ExecutionFailure("States.Runtime", "MaxConcurrency cannot be negative.")
        return int(limit)

    def _no_list(self, items: JSON) -> ExecutionFailure:
        source = "$" if self.items is None else self.items.source
        if self.items is None or source.startswith("$"):
            return ExecutionFailure("States.Runtime", f'Reference path "{source}" must point to array.')
        return ExecutionFailure(
            "States.QueryEvaluationError",
            f"The expression '{source}' specified for the field 'Items' returned an unexpected result type. "
            f"Expected 'array', but was '{type_name(items)}' for value: {dump(items)}",
            kind="evaluation",
            location="Items",
        )

    def machines(self) -> Sequence[StateMachine]:
        return (self.processor,) if self.processor is not None else ()

    def child(self, index: int) -> StateMachine:
        assert self.processor is not None, "a machine with problems never runs"
        return self.processor

    def child_input(self, source: JSON, index: int, scope: Scope) -> JSON:
        if self.selector is not None:
            return self.selector.evaluate(source, scope)
        item = scope.context["Map"]["Item"]
        return {"Key": item["Key"], "Value": item["Value"]} if "Key" in item else item["Value"]
