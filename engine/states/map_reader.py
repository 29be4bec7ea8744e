"""ItemReader: where a distributed Map reads its items.

Reading is one call or more: a listing may have several pages, and a manifest or a listing may name objects that hold
the items. Every answer is the text of an object, or what a service answered. Source: AWS, "ItemReader (Map)".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.machine import Fields
from engine.outcomes import Call, Resource
from engine.query import Expression, Scope
from engine.states.delimited import records
from engine.states.map_items import number, read_limit
from engine.states.moments import parse_timestamp
from engine.states.resource import parse_resource
from engine.values import JSON, read_json

READER_FAILED: Final = "States.ItemReaderFailed"
STATE_DATA: Final = "STATE_DATA"
"""Map.Item.Source where the items come from the state's own input."""

DELIMITERS: Final = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
INPUT_TYPES: Final = ("CSV", "JSON", "JSONL", "MANIFEST", "PARQUET")
GET_OBJECT: Final = parse_resource("arn:aws:states:::s3:getObject")
NOT_ITERABLE: Final = "Attempting to map over non-iterable node."

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


def unreadable(cause: str) -> ExecutionFailure:
    """The failure of a reader."""
    return ExecutionFailure(READER_FAILED, cause, explain=False)


class ItemReader:
    """Reads the items from objects in S3, or whatever else the resource answers."""

    def __init__(self, fields: Fields) -> None:
        uri = fields.text("Resource", required=True) or ""
        self.resource = Resource("", "service", "", "", "", "")
        try:
            self.resource = parse_resource(uri) if uri else self.resource
        except ExpressionSyntaxError as wrong:
            fields.problem("bad-resource", wrong.message, "Resource", hint=wrong.hint)
        by_path = fields.template("Parameters", languages="path")
        self.arguments = fields.template("Arguments", languages="expression") or by_path
        self.lists = "listobjects" in self.resource.action.lower()
        self.kind = "JSON"
        self.manifest: str | None = None
        self.flatten = False
        self.delimiter = ","
        self.headers: list[str] | None = None
        self.pointer = ""
        self.limit: int | float | Expression | None = None
        config = fields.object("ReaderConfig")
        if config is not None:
            self._configure(config)
        fields.done()

    def _configure(self, config: Fields) -> None:
        self.kind = config.one_of("InputType", INPUT_TYPES) or "JSON"
        self.delimiter = DELIMITERS[config.one_of("CSVDelimiter", tuple(DELIMITERS)) or "COMMA"]
        location = config.one_of("CSVHeaderLocation", ("FIRST_ROW", "GIVEN"))
        given = config.texts("CSVHeaders")
        self.headers = list(given) if location == "GIVEN" else None
        self.flatten = config.one_of("Transformation", ("NONE", "LOAD_AND_FLATTEN")) == "LOAD_AND_FLATTEN"
        self.manifest = config.one_of("ManifestType", ("ATHENA_DATA", "S3_INVENTORY"))
        if self.kind == "MANIFEST" and self.manifest is None:
            self.manifest = "S3_INVENTORY"
        self.pointer = config.text("ItemsPointer") or ""
        if self.pointer and not self.pointer.startswith("/"):
            config.problem("bad-path", "A JSON pointer begins with /", "ItemsPointer", hint="as /orders/items")
        config.text("ExpectedBucketOwner")
        self.limit = read_limit(config, "MaxItems")
        if self.kind == "CSV" and location is None:
            config.problem("missing-field", "A CSV file needs the field CSVHeaderLocation", hint="FIRST_ROW or GIVEN")
        if location == "GIVEN" and not given:
            config.problem("missing-field", "CSVHeaderLocation GIVEN needs the field CSVHeaders")
        config.done()

    # -- the calls -------------------------------------------------------------------------------------------------

    def call(self, data: JSON, scope: Scope) -> Call:
        """The first call. Raises ExecutionFailure."""
        arguments = self._arguments(data, scope)
        if not isinstance(arguments, dict | None):
            raise unreadable("The arguments of an ItemReader must be an object")
        return self._fetch(self.resource, arguments, data)

    def more(self, answers: Sequence[JSON], data: JSON, scope: Scope) -> Call | None:
        """The call that follows after these answers, None when all is read. Raises States.ItemReaderFailed."""
        if _is_page(answers[0]):
            pages = [answer for answer in answers if _is_page(answer)]
            token = pages[-1].get("NextContinuationToken") if len(pages) == len(answers) else None
            if token:
                following = {**(self._arguments(data, scope) or {}), "ContinuationToken": token}
                return self._fetch(self.resource, following, data)
            objects = [entry["Key"] for page in pages for entry in page.get("Contents", ())] if self.flatten else []
            bucket = (self._arguments(data, scope) or {}).get("Bucket")
            places = [{"Bucket": bucket, "Key": key} for key in objects]
            read = len(answers) - len(pages)
        else:
            places, read = self._manifest_places(answers[0]), len(answers) - 1
        return self._fetch(GET_OBJECT, places[read], data) if read < len(places) else None

    def _fetch(self, resource: Resource, arguments: JSON, data: JSON) -> Call:
        return Call(resource, arguments, None, None, None, items=True, source=data)

    def _arguments(self, data: JSON, scope: Scope) -> JSON:
        return None if self.arguments is None else self.arguments.evaluate(data, scope)

    def _manifest_places(self, answer: JSON) -> list[JSON]:
        """The objects that a manifest names."""
        if self.manifest is None:
            return []
        text = _text(answer)
        try:
            if self.manifest == "ATHENA_DATA":
                parts = [line.strip().strip('"').split("/", 3) for line in text.split("\n") if line.strip()]
                return [{"Bucket": bucket, "Key": key} for _, _, bucket, key in parts]
            found = read_json(text)
            bucket = found["destinationBucket"].rpartition(":")[2]
            return [{"Bucket": bucket, "Key": file["key"]} for file in found["files"]]
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise unreadable(f"The manifest cannot be read: {wrong}") from None

    def origin(self, data: JSON, scope: Scope) -> str:
        """Map.Item.Source: where the items are read."""
        arguments = self._arguments(data, scope)
        if not isinstance(arguments, dict) or "Bucket" not in arguments:
            return self.resource.uri
        key = "" if self.lists else f"/{arguments.get('Key')}"
        return f"S3://{arguments['Bucket']}{key}"

    # -- the items -------------------------------------------------------------------------------------------------

    def most(self, data: JSON, scope: Scope) -> int:
        """MaxItems; 0 for all."""
        return int(number("MaxItems", self.limit, data, scope))

    def items(self, answers: Sequence[JSON], data: JSON, scope: Scope) -> JSON:
        """The items in all answers: a list, or an object of them. Raises ExecutionFailure States.ItemReaderFailed."""
        most = self.most(data, scope)
        if most < 0:
            raise unreadable("field MaxItems must be positive")
        found = self._all(answers)
        if not most:
            return found
        return dict(list(found.items())[:most]) if isinstance(found, dict) else found[:most]

    def _all(self, answers: Sequence[JSON]) -> JSON:
        if _is_page(answers[0]):
            pages = [answer for answer in answers if _is_page(answer)]
            if not self.flatten:
                return [_listed(entry) for page in pages for entry in page.get("Contents", ())]
            return [item for body in answers[len(pages) :] for item in _members(self._one(body))]
        if self.manifest is None:
            return self._one(answers[0])
        headers = self._inventory_columns(answers[0]) if self.manifest == "S3_INVENTORY" else None
        return [item for body in answers[1:] for item in _members(self._one(body, headers))]

    def _inventory_columns(self, manifest: JSON) -> list[str]:
        schema: str = read_json(_text(manifest)).get("fileSchema", "Bucket, Key")
        return [column.strip() for column in schema.split(",")]

    def _one(self, answer: JSON, headers: list[str] | None = None) -> JSON:
        """The items of one object, or of an answer that is no text."""
        if isinstance(answer, dict | list) and not _is_body(answer):
            return answer
        text = _text(answer)
        try:
            if headers is not None or self.kind == "CSV":
                return list(self._rows(text, headers or self.headers))
            if self.kind == "JSONL":
                return [read_json(line) for line in text.split("\n") if line.strip()]
            if self.kind == "PARQUET":
                raise unreadable("This engine does not read Parquet files")
            found = read_json(text)
        except ValueError as wrong:
            raise unreadable(f"Attempting to map over non-iterable or unreadable data: {wrong}") from None
        for step in self.pointer.split("/")[1:]:
            found = _below(found, step.replace("~1", "/").replace("~0", "~"), self.pointer)
        if not isinstance(found, dict | list):
            raise unreadable(NOT_ITERABLE)
        return found

    def _rows(self, text: str, given: list[str] | None) -> Iterator[dict[str, str]]:
        rows = records(text, self.delimiter)
        headers = given if given is not None else next(rows, [])
        if len(set(headers)) != len(headers):
            raise unreadable("CSV headers cannot contain duplicates.")
        for row in rows:
            padded = [*row, *[""] * (len(headers) - len(row))]
            yield dict(zip(headers, padded, strict=False))


def _is_page(answer: JSON) -> bool:
    return isinstance(answer, dict) and (isinstance(answer.get("Contents"), list) or "KeyCount" in answer)


def _is_body(answer: JSON) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("Body"), str)


def _text(answer: JSON) -> str:
    """The text of an object, answered alone or as GetObject answers it."""
    found = answer["Body"] if _is_body(answer) else answer
    if not isinstance(found, str):
        raise unreadable("the answer holds no items")
    return found


def _listed(entry: dict[str, JSON]) -> dict[str, JSON]:
    """An object of a listing as an item: its ETag is called Etag there (recorded), and times are seconds (measured)."""
    item = {"Etag" if name == "ETag" else name: value for name, value in entry.items()}
    moment = parse_timestamp(item.get("LastModified"))
    return item if moment is None else {**item, "LastModified": moment}


def _members(found: JSON) -> list[JSON]:
    return list(found.values()) if isinstance(found, dict) else found


def _below(value: JSON, step: str, pointer: str) -> JSON:
    if isinstance(value, dict) and step in value:
        return value[step]
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    raise unreadable(f"The ItemsPointer {pointer} points to nothing")
