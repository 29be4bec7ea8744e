"""The two streams. stdout carries results and nothing else; stderr carries everything that is only for people."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

from engine.cli.style import MARKS, Style, json_text
from engine.values import JSON

CAUSE_WIDTH = 140
"""Longest error text in a view of one line per state."""


class Output:
    """One stream, and what it can show."""

    def __init__(self, *, err: bool = False, width: int | None = CAUSE_WIDTH) -> None:
        self.err = err
        self.style = style_of(sys.stderr if err else sys.stdout, width=width)

    def line(self, text: str = "") -> None:
        """Write one line; what the stream's encoding lacks is written as an escape."""
        stream = sys.stderr if self.err else sys.stdout
        encoding = stream.encoding or "utf-8"
        safe = text.encode(encoding, "backslashreplace").decode(encoding)
        click.echo(safe, err=self.err, color=self.style.colour)

    def lines(self, texts: list[str]) -> None:
        """Write lines."""
        if texts:
            self.line("\n".join(texts))

    def json(self, value: JSON) -> None:
        """Write one JSON document."""
        self.line(json_text(value, ascii_only=not self.style.unicode))


def style_of(stream: TextIO, *, width: int | None = None) -> Style:
    """Colours: as asked for with --color/--no-color, else on a terminal unless NO_COLOR is set."""
    context = click.get_current_context(silent=True)
    asked = None if context is None else context.color
    colour = asked if asked is not None else stream.isatty() and not os.environ.get("NO_COLOR")
    return Style(colour=colour, unicode=_can_show("".join(MARKS.values()), stream), width=width)


def _can_show(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
