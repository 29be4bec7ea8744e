"""Definitions: text becomes a `StateMachine`, or the list of all its problems with line, column, caret and hint.

    machine = load("flows/booking.yaml")       # raises DefinitionError
    problems = validate("flows/booking.yaml")  # empty, or Problems in the order of the text

A source is a path, a text (it holds a newline or begins with `{`), or the definition as a dict.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.definition.document import Document
from engine.definition.parser import read_machine
from engine.definition.reader import MAX_CHARACTERS, read_text, read_value
from engine.errors import DefinitionError, Problem
from engine.machine import StateMachine
from engine.values import JSON

__all__ = ["Document", "load", "read_document", "validate"]


def load(
    source: str | os.PathLike[str] | dict[str, JSON],
    *,
    steps: Mapping[str, Iterable[str]] | None = None,
    file: str | None = None,
    type: str = "STANDARD",
) -> StateMachine:
    """The state machine of a definition.

    `steps` maps the names of the steps there are to the errors each declares; without it, steps are not checked.
    `file` names a text in messages; `type` is STANDARD or EXPRESS. Raises DefinitionError with every problem.
    """
    document = read_document(source, file=file)
    machine, problems = read_machine(document, steps, type)
    if machine is None or any(problem.severity == "error" for problem in problems):
        raise DefinitionError(problems)
    machine.file = document.file
    return machine


def validate(
    source: str | os.PathLike[str] | dict[str, JSON],
    *,
    steps: Mapping[str, Iterable[str]] | None = None,
    file: str | None = None,
    type: str = "STANDARD",
) -> list[Problem]:
    """Every problem of a definition, in the order of the text; valid = none has the severity "error"."""
    try:
        return read_machine(read_document(source, file=file), steps, type)[1]
    except DefinitionError as refused:
        return refused.problems


def read_document(source: str | os.PathLike[str] | JSON, *, file: str | None = None) -> Document:
    """A path, text or value as a document. Raises DefinitionError when it is no YAML or JSON.

    A str is text if it holds a newline or begins with `{`, else a path. `file` names it in messages.
    """
    try:
        if isinstance(source, str) and ("\n" in source or source.lstrip()[:1] == "{"):
            return read_text(source, file=file)
        if isinstance(source, str | os.PathLike):
            return read_text(_contents(os.fspath(source)), file=file or os.fspath(source))
        return read_value(source, file=file)
    except RecursionError:
        raise DefinitionError([Problem("too-deep", "Nested too deeply to be read", file=file)]) from None


def _contents(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as opened:
            # One character more than allowed is enough to see that there are too many.
            return opened.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError as wrong:
        raise _unreadable(path, f"{path} is not UTF-8 (byte {wrong.start})") from None
    except (OSError, ValueError) as wrong:
        said = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        raise _unreadable(path, f"{path[:200] or 'An empty path'} cannot be read: {said}") from None


def _unreadable(path: str, message: str) -> DefinitionError:
    return DefinitionError([Problem("unreadable-file", message, file=path[:200] or None)])
