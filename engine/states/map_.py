"""Map: run the same machine once for every item."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final, Protocol, cast

from engine.errors import ExecutionFailure
from engine.machine import Fields, State, StateMachine, state_type
from engine.outcomes import Call, Fork, Outcome
from engine.query import Scope
from engine.states.map_items import BATCHER_SCHEMA, ItemBatcher, allowed_failures, number, read_limit
from engine.states.map_reader import READER_SCHEMA, STATE_DATA, ItemReader
from engine.states.map_results import WRITER_SCHEMA, ResultWriter
from engine.states.results import QUERY_ERROR, language_of, unexpected
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
from engine.values import JSON, dump

MACHINE: JSON = {"$ref": "#/$defs/Machine"}
MAX_LABEL: Final = 40
LABEL: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]+")
"""A label becomes part of the names of map runs, which are ARNs (AWS)."""

LIMIT: JSON = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\{%"}]}


class ItemScope(Scope, Protocol):
    """The scope of a running Map."""

    def with_item(self, index: int, value: JSON, keyed: bool, origin: str | None) -> Scope:
        """The same for one item; `keyed` when the value is {"Key", "Value"}. `origin`: Map.Item.Source, if any."""


@state_type
class Map(State):
    """Runs its ItemProcessor once per item, at most MaxConcurrency at a time; the result is the list of outputs."""

    __slots__ = (
        "batcher",
        "by_path",
        "distributed",
        "express",
        "items",
        "label",
        "language",
        "limit",
        "processor",
        "reader",
        "selector",
        "tolerated",
        "tolerated_percentage",
        "writer",
    )

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
        "MaxConcurrency": LIMIT,
        "MaxConcurrencyPath": {"type": "string", "description": "JSONPath only."},
        "ItemReader": READER_SCHEMA,
        "ItemBatcher": BATCHER_SCHEMA,
        "ResultWriter": WRITER_SCHEMA,
        "ToleratedFailureCount": LIMIT,
        "ToleratedFailureCountPath": {"type": "string", "description": "JSONPath only."},
        "ToleratedFailurePercentage": {
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": r"^\{%"}]
        },
        "ToleratedFailurePercentagePath": {"type": "string", "description": "JSONPath only."},
        "Label": {"type": "string"},
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
        self.by_path, self.language = fields.by_path, language_of(fields)
        self.processor = _read_processor(fields)
        found = self.processor.source.get("ProcessorConfig") if self.processor is not None else None
        config = found if isinstance(found, dict) else {}
        self.distributed = config.get("Mode") == "DISTRIBUTED"
        self.express = self.distributed and config.get("ExecutionType") == "EXPRESS"
        self.items = fields.path("ItemsPath") if fields.by_path else fields.template("Items", languages="expression")
        selector = fields.template("ItemSelector")
        older = fields.template("Parameters", languages="path")
        self.selector = selector or older
        self.limit = read_limit(fields, "MaxConcurrency", maximum=2**63)
        self.tolerated = read_limit(fields, "ToleratedFailureCount")
        self.tolerated_percentage = read_limit(fields, "ToleratedFailurePercentage", fraction=True)
        self.label = label = fields.text("Label")
        if label is not None and (len(label) > MAX_LABEL or not LABEL.fullmatch(label)):
            fields.problem(
                "bad-label",
                f"{label!r} is no label",
                "Label",
                hint="up to 40 characters, without blanks and punctuation",
            )
        reader, batcher, writer = (
            fields.object("ItemReader"),
            fields.object("ItemBatcher"),
            fields.object("ResultWriter"),
        )
        self.reader = ItemReader(reader) if reader else None
        self.batcher = ItemBatcher(batcher) if batcher else None
        self.writer = ResultWriter(writer) if writer else None
        self.retriers = read_retriers(fields)
        self.catchers = read_catchers(fields)

    def enter(self, data: JSON, scope: Scope) -> Outcome:
        if self.reader is not None:
            return self.reader.call(data, scope)
        return self._fork(data if self.items is None else self.items.evaluate(data, scope), data, scope)

    def spread(self, answers: Sequence[JSON], data: JSON, scope: Scope) -> Fork | Call:
        assert self.reader is not None, "only a reader asks for items"
        more = self.reader.more(answers, data, scope)
        return more or self._fork(self.reader.items(answers, data, scope), data, scope)

    def origin(self, data: JSON, scope: Scope) -> str:
        """Map.Item.Source of a distributed Map, the only one whose items have it: where they come from."""
        return STATE_DATA if self.reader is None else self.reader.origin(data, scope)

    def _fork(self, items: JSON, data: JSON, scope: Scope) -> Fork:
        keyed = isinstance(items, dict) and (self.distributed or self.reader is not None)
        if keyed:
            items = [{"Key": key, "Value": value} for key, value in items.items()]
        if not isinstance(items, list):
            raise self._no_list(items)
        limit = int(number("MaxConcurrency", self.limit, data, scope))
        if limit < 0:
            raise self._out_of_range("MaxConcurrency", "MaxConcurrency cannot be negative.")
        fork = Fork(len(items), limit, items, data, keyed=keyed, distributed=self.distributed)
        return fork if self.batcher is None else self._batched(self.batcher, fork, scope)

    def _batched(self, batcher: ItemBatcher, fork: Fork, scope: Scope) -> Fork:
        """The same with batches of the items, which ItemSelector has been over before."""
        batches = batcher.batches(self.selected(fork, scope), fork.source, scope)
        return Fork(len(batches), fork.limit, batches, fork.source, distributed=fork.distributed, single=fork)

    def selected(self, fork: Fork, scope: Scope) -> list[JSON]:
        """The items of a fork without batches, after ItemSelector."""
        items = fork.items or []
        if self.selector is None:
            return items
        origin, around = self.origin(fork.source, scope), cast(ItemScope, scope)
        scopes = (around.with_item(index, item, fork.keyed, origin) for index, item in enumerate(items))
        return [self.selector.evaluate(fork.source, inner) for inner in scopes]

    def tolerance(self, count: int, data: JSON, scope: Scope) -> int:
        return allowed_failures(*self.tolerances(data, scope), count)

    def tolerances(self, data: JSON, scope: Scope) -> tuple[int | None, float | None]:
        """How many items may fail, and how many in a hundred; None where it is not said. Raises ExecutionFailure."""
        if self.reader is not None:
            self.reader.most(data, scope)
        allowed = number("ToleratedFailureCount", self.tolerated, data, scope)
        if allowed < 0:
            raise self._out_of_range("ToleratedFailureCount", "ToleratedFailureCount cannot be negative.")
        share = number("ToleratedFailurePercentage", self.tolerated_percentage, data, scope, whole=False)
        if not 0 <= share <= 100:
            said = "ToleratedFailurePercentage must be between 0 and 100."
            raise self._out_of_range("ToleratedFailurePercentage", said)
        return (
            None if self.tolerated is None else int(allowed),
            None if self.tolerated_percentage is None else share,
        )

    def _out_of_range(self, field: str, cause: str) -> ExecutionFailure:
        """AWS's words for a path; what an expression gives is a failed evaluation (AWS, "Transforming data")."""
        if self.by_path:
            return ExecutionFailure("States.Runtime", cause)
        return ExecutionFailure(QUERY_ERROR, cause, kind="value", location=field)

    def _no_list(self, items: JSON) -> ExecutionFailure:
        """AWS's words, which differ by query language and by where the items should have come from."""
        if self.by_path:
            source = "$" if self.items is None else self.items.source.replace("$$", "$", 1)
            return ExecutionFailure("States.Runtime", f'Reference path "{source}" must point to array.')
        if self.items is not None:
            return unexpected(self.language, self.items, "Items", "array", items)
        cause = f"Map state input must be an array but was: {dump(items)}"
        return ExecutionFailure(QUERY_ERROR, cause, kind="evaluation")

    def machines(self) -> Sequence[StateMachine]:
        return (self.processor,) if self.processor is not None else ()

    def child(self, index: int) -> StateMachine:
        assert self.processor is not None, "a machine with problems never runs"
        return self.processor

    def child_input(self, source: JSON, index: int, item: JSON, scope: Scope) -> JSON:
        return item if self.selector is None or self.batcher is not None else self.selector.evaluate(source, scope)


def _read_processor(fields: Fields) -> StateMachine | None:
    """ItemProcessor, or Iterator under its old name."""
    modern = fields.has("ItemProcessor")
    if modern and fields.has("Iterator"):
        fields.problem("both-forms", "ItemProcessor and Iterator are the same field; keep one", "Iterator")
    if not modern and not fields.has("Iterator"):
        fields.problem("missing-field", "A Map needs the field ItemProcessor", hint="the machine to run per item")
    return fields.machine("ItemProcessor" if modern or not fields.has("Iterator") else "Iterator")
