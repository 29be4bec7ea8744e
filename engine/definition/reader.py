"""Reading of documents: YAML or JSON text, or a value, becomes a Document.

YAML is read as JSON with comments: only JSON's scalars, no tags, no merge keys, one document, each key once. Whatever
YAML 1.1 would have turned into something else than a string (`yes`, `012`, a date) stays a string, with a warning.
Size, depth and the number of nodes are limited, aliases count as often as they are used.
"""

from __future__ import annotations

import json
import math
import re
from functools import cached_property
from typing import Final

from engine.definition.document import MAX_NODES, MAX_PROBLEMS, Document, Pointer
from engine.definition.places import scan
from engine.definition.wording import shorten
from engine.errors import DefinitionError, Problem
from engine.values import JSON, MAX_DEPTH

MAX_CHARACTERS: Final = 1_048_576
"""Largest text of a document (AWS: a definition has at most 1 MiB)."""

MAX_BITS: Final = 10_000
"""Largest integer, in bits: what Python still writes as decimal text in linear time."""

SURROGATE: Final = re.compile("[\ud800-\udfff]")


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
