"""A document: plain JSON that knows where each of its parts stands, and the limits that every reader of one keeps.

Places are found only when somebody asks: a document without mistakes pays nothing for them.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable
from functools import cached_property
from typing import Final

from engine.definition.places import inside
from engine.errors import DefinitionError, Problem
from engine.values import JSON

MAX_NODES: Final = 250_000
"""Most values in a document, each alias counted in full."""

MAX_PROBLEMS: Final = 200
"""Most problems of one kind that are reported; who has more wants to see the first."""

MAX_SHOWN: Final = 400
"""Longest line that a problem quotes."""

Pointer = tuple[str | int, ...]
Locate = Callable[[Pointer, bool], int]
"""(pointer, whether its key is meant) -> index into the text; of the nearest ancestor when there is no such node."""


class Document:
    """One document as plain JSON.

    `value` the JSON; `file` its name for messages; `text` as read (None for a value); `warnings` what was found while
    reading it that does not make it wrong.
    """

    def __init__(self, value: JSON, *, file: str | None, text: str | None, locate: Locate | None = None) -> None:
        self.value = value
        self.file = file
        self.text = text
        self.warnings: list[Problem] = []
        self._locate = locate

    @cached_property
    def _breaks(self) -> list[int]:
        """The index of the first character of each line."""
        return [0, *(found.end() for found in re.finditer(r"\r\n|[\n\r]", self.text or ""))]

    def position(self, pointer: Pointer, *, key: bool = False, offset: int = 0) -> tuple[int, int] | None:
        """Line and column, from 1, of a node, of its key, or of a character of its text; None for a value's document.

        `offset` counts characters of the string as read, so escapes and block indentation are taken into account;
        where that cannot be told, the place is the beginning of the node.
        """
        if self.text is None or self._locate is None:
            return None
        index = self._locate(pointer, key)
        if offset:
            index = inside(self.text, index, self.at(pointer), offset)
        return self.place(index)

    def at(self, pointer: Pointer) -> JSON:
        """The value at `pointer`, or None."""
        value = self.value
        for part in pointer:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def place(self, index: int) -> tuple[int, int]:
        """Line and column of a character of the text, both from 1."""
        line = bisect.bisect_right(self._breaks, index)
        return line, index - self._breaks[line - 1] + 1

    def line(self, number: int) -> str | None:
        """The text of a line without its end; None when it is too long to be shown."""
        text = self.text or ""
        start = self._breaks[number - 1]
        end = self._breaks[number] if number < len(self._breaks) else len(text)
        return text[start:end].rstrip("\r\n") if end - start <= MAX_SHOWN else None

    def problem(
        self,
        code: str,
        message: str,
        pointer: Pointer = (),
        *,
        hint: str | None = None,
        severity: str = "error",
        key: bool = False,
        offset: int = 0,
        index: int | None = None,
    ) -> Problem:
        """A problem at a node, at its key, at a character of its text, or at `index` of the document's text."""
        place = self.place(index) if index is not None else self.position(pointer, key=key, offset=offset)
        line, column = place or (None, None)
        source = self.line(line) if line else None
        return Problem(
            code,
            message,
            pointer,
            hint=hint,
            severity=severity,
            file=self.file,
            line=line,
            column=column,
            source=source,
        )

    def refuse(self, code: str, message: str, *, index: int | None = None, hint: str | None = None) -> DefinitionError:
        """One problem of the text as a whole, ready to be raised."""
        return DefinitionError([self.problem(code, message, hint=hint, index=index)])
