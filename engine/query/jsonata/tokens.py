"""The words of an expression, for what the library does not tell: which names it uses, and where.

The scanner follows jsonata-js 2.0.6 and is meant for texts that have compiled; on any other it ends somewhere early.
Besides each token it says whether the context there is the flow's own (the top level) or an item of some path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

NAME: Final = "name"
VARIABLE: Final = "variable"
OPERATOR: Final = "operator"
OTHER: Final = "other"

WORDS: Final = frozenset({"true", "false", "null", "function", "λ"})

_BLANK: Final = re.compile(r"(?:\s+|/\*.*?\*/)*", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""
      (?P<string> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<quoted> `[^`]*` )
    | (?P<number> \d+ (?:\.\d+)? (?:[eE][-+]?\d+)? )
    | (?P<operator> \.\. | := | != | >= | <= | \*\* | ~> | \?\? | \?: | [.\[\]{}(),@\#;:?+\-*/%|=<>^&!~] )
    | (?P<word> (?!["'`]) [^\s.\[\]{}(),@\#;:?+\-*/%|=<>^&!~]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """`step`: it follows a dot. `top`: its context is that of the whole expression."""

    kind: str
    text: str
    start: int
    step: bool
    top: bool


def scan(text: str) -> Iterator[Token]:
    """The tokens of an expression; a name comes without backquotes, a variable without its dollar sign."""
    nesting = _Nesting()
    place = 0
    while (place := _BLANK.match(text, place).end()) < len(text):  # type: ignore[union-attr]
        if text[place] == "/" and not nesting.operand:
            end = _regex_end(text, place)
            kind, word = OTHER, text[place:end]
        else:
            found = _TOKEN.match(text, place)
            if found is None:
                return
            end = found.end()
            kind, word = _kind(found, nesting.operand)
        yield Token(kind, word, place, nesting.step, nesting.top)
        nesting.follow(kind, word)
        place = end


def _kind(found: re.Match[str], operand: bool) -> tuple[str, str]:
    text = found[0]
    if found["operator"]:
        # Where a value is expected, these are a value: the wildcards and the parent.
        return (OTHER if text in ("*", "**", "%") and not operand else OPERATOR), text
    if found["quoted"]:
        return NAME, text[1:-1]
    if found["word"] is None or text in WORDS:
        return OTHER, text
    if text.startswith("$"):
        return VARIABLE, text[1:]
    return (OPERATOR if text in ("and", "or", "in") and operand else NAME), text


def _regex_end(text: str, start: int) -> int:
    depth = 0
    place = start + 1
    while place < len(text):
        character = text[place]
        if character == "/" and depth == 0:
            break
        if character == "\\":
            place += 1
        depth += (character in "([{") - (character in ")]}")
        place += 1
    return min(place + 1, len(text))


class _Nesting:
    """Where the scanner is: after a value or not, after a dot or not, and in which context."""

    __slots__ = ("called_step", "operand", "outer", "previous", "step", "top")

    def __init__(self) -> None:
        self.operand = self.step = self.called_step = False
        self.top = True
        self.outer: list[bool] = []
        self.previous = ""

    def follow(self, kind: str, text: str) -> None:
        """Go past a token."""
        if kind != OPERATOR:
            self.called_step = self.step
            self.operand, self.step = True, False
        elif text in ("(", "[", "{"):
            self.outer.append(self.top)
            self.top = self.top and not self._changes_context(text)
            self.operand = self.step = False
        elif text in (")", "]", "}"):
            self.top = self.outer.pop() if self.outer else self.top
            self.operand, self.step, self.called_step = True, False, False
        else:
            # A bar where a value is expected begins a transform: what follows is about the thing transformed.
            self.top = self.top and not (text == "|" and not self.operand)
            self.operand, self.step = False, text == "."
        self.previous = text

    def _changes_context(self, opening: str) -> bool:
        if self.step or self.previous == "^":
            return True
        if not self.operand:
            return False
        return self.called_step if opening == "(" else True
