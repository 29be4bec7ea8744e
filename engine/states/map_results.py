"""ResultWriter: how the results of a distributed Map are put together, and where they are written.

Source: AWS, "ResultWriter (Map)". With a Resource, the results become objects in S3: one for the children of each
status, and a manifest that names them; the state's result is then where the manifest is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.machine import Fields
from engine.outcomes import Resource
from engine.query import Scope
from engine.states.resource import parse_resource
from engine.values import JSON, dump

WRITER_FAILED: Final = "States.ResultWriterFailed"
NO_PLACE: Final = "The Bucket of a ResultWriter must be a text, and its Prefix one too, where there is any"
WRITER_SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "Resource": {"type": "string"},
        "Parameters": {"description": "JSONPath only."},
        "Arguments": {"description": "Expression languages only."},
        "WriterConfig": {
            "type": "object",
            "properties": {
                "Transformation": {"enum": ["NONE", "COMPACT", "FLATTEN"]},
                "OutputType": {"enum": ["JSON", "JSONL"]},
            },
        },
    },
}


Files = dict[str, list[JSON]]
"""The objects of each group of children, as the manifest names them."""
NO_FILES: Final[Files] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}


class Place(NamedTuple):
    """Where results go. `run`: the ARN of the map run."""

    run: str
    bucket: JSON
    folder: str


class Child(NamedTuple):
    """A child execution that has ended, or that is PENDING and never will. `record`: what AWS says of it beside its
    output."""

    status: str
    output: JSON
    record: dict[str, JSON]


class ResultWriter:
    """The field ResultWriter. `exports`: the results are written to S3 rather than handed on."""

    def __init__(self, fields: Fields) -> None:
        uri = fields.text("Resource")
        self.exports = uri is not None
        self.resource = Resource("", "service", "", "", "", "")
        try:
            self.resource = parse_resource(uri) if uri else self.resource
        except ExpressionSyntaxError as wrong:
            fields.problem("bad-resource", wrong.message, "Resource", hint=wrong.hint)
        by_path = fields.template("Parameters", languages="path")
        self.arguments = fields.template("Arguments", languages="expression") or by_path
        config = fields.object("WriterConfig")
        self.transformation = "NONE" if self.exports else "COMPACT"
        self.lines = False
        if config is not None:
            self.transformation = config.one_of("Transformation", ("NONE", "COMPACT", "FLATTEN")) or self.transformation
            self.lines = config.one_of("OutputType", ("JSON", "JSONL")) == "JSONL"
            config.done()
        if self.exports and self.arguments is None:
            name = "Parameters" if fields.by_path else "Arguments"
            fields.problem("missing-field", f"The field {name} is missing", hint=f"add {name} with Bucket and Prefix")
        if not self.exports and config is None:
            fields.problem("missing-field", "The field WriterConfig is missing", hint="or give Resource and Parameters")
        fields.done()

    def transform(self, children: Sequence[Child]) -> list[JSON]:
        """The results in the form that WriterConfig asks for; what failed is never flattened."""
        if self.transformation == "NONE":
            return [_whole(child) for child in children]
        found: list[JSON] = []
        for child in children:
            if child.status != "SUCCEEDED":
                found.append(_whole(child) if self.exports else child.output)
            elif self.transformation == "FLATTEN" and isinstance(child.output, list):
                found.extend(child.output)
            else:
                found.append(child.output)
        return found

    def place(self, run: str, source: JSON, scope: Scope) -> Place:
        """Where the results of a map run go. `run`: its ARN. Raises ExecutionFailure."""
        where = self.arguments.evaluate(source, scope) if self.arguments is not None else None
        bucket, prefix = (where.get("Bucket"), where.get("Prefix")) if isinstance(where, dict) else (None, None)
        if not isinstance(bucket, str) or not isinstance(prefix, str | None):
            raise ExecutionFailure(WRITER_FAILED, NO_PLACE, explain=False)
        return Place(run, bucket, "/".join(part for part in (prefix, run.rpartition(":")[2]) if part))

    def objects(self, children: Sequence[Child], place: Place) -> tuple[list[JSON], JSON]:
        """The arguments of each putObject in their order, and the state's result."""
        puts: list[JSON] = []
        files = NO_FILES
        for group in NO_FILES:
            inside = [child for child in children if _file_of(child) == group]
            if inside:
                put, files = self.part(inside, group, files, place)
                puts.append(put)
        put, result = self.manifest(files, place)
        return [*puts, put], result

    def part(self, children: Sequence[Child], group: str, files: Files, place: Place) -> tuple[JSON, Files]:
        """The arguments of the putObject that writes results of a group, and the files with that one."""
        results = self.transform(children)
        body = "\n".join(map(dump, results)) if self.lines else dump(results)
        key = f"{place.folder}/{group}_{len(files[group])}.{'jsonl' if self.lines else 'json'}"
        named = {**files, group: [*files[group], {"Key": key, "Size": len(body.encode())}]}
        return {"Bucket": place.bucket, "Key": key, "Body": body}, named

    def manifest(self, files: Files, place: Place) -> tuple[JSON, JSON]:
        """The arguments of the last putObject, and the state's result."""
        key = f"{place.folder}/manifest.json"
        manifest = {"DestinationBucket": place.bucket, "MapRunArn": place.run, "ResultFiles": files}
        put = {"Bucket": place.bucket, "Key": key, "Body": dump(manifest)}
        return put, {"MapRunArn": place.run, "ResultWriterDetails": {"Bucket": place.bucket, "Key": key}}


def _file_of(child: Child) -> str:
    """Which file it is written to: one is for all that failed, timed out or were aborted."""
    return child.status if child.status in ("SUCCEEDED", "PENDING") else "FAILED"


def _whole(child: Child) -> JSON:
    """The result with the facts about its execution, in AWS's order: by name, the status at its place."""
    found = {**child.record, "Status": child.status}
    if child.status == "SUCCEEDED":
        reason = f"Execution is {child.status} and cannot be redriven"
        found |= {"Output": dump(child.output), "OutputDetails": {"Included": True}}
        found |= {"RedriveStatus": "NOT_REDRIVABLE", "RedriveStatusReason": reason}
    elif child.status != "PENDING":
        found |= {**child.output, "RedriveStatus": "REDRIVABLE"}
    return dict(sorted(found.items()))
