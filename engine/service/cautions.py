"""AWS's warnings about a definition that it accepts: what looks like a path and is none.

Source: AWS Step Functions API Reference, "ValidateStateMachineDefinitionDiagnostic", list of warning codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.definition.document import Pointer
from engine.service.diagnostics import Diagnostic, place
from engine.values import JSON

SAID: Final = {
    "NO_DOLLAR": "No .$ on a field that appears to be a JSONPath or Intrinsic Function.",
    "NO_PATH": "Field value looks like a path, but field name does not end with 'Path'.",
    "PASS_RESULT_IS_STATIC": "Attempt to use a path in the result of a pass state.",
}
LOOKS_COMPUTED: Final = re.compile(r"\$(\$?[.\[]|\$?$)|States\.\w+\(.*\)$", re.DOTALL)
TEMPLATES: Final = ("Parameters", "ItemSelector", "ResultSelector", "Assign")
NO_PATHS: Final = frozenset({"Comment", "Next", "Default", "Type", "Resource", "StartAt", "QueryLanguage", "Label"})
"""Fields whose text is never a path, whatever it looks like."""


def cautions(definition: JSON) -> Iterator[Diagnostic]:
    """The warnings about a valid definition, in the order of the text. JSONPath states only have them."""
    if isinstance(definition, dict) and definition.get("QueryLanguage", "JSONPath") == "JSONPath":
        yield from _machine(definition, ())


def _machine(machine: JSON, pointer: Pointer) -> Iterator[Diagnostic]:
    states = machine.get("States")
    for name, state in states.items() if isinstance(states, dict) else ():
        where = (*pointer, "States", name)
        if state.get("QueryLanguage", "JSONPath") == "JSONPath":
            yield from _fields(state, where)
        for index, branch in enumerate(state.get("Branches", ())):
            yield from _machine(branch, (*where, "Branches", index))
        for field in ("ItemProcessor", "Iterator"):
            if field in state:
                yield from _machine(state[field], (*where, field))


def _fields(fields: JSON, pointer: Pointer) -> Iterator[Diagnostic]:
    """A state, or an object in it that is no machine."""
    for name, value in fields.items():
        where = (*pointer, name)
        if name in TEMPLATES:
            yield from _template(value, where)
        elif name == "Result":
            if any(key.endswith(".$") or _computed(text) for key, text in _texts(value)):
                yield _warn("PASS_RESULT_IS_STATIC", where)
        elif isinstance(value, str):
            if not name.endswith("Path") and name not in {*NO_PATHS, "Variable"} and _computed(value):
                yield _warn("NO_PATH", where)
        elif name in ("ItemReader", "ItemBatcher", "ResultWriter", "ReaderConfig", "Not"):
            yield from _fields(value, where)
        elif name in ("Choices", "And", "Or", "Catch"):
            for index, item in enumerate(value):
                yield from _fields(item, (*where, index))


def _template(value: JSON, pointer: Pointer) -> Iterator[Diagnostic]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in members:
        if isinstance(item, dict | list):
            yield from _template(item, (*pointer, key))
        elif not (isinstance(key, str) and key.endswith(".$")) and _computed(item):
            yield _warn("NO_DOLLAR", (*pointer, key))


def _texts(value: JSON, key: str = "") -> Iterator[tuple[str, JSON]]:
    """Every value that is neither list nor object, with its key."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    else:
        yield key, value


def _computed(value: JSON) -> bool:
    return isinstance(value, str) and LOOKS_COMPUTED.match(value) is not None


def _warn(code: str, pointer: Pointer) -> Diagnostic:
    return Diagnostic(code, SAID[code], place(pointer), "WARNING")
