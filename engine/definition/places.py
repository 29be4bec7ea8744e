"""Places inside a text: where each part of a JSON text begins, and where a character of a quoted scalar stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from engine.values import JSON

Pointer = tuple[str | int, ...]


class Node:
    """One value of a JSON text: where it begins, and its members as key or index -> (place of the key, node)."""

    __slots__ = ("members", "start")

    def __init__(self, start: int, members: Mapping[str | int, tuple[int, Node]]) -> None:
        self.start = start
        self.members = members


TOKEN: Final = re.compile(r'[\s,:]*("[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|[^\s,:\[\]{}"]+)', re.DOTALL)
LEAF: Final[Mapping[str | int, tuple[int, Node]]] = {}


def scan(text: str) -> tuple[Node, list[tuple[Pointer, int, int]]]:
    """The places in a valid JSON text, and (pointer, first place, second place) of every key given twice."""
    root: dict[str | int, tuple[int, Node]] = {}
    repeated: list[tuple[Pointer, int, int]] = []
    open_nodes: list[tuple[dict[str | int, tuple[int, Node]], bool]] = [(root, False)]
    path: list[str | int] = []
    key: str | int | None = None
    key_start = 0
    for found in TOKEN.finditer(text):
        token, start = found[1], found.start(1)
        members, is_object = open_nodes[-1]
        if token in ("}", "]"):
            open_nodes.pop()
            path.pop()
            continue
        if is_object and key is None:
            key, key_start = json.loads(token), start
            if key in members:
                repeated.append(((*path[1:], key), members[key][0], start))
            continue
        name: str | int = key if key is not None else len(members)
        at, key = (key_start if is_object else start), None
        if token in ("{", "["):
            inner: dict[str | int, tuple[int, Node]] = {}
            members[name] = at, Node(start, inner)
            open_nodes.append((inner, token == "{"))
            path.append(name)
        else:
            members[name] = at, Node(start, LEAF)
    return root[0][1], repeated


def inside(text: str, index: int, value: JSON, offset: int) -> int:
    """The index of character `offset` of the string `value` whose scalar begins at `index`.

    Answers `index` itself where the way cannot be told: a quoted scalar over several lines, an anchor before it.
    """
    if not isinstance(value, str):
        return index
    offset = min(offset, len(value))
    mark = text[index : index + 1]
    if mark == '"':
        return _double_quoted(text, index, offset)
    if mark == "'":
        return _single_quoted(text, index, offset)
    return _unquoted(text, index, value, offset)


ESCAPED: Final = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8}|.)|[^\\\r\n]")
HIGH: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def _double_quoted(text: str, index: int, offset: int) -> int:
    at = index + 1
    for _ in range(offset):
        found = HIGH.match(text, at) or ESCAPED.match(text, at)
        if found is None:
            return index
        at = found.end()
    return at


def _single_quoted(text: str, index: int, offset: int) -> int:
    at = index + 1
    for _ in range(offset):
        if text[at : at + 1] in ("\n", "\r", ""):
            return index
        at += 2 if text.startswith("''", at) else 1
    return at


def _unquoted(text: str, index: int, value: str, offset: int) -> int:
    """Plain scalars and blocks: they have no escapes, and folding changes only the white space."""
    at = text.find("\n", index) + 1 if text.startswith(("|", ">"), index) else index
    for char in (*value[:offset].split(), value[offset : offset + 1].strip()):
        while text[at : at + 1].isspace() and char:
            at += 1
        if not text.startswith(char, at):
            return index
        at += len(char)
    return at - len(value[offset : offset + 1].strip())
