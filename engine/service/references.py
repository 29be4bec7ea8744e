"""Which variables each state reads (`variableReferences` in descriptions of state machines)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.definition.languages import find_language
from engine.errors import ExpressionSyntaxError
from engine.machine import StateMachine
from engine.query import QueryLanguage, TemplateSyntaxError
from engine.values import JSON

NESTED: Final = frozenset({"Branches", "ItemProcessor", "Iterator"})
"""Fields with states of their own."""

PATHS: Final = frozenset({"Variable", "InputPath", "OutputPath", "ItemsPath"})
VARIABLE: Final = re.compile(r"\$?([^\W\d]\w*)")
LITERAL: Final = frozenset({"Result", "Comment"})


def variable_references(machine: StateMachine) -> dict[str, list[str]]:
    """For each state that reads variables, their names in order."""
    source = machine.source if isinstance(machine.source, dict) else {}
    found: dict[str, list[str]] = {}
    for name, state in _states(source):
        language = find_language(state.get("QueryLanguage", machine.query_language))
        names = {variable for reference in _references(state, language) for variable in _variable(reference)}
        if names:
            found[name] = sorted(names)
    return found


def _states(machine: JSON) -> Iterator[tuple[str, dict[str, JSON]]]:
    """Every state of a machine and of the machines in it."""
    for name, state in machine.get("States", {}).items():
        yield name, state
        for field in NESTED & state.keys():
            inner = state[field]
            for nested in inner if isinstance(inner, list) else [inner]:
                yield from _states(nested)


def _references(state: dict[str, JSON], language: QueryLanguage) -> Iterator[str]:
    """What the expressions of one state read, as written."""
    own = {name: value for name, value in state.items() if name not in NESTED | LITERAL}
    for field, text in _texts(own, ""):
        try:
            if language.name != "JSONPath":
                if language.is_expression(text):
                    yield from language.expression(text, field).references
            elif field.endswith(".$"):
                yield from language.template({field: text}, field).references
            elif field in PATHS or (field.endswith("Path") and field != "ResultPath"):
                yield from language.expression(text, field).references
        except (ExpressionSyntaxError, TemplateSyntaxError):
            continue  # A text that only looks like an expression; mistakes were refused with the definition.


def _texts(value: JSON, field: str) -> Iterator[tuple[str, str]]:
    """Every string, with the name of the nearest field."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(member, name)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member, field)


def _variable(reference: str) -> Iterator[str]:
    """The variable that a reference begins with: `$name.a` or `name.a`, but not `$.a`, `$$.a` or `states.input`."""
    found = VARIABLE.match(reference)
    if found is not None and found[1] != "states":
        yield found[1]
