"""Doubts about the expressions of a definition, once all of it is read: what they read does not exist there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.definition.document import Pointer
from engine.definition.reading import Reading, Use
from engine.definition.wording import shorten
from engine.values import JSON

WITH_RESULT: Final = ("Task", "Parallel", "Map")
"""State types that have a result (States Language, "QueryLanguage", the variable `states`)."""

AFTER_RESULT: Final = ("Output", "Assign")
"""Fields that are evaluated when there is a result."""

ALWAYS: Final = ("input", "context")
"""What `states` holds everywhere."""

NEGATIVE: Final = re.compile(r"\[\s*-\d+\s*\]")


def check(reading: Reading) -> None:
    """Report variables that nothing sets or that two machines set, results that are not there yet, and indexes that
    select nothing."""
    for scope, name, pointer in reading.assignments:
        if scope.around(name):
            # AWS documents that this cannot be, and takes such a machine all the same (recorded).
            said = (
                f"A machine around this one has a variable {shorten(name)} too; it is another one, and is not changed"
            )
            hint = "take another name, and hand the value on as output"
            reading.problem("shadowed-variable", said, pointer, hint=hint, severity="warning")
    for use in reading.uses:
        for reference in sorted(use.expression.references):
            if reference.startswith("$"):
                _check_path(reading, use, reference)
            else:
                _check_name(reading, use, reference)


def _check_path(reading: Reading, use: Use, reference: str) -> None:
    """A JSONPath: `$.a`, `$$.a`, `$name.a`."""
    if NEGATIVE.search(reference):
        said = f"{shorten(reference)} never selects anything: AWS has no negative indexes"
        _doubt("negative-index", said, reading, use, reference, hint="States.ArrayGetItem, or [(@.length-1)]")
    found = re.match(r"\$(\w+)", reference)
    if found is not None:
        _check_variable(reading, use, found[1], found[0], "warning")


def _check_name(reading: Reading, use: Use, reference: str) -> None:
    """A path from the scope: `states.input.a`, `name.a`."""
    name, *rest = re.split(r"[.\[]", reference, maxsplit=2)
    if name != "states":
        _check_variable(reading, use, name, name, "error")
        return
    if rest and rest[0] not in _members(use):
        said = f"There is no states.{rest[0]} in {use.field} of a {use.state_type}"
        refused = use.language == "JSONata" and rest[0] == "errorOutput"  # by AWS, in these words
        severity = "error" if refused else "warning"
        _doubt("no-result", said, reading, use, f"states.{rest[0]}", severity=severity)


def _members(use: Use) -> tuple[str, ...]:
    """What `states` holds where an expression stands."""
    if use.field == "Catch":
        return (*ALWAYS, "errorOutput")
    has_result = use.state_type in WITH_RESULT and use.field in AFTER_RESULT
    return (*ALWAYS, "result") if has_result else ALWAYS


def _check_variable(reading: Reading, use: Use, name: str, written: str, severity: str) -> None:
    if use.scope.sees(name):
        return
    said = f"No state sets the variable {shorten(name)}"
    other = "a field of the input begins with $." if written.startswith("$") else "the input is states.input"
    hint = reading.similar(name, use.scope.variables()) or f"Assign sets variables; {other}"
    _doubt("undefined-variable", said, reading, use, written, hint=hint, severity=severity)


def _doubt(
    code: str,
    message: str,
    reading: Reading,
    use: Use,
    written: str,
    *,
    hint: str | None = None,
    severity: str = "warning",
) -> None:
    """Report a problem at the first place below the field where that text is written."""
    pointer, offset = use.pointer, 0
    if not reading.full:  # who reads no more problems needs no more places
        pointer, offset = _written(reading.document.at(use.pointer), use.pointer, written)
    reading.problem(code, message, pointer, hint=hint, severity=severity, offset=offset)


def _written(value: JSON, pointer: Pointer, text: str) -> tuple[Pointer, int]:
    """The first string below a node that has this text in it, and where; the node itself when there is none."""
    pattern = re.compile(rf"(?<![\w.]){re.escape(text)}(?!\w)")
    for where, found in _strings(value, pointer):
        if text in found and (place := pattern.search(found)):
            return where, place.start()
    return pointer, 0


def _strings(value: JSON, pointer: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Every string of a value, in order."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(member, (*pointer, key))
