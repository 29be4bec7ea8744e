"""ResultWriter: how the results of a distributed Map are put together, and where they are written.

Source: AWS, "ResultWriter (Map)". With a Resource, the results become objects in S3: one for the children of each
status, and a manifest that names them; the state's result is then where the manifest is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.errors import ExpressionSyntaxError
from engine.machine import Fields
from engine.outcomes import Resource
from engine.query import Scope
from engine.states.resource import parse_resource
from engine.values import JSON, dump

WRITER_FAILED: Final = "States.ResultWriterFailed"
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

    def objects(self, children: Sequence[Child], run: str, source: JSON, scope: Scope) -> tuple[list[JSON], JSON]:
        """The arguments of each putObject in their order, and the state's result. `run`: the ARN of the map run."""
        where = self.arguments.evaluate(source, scope) if self.arguments is not None else {}
        bucket, prefix = where.get("Bucket"), where.get("Prefix")
        folder = "/".join(part for part in (prefix, run.rpartition(":")[2]) if part)
        puts: list[JSON] = []
        files: dict[str, JSON] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        for status, names in files.items():
            results = self.transform([child for child in children if _file_of(child) == status])
            if results:
                body = "\n".join(map(dump, results)) if self.lines else dump(results)
                key = f"{folder}/{status}_0.{'jsonl' if self.lines else 'json'}"
                puts.append({"Bucket": bucket, "Key": key, "Body": body})
                names.append({"Key": key, "Size": len(body.encode())})
        key = f"{folder}/manifest.json"
        manifest = {"DestinationBucket": bucket, "MapRunArn": run, "ResultFiles": files}
        puts.append({"Bucket": bucket, "Key": key, "Body": dump(manifest)})
        return puts, {"MapRunArn": run, "ResultWriterDetails": {"Bucket": bucket, "Key": key}}


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
