"""The limits of a Map, and how its items are put into batches. Source: AWS, "ItemBatcher (Map)"."""

from __future__ import annotations

import re
from typing import Final

from engine.errors import ExecutionFailure
from engine.machine import Fields
from engine.query import Expression, Scope
from engine.states.results import language_of, numeric
from engine.values import JSON, dump

MAX_ITEMS: Final = 100_000_000
LONG: Final = re.compile(r"[+-]?[0-9]{1,19}")
FLOAT: Final = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,19})?")

SIZES: Final = ("MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath")

BATCHER_SCHEMA: JSON = {"type": "object"}


def number(
    field: str, limit: int | float | Expression | None, data: JSON, scope: Scope, *, whole: bool = True
) -> float:
    """The value of a limit: fixed, by path or an expression; 0 when there is none. Raises States.Runtime."""
    found = limit.evaluate(data, scope) if isinstance(limit, Expression) else limit or 0
    value = _long(found) if whole else _float(found)
    if value is not None:
        return value
    shown = found if isinstance(found, str) else dump(found)
    source = limit.source if isinstance(limit, Expression) else ""
    kind = "integer" if whole else "float"
    raise ExecutionFailure(
        "States.Runtime", f'The {field}Path field refers to value "{shown}" which is not a valid {kind}: {source}'
    )


def _long(found: JSON) -> int | None:
    """A whole number, or a text of one: AWS reads both as the text of a 64-bit integer, and so no 2.0 (measured)."""
    if isinstance(found, str) and LONG.fullmatch(found):
        found = int(found)
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and -(2**63) <= found < 2**63 else None


def _float(found: JSON) -> float | None:
    """A number, or a text of one. An int stays one, since it may be too large for a float."""
    if isinstance(found, str):
        return float(found) if FLOAT.fullmatch(found) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def allowed_failures(count: int | None, share: float | None, items: int) -> int:
    """How many of `items` may fail. Where both a count and a share (of a hundred) are given, either ends the Map (AWS,
    "Setting failure thresholds for Distributed Map states")."""
    counted = [] if count is None else [count]
    shared = [] if share is None else [int(share * items // 100)]
    return min(counted + shared, default=0)


def read_limit(
    fields: Fields, name: str, *, fraction: bool = False, maximum: int = MAX_ITEMS
) -> int | float | Expression | None:
    """A limit in its fixed, path or expression form; two forms at once are a Problem."""
    fixed: int | float | Expression | None
    if fraction and isinstance(fields.raw(name), int | float):
        fixed = fields.number(name, maximum=100)
    else:
        fixed = fields.integer_or_expression(name, maximum=maximum)
    if isinstance(fixed, Expression):
        fixed = numeric(language_of(fields), fixed, fields.place(name), whole=not fraction)
    by_path = fields.path(f"{name}Path")
    if fixed is not None and by_path is not None:
        fields.problem("both-forms", f"{name} and {name}Path exclude each other", f"{name}Path")
    return fixed if fixed is not None else by_path


class ItemBatcher:
    """Puts items into batches: the input of an iteration is then `{"Items": […], "BatchInput": …}`."""

    def __init__(self, fields: Fields) -> None:
        told = any(fields.has(name) for name in SIZES)
        self.most = read_limit(fields, "MaxItemsPerBatch")
        self.bytes = read_limit(fields, "MaxInputBytesPerBatch")
        self.common = fields.template("BatchInput")
        if not told:
            fields.problem("missing-field", "ItemBatcher needs MaxItemsPerBatch or MaxInputBytesPerBatch")
        fields.done()

    def batches(self, items: list[JSON], data: JSON, scope: Scope) -> list[JSON]:
        """The inputs of the iterations."""
        most = int(number("MaxItemsPerBatch", self.most, data, scope)) or len(items)
        size = int(number("MaxInputBytesPerBatch", self.bytes, data, scope))
        common = {} if self.common is None else {"BatchInput": self.common.evaluate(data, scope)}
        batches: list[list[JSON]] = []
        empty = len(dump({**common, "Items": []}).encode()) if size else 0
        weight = 0
        for item in items:
            cost = len(dump(item).encode()) if size else 0
            if not batches or len(batches[-1]) >= most or (size and weight + 1 + cost > size):
                batches.append([item])
                weight = empty + cost
            else:
                batches[-1].append(item)
                weight += 1 + cost  # the comma
        return [{**common, "Items": batch} for batch in batches]
