"""A small JSON Schema checker for request bodies: just the words the contract's schemas use.

A schema is a dict with ``type`` (one or a list), ``required``, ``properties``, ``items``, ``enum``, ``minimum``,
``maximum``, ``minLength``, ``maxLength``, ``pattern`` and ``format: date-time``. Unknown fields are allowed, as in
the contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from steps.simulator.clock import parse_rfc3339

Schema = Mapping[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults_in(value: Any, schema: Schema, where: str = "") -> Iterator[str]:
    """One sentence per violation, each naming the field, e.g. ``pickup.point.lat: must be at most 90``."""
    field = where or "body"
    types = schema.get("type", [])
    names = [types] if isinstance(types, str) else types
    if names and not any(_is(value, name) for name in names):
        yield f"{field}: must be {' or '.join(names)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{field}: must be one of {', '.join(schema['enum'])}"
    if isinstance(value, str):
        yield from _faults_in_text(value, schema, field)
    elif isinstance(value, (int, float)):
        yield from _faults_in_number(value, schema, field)
    elif isinstance(value, dict):
        yield from _faults_in_object(value, schema, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults_in(item, schema.get("items", {}), f"{where}[{index}]")


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _faults_in_text(value: str, schema: Schema, field: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{field}: must have at least {schema['minLength']} characters"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{field}: must have at most {schema['maxLength']} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{field}: must match {schema['pattern']}"
    if schema.get("format") == "date-time":
        try:
            parse_rfc3339(value)
        except ValueError:
            yield f"{field}: must be an RFC 3339 time with an offset"


def _faults_in_number(value: float, schema: Schema, field: str) -> Iterator[str]:
    if value < schema.get("minimum", value):
        yield f"{field}: must be at least {schema['minimum']}"
    if value > schema.get("maximum", value):
        yield f"{field}: must be at most {schema['maximum']}"


def _faults_in_object(value: dict[str, Any], schema: Schema, where: str) -> Iterator[str]:
    prefix = f"{where}." if where else ""
    for name in schema.get("required", []):
        if name not in value:
            yield f"{prefix}{name}: is missing"
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            yield from faults_in(value[name], inner, prefix + name)
