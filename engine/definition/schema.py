"""The JSON Schema of flow files, made of what the state types say of their own fields.

`python -m engine.definition.schema` writes schemas/flow.schema.json below the working directory. Editors use it to
complete and check flow files; `validate` knows more (names, reachability, expressions) and gives better places.
"""

from __future__ import annotations

import inspect
import json
from typing import Any, Final

import engine.states  # noqa: F401  registers the state types
from engine.definition.parser import MAX_NAME
from engine.machine import STATE_TYPES, State
from engine.query import LANGUAGES
from engine.values import JSON

FILE: Final = "schemas/flow.schema.json"

COMMENT: Final[JSON] = {"type": "string", "description": "For people."}
LANGUAGE: Final[JSON] = {
    "enum": list(LANGUAGES),
    "description": "The language of expressions. Under another one than JSONPath no state can go back to JSONPath.",
}
STATE_FIELDS: Final[dict[str, JSON]] = {"Comment": COMMENT, "QueryLanguage": LANGUAGE}
"""Fields of every state, beside Type."""

MACHINE_FIELDS: Final[dict[str, JSON]] = {
    "Comment": COMMENT,
    "StartAt": {"type": "string", "description": "The name of the first state."},
    "States": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"minLength": 1, "maxLength": MAX_NAME},
        "additionalProperties": {"$ref": "#/$defs/State"},
        "description": "The states by name. Names are unique, over nested machines too.",
    },
}
"""Fields of every machine."""

FLOW_FIELDS: Final[dict[str, JSON]] = {
    "Version": {"type": "string", "description": "The version of the States Language.", "default": "1.0"},
    "TimeoutSeconds": {
        "type": "integer",
        "minimum": 1,
        "maximum": 99_999_999,
        "description": "How long an execution may take, in seconds.",
    },
    "QueryLanguage": LANGUAGE,
}
"""Fields of the outermost machine."""

PROCESSOR_FIELDS: Final[dict[str, JSON]] = {
    "ProcessorConfig": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "Mode": {"enum": ["INLINE", "DISTRIBUTED"], "default": "INLINE"},
            "ExecutionType": {"enum": ["STANDARD", "EXPRESS"]},
        },
        "description": "How a Map runs its iterations.",
    },
}
"""Fields of a nested machine."""


def flow_schema() -> dict[str, JSON]:
    """The JSON Schema (2020-12) of a flow."""
    definitions: dict[str, JSON] = {
        "Machine": _machine("A machine inside of a state.", PROCESSOR_FIELDS),
        "State": {
            "type": "object",
            "required": ["Type"],
            "properties": {"Type": {"enum": list(STATE_TYPES)}},
            "allOf": [_if_type(name) for name in STATE_TYPES],
        },
    }
    for name, kind in STATE_TYPES.items():
        definitions[name] = _state(name, kind)
        definitions.update(getattr(kind, "DEFS", {}))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Flow",
        **_machine("A state machine in the Amazon States Language.", FLOW_FIELDS),
        "$defs": definitions,
    }


def _machine(description: str, fields: dict[str, JSON]) -> dict[str, JSON]:
    return {
        "description": description,
        "type": "object",
        "required": ["StartAt", "States"],
        "properties": {**MACHINE_FIELDS, **fields},
        "additionalProperties": False,
    }


def _if_type(name: str) -> dict[str, JSON]:
    return {
        "if": {"required": ["Type"], "properties": {"Type": {"const": name}}},
        "then": {"$ref": f"#/$defs/{name}"},
    }


def _state(name: str, kind: type[State]) -> dict[str, JSON]:
    found: dict[str, Any] = {
        "description": inspect.getdoc(kind),
        "type": "object",
        "required": ["Type", *kind.REQUIRED],
        "properties": {"Type": {"const": name}, **STATE_FIELDS, **kind.SCHEMA},
        "additionalProperties": False,
    }
    if "Next" in kind.SCHEMA:
        found["anyOf"] = [{"required": ["Next"]}, {"required": ["End"]}]
    return found


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(flow_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with open(FILE, "w", encoding="utf-8") as file:
        file.write(schema_text())
