"""Where a Map's items come from, and how they are put into batches: ItemReader and ItemBatcher.

An ItemReader is a call: its answer is the text of an object (or a list), which is read here. Source: AWS, "ItemReader
(Map)", "ItemBatcher (Map)".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Final

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.machine import Fields
from engine.outcomes import Call, Resource
from engine.query import Expression, Scope
from engine.states.resource import parse_resource
from engine.values import JSON, dump

READER_FAILED: Final = "States.ItemReaderFailed"
DELIMITERS: Final = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
INPUT_TYPES: Final = ("CSV", "JSON", "JSONL", "MANIFEST", "PARQUET")
MAX_ITEMS: Final = 100_000_000

READER_SCHEMA: JSON = {
    "type": "object",
    "required": ["Resource"],
    "properties": {
        "Resource": {"type": "string"},
        "Parameters": {"description": "JSONPath only."},
        "Arguments": {"description": "Expression languages only."},
        "ReaderConfig": {"type": "object"},
    },
}
BATCHER_SCHEMA: JSON = {"type": "object"}


def number(
    field: str, limit: int | float | Expression | None, data: JSON, scope: Scope, *, whole: bool = True
) -> float:
    """The value of a limit: fixed, by path or an expression; 0 when there is none. Raises States.Runtime."""
    found = limit.evaluate(data, scope) if isinstance(limit, Expression) else limit or 0
    if isinstance(found, str) and found.isdecimal():
        found = int(found)  # AWS takes the digits of a text too
    fits = isinstance(found, int | float) and not isinstance(found, bool)
    if fits and (not whole or found == int(found)):
        return int(found) if whole else float(found)
    shown = found if isinstance(found, str) else dump(found)
    source = limit.source if isinstance(limit, Expression) else ""
    kind = "integer" if whole else "float"
    raise ExecutionFailure(
        "States.Runtime", f'The {field}Path field refers to value "{shown}" which is not a valid {kind}: {source}'
    )


def read_limit(
    fields: Fields, name: str, *, fraction: bool = False, maximum: int = MAX_ITEMS
) -> int | float | Expression | None:
    """A limit in its fixed, path or expression form; two forms at once are a Problem."""
    fixed: int | float | Expression | None
    if fraction and isinstance(fields.raw(name), int | float):
        fixed = fields.number(name, maximum=100)
    else:
        fixed = fields.integer_or_expression(name, maximum=maximum)
    by_path = fields.path(f"{name}Path")
    if fixed is not None and by_path is not None:
        fields.problem("both-forms", f"{name} and {name}Path exclude each other", f"{name}Path")
    return fixed if fixed is not None else by_path


class ItemReader:
    """Reads the items from an object in S3, or whatever else the resource answers."""

    def __init__(self, fields: Fields) -> None:
        uri = fields.text("Resource", required=True) or ""
        self.resource = Resource("", "service", "", "", "", "")
        try:
            self.resource = parse_resource(uri) if uri else self.resource
        except ExpressionSyntaxError as wrong:
            fields.problem("bad-resource", wrong.message, "Resource", hint=wrong.hint)
        by_path = fields.template("Parameters", languages="path")
        self.arguments = fields.template("Arguments", languages="expression") or by_path
        self.kind = "JSON"
        self.delimiter = ","
        self.headers: list[str] | None = None
        self.limit: int | float | Expression | None = None
        config = fields.object("ReaderConfig")
        self.listed = config is None
        if config is not None:
            self._configure(config)
        fields.done()

    def _configure(self, config: Fields) -> None:
        self.kind = config.one_of("InputType", INPUT_TYPES) or "JSON"
        self.delimiter = DELIMITERS[config.one_of("CSVDelimiter", tuple(DELIMITERS)) or "COMMA"]
        location = config.one_of("CSVHeaderLocation", ("FIRST_ROW", "GIVEN"))
        given = config.texts("CSVHeaders")
        self.headers = list(given) if location == "GIVEN" else None
        config.one_of("Transformation", ("NONE", "LOAD_AND_FLATTEN"))
        config.one_of("ManifestType", ("ATHENA_DATA", "S3_INVENTORY"))
        config.text("ItemsPointer")
        config.text("ExpectedBucketOwner")
        self.limit = read_limit(config, "MaxItems")
        if self.kind == "CSV" and location is None:
            config.problem("missing-field", "A CSV file needs the field CSVHeaderLocation", hint="FIRST_ROW or GIVEN")
        if location == "GIVEN" and not given:
            config.problem("missing-field", "CSVHeaderLocation GIVEN needs the field CSVHeaders")
        config.done()

    def call(self, data: JSON, scope: Scope) -> Call:
        """The call that fetches the items."""
        arguments = None if self.arguments is None else self.arguments.evaluate(data, scope)
        return Call(self.resource, arguments, None, None, None, items=True, source=data)

    def most(self, data: JSON, scope: Scope) -> int:
        """MaxItems; 0 for all."""
        return int(number("MaxItems", self.limit, data, scope))

    def items(self, answer: JSON, data: JSON, scope: Scope) -> JSON:
        """The items in an answer: a list, or an object of them. Raises ExecutionFailure States.ItemReaderFailed."""
        most = self.most(data, scope)
        if most < 0:
            raise ExecutionFailure(READER_FAILED, "field MaxItems must be positive", explain=False)
        found = self._parse(answer) if isinstance(answer, str) else self._listing(answer)
        if not most:
            return found
        if isinstance(found, dict):
            return dict(list(found.items())[:most])
        return found[:most]

    def _listing(self, answer: JSON) -> JSON:
        """What a service answered instead of a text: a list of objects, or the list itself."""
        if isinstance(answer, dict) and isinstance(answer.get("Contents"), list):
            return answer["Contents"]
        if isinstance(answer, dict) and isinstance(answer.get("Body"), str):
            return self._parse(answer["Body"])
        if isinstance(answer, dict | list):
            return answer
        raise ExecutionFailure(READER_FAILED, "the answer holds no items", explain=False)

    def _parse(self, text: str) -> JSON:
        try:
            if self.kind in ("CSV", "MANIFEST"):
                return list(self._rows(text))
            if self.kind == "JSONL":
                return [json.loads(line) for line in text.splitlines() if line.strip()]
            found = json.loads(text)
        except ValueError as wrong:
            cause = f"Attempting to map over non-iterable or unreadable data: {wrong}"
            raise ExecutionFailure(READER_FAILED, cause, explain=False) from None
        if not isinstance(found, dict | list):
            raise ExecutionFailure(READER_FAILED, "Attempting to map over non-iterable node.", explain=False)
        return found

    def _rows(self, text: str) -> Iterator[dict[str, str]]:
        rows = (row for row in csv.reader(io.StringIO(text), delimiter=self.delimiter) if row)
        headers = self.headers if self.headers is not None else next(rows, [])
        if len(set(headers)) != len(headers):
            raise ExecutionFailure(READER_FAILED, "CSV headers cannot contain duplicates.", explain=False)
        for row in rows:
            padded = [*row, *[""] * (len(headers) - len(row))]
            yield dict(zip(headers, padded, strict=False))


class ItemBatcher:
    """Puts items into batches: the input of an iteration is then `{"Items": […], "BatchInput": …}`."""

    def __init__(self, fields: Fields) -> None:
        self.most = read_limit(fields, "MaxItemsPerBatch")
        self.bytes = read_limit(fields, "MaxInputBytesPerBatch")
        self.common = fields.template("BatchInput")
        if self.most is None and self.bytes is None:
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
