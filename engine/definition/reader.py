"""Documents: YAML or JSON text, or a value, as plain JSON that knows where each of its parts stands.

YAML is read as JSON with comments: only JSON's scalars, no tags, no merge keys, one document, each key once. Whatever
YAML 1.1 would have turned into something else than a string (`yes`, `012`, a date) stays a string, with a warning.
Size, depth and the number of nodes are limited, aliases count as often as they are used.

Places are found only when somebody asks: a document without mistakes pays nothing for them.
"""

from __future__ import annotations

import bisect
import json
import math
import re
from collections.abc import Callable
from functools import cached_property
from typing import Final

from engine.definition.places import inside, scan
from engine.definition.wording import shorten
from engine.errors import DefinitionError, Problem
from engine.values import JSON, MAX_DEPTH

MAX_CHARACTERS: Final = 1_048_576
"""Largest text of a document (AWS: a definition has at most 1 MiB)."""

MAX_NODES: Final = 250_000
"""Most values in a document, each alias counted in full."""

MAX_PROBLEMS: Final = 200
"""Most problems of one kind that are reported; who has more wants to see the first."""

MAX_SHOWN: Final = 400
"""Longest line that a problem quotes."""

MAX_BITS: Final = 10_000
"""Largest integer, in bits: what Python still writes as decimal text in linear time."""

SURROGATE: Final = re.compile("[\ud800-\udfff]")

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


def read_text(text: str, *, file: str | None = None) -> Document:
    """Read YAML or JSON. Text that begins with { or [ is JSON unless the file's name says YAML.

    Raises DefinitionError with every mistake that can be found in one go.
    """
    text = text.removeprefix("\ufeff")
    document = Document(None, file=file, text=text)
    if len(text) > MAX_CHARACTERS:
        document.text = None
        raise document.refuse("too-large", f"The text has more than {MAX_CHARACTERS:,} characters")
    if not text.isascii() and (found := SURROGATE.search(text)):
        raise document.refuse("bad-character", "Half of a surrogate pair is no character", index=found.start())
    if is_json(text, file):
        _read_json(document)
    else:
        # Loads PyYAML, which a JSON document must not pay for.
        from engine.definition.yaml_text import read_yaml

        read_yaml(document)
    _refuse_faults(document)
    return document


def is_json(text: str, file: str | None) -> bool:
    """Whether the text is to be read as JSON."""
    name = (file or "").lower()
    return name.endswith(".json") or (not name.endswith((".yaml", ".yml")) and text.lstrip()[:1] in ("{", "["))


def read_value(value: JSON, *, file: str | None = None) -> Document:
    """Take a JSON value as a document, copied. Raises DefinitionError when it is no JSON."""
    document = Document(value, file=file, text=None)
    _refuse_faults(document)
    document.value = json.loads(json.dumps(value))
    return document


class _NotANumber(Exception):
    """NaN or Infinity in JSON text."""


def _read_json(document: Document) -> None:
    """Parse the JSON text of a document into it."""
    text = document.text or ""
    repeated = False

    def members(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
        nonlocal repeated
        found = dict(pairs)
        repeated = repeated or len(found) != len(pairs)
        return found

    def constant(name: str) -> JSON:
        raise _NotANumber(name)

    try:
        document.value = json.loads(text, object_pairs_hook=members, parse_constant=constant)
    except json.JSONDecodeError as wrong:
        hint = _json_hint(text, wrong.pos)
        raise document.refuse("bad-syntax", f"Not JSON: {wrong.msg}", index=wrong.pos, hint=hint) from None
    except _NotANumber as wrong:
        index = text.find(str(wrong))
        raise document.refuse("bad-number", f"{wrong} is not a JSON number", index=index) from None
    except RecursionError:
        raise document.refuse("too-deep", f"Nested deeper than {MAX_DEPTH} levels", index=0) from None
    except ValueError:
        index = next(found.start() for found in re.finditer(r"\d{1000,}", text))
        raise document.refuse("bad-number", "The number has too many digits", index=index) from None
    tree = _JsonTree(text)
    document._locate = tree.locate
    if repeated:
        raise DefinitionError([_repeated(document, *found) for found in tree.repeated[:MAX_PROBLEMS]])


def _json_hint(text: str, index: int) -> str | None:
    """Advice for the commonest slips in JSON."""
    if text[index : index + 1] == "'":
        return 'strings stand between double quotes: "…"'
    if text[index : index + 1] in ("#", "/"):
        return "JSON has no comments; YAML has (# …)"
    if text[:index].rstrip()[-1:] == "," and text[index : index + 1] in ("}", "]"):
        return "remove the comma before it"
    return None


def _repeated(document: Document, pointer: Pointer, first: int, second: int) -> Problem:
    line, column = document.place(first)
    return document.problem(
        "duplicate-key",
        f"The key {shorten(str(pointer[-1]))} stands here for a second time; first in line {line}, column {column}",
        pointer,
        index=second,
        hint="remove or rename one of them",
    )


class _JsonTree:
    """The places of a JSON text, read a second time when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _scanned(self) -> tuple[JSON, list[tuple[Pointer, int, int]]]:
        return scan(self._text)

    @property
    def repeated(self) -> list[tuple[Pointer, int, int]]:
        """(pointer, first place, second place) of every key given twice."""
        return self._scanned[1]

    def locate(self, pointer: Pointer, key: bool) -> int:
        """The index of a node or of its key, or of the nearest ancestor there is."""
        node = self._scanned[0]
        index: int = node.start
        for part in pointer:
            if part not in node.members:
                return index
            at, node = node.members[part]
            index = node.start
            named = at
        return named if key and pointer else index


def _refuse_faults(document: Document) -> None:
    found = _fault(document.value)
    if found is not None:
        code, message, pointer = found
        raise DefinitionError([document.problem(code, message, pointer)])


def _fault(value: JSON) -> tuple[str, str, Pointer] | None:
    """What makes a value no acceptable document: not JSON, too deep, too many values. None = nothing does."""
    stack: list[tuple[JSON, Pointer]] = [([value], ())]
    nodes = 0
    while stack:
        current, pointer = stack.pop()
        if len(pointer) > MAX_DEPTH:
            return "too-deep", f"Nested deeper than {MAX_DEPTH} levels", pointer[1:]
        nodes += len(current)
        if nodes > MAX_NODES:
            return "too-large", f"The document has more than {MAX_NODES:,} values", ()
        named = isinstance(current, dict)
        for key, member in current.items() if named else enumerate(current):
            wrong = None if not named or isinstance(key, str) else ("bad-key", f"The key {key!r} is no string")
            if isinstance(member, dict | list):
                stack.append((member, (*pointer, key)))
            elif member is not None and not isinstance(member, bool):
                wrong = wrong or _scalar_fault(member)
            if wrong is not None:
                # The value stands in a list of its own, whose index is no part of its pointer.
                return *wrong, (*pointer, key)[1:]
    return None


def _scalar_fault(value: object) -> tuple[str, str] | None:
    if isinstance(value, str):
        if value.isascii() or not SURROGATE.search(value):
            return None
        return "bad-character", "The text holds half of a surrogate pair"
    if isinstance(value, float):
        return None if math.isfinite(value) else ("bad-number", f"{value} is not a JSON number")
    if isinstance(value, int):
        return None if value.bit_length() < MAX_BITS else ("bad-number", "The number has too many digits")
    return "not-json", f"{type(value).__name__} is not a JSON type"
