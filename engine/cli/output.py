"""The two streams. stdout carries results and nothing else; stderr carries everything that is only for people."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

import click

from engine.cli.style import MARKS, Style, json_text
from engine.values import JSON

CAUSE_WIDTH = 140
"""Longest error text in a view of one line per state."""


class OutputLost(Exception):
    """stdout cannot be written: the result is lost, though what was run has run."""


class Output:
    """One stream, and what it can show. stderr is for people only: what cannot be written there is dropped."""

    def __init__(self, *, err: bool = False, width: int | None = CAUSE_WIDTH) -> None:
        self.err = err
        self.style = style_of(sys.stderr if err else sys.stdout, width=width)

    def line(self, text: str = "") -> None:
        """Write one line; what the stream's encoding lacks is written as an escape."""
        stream: TextIO | None = sys.stderr if self.err else sys.stdout
        try:
            if stream is None:
                raise OSError("it is closed")
            encoding = stream.encoding or "utf-8"
            safe = text.encode(encoding, "backslashreplace").decode(encoding)
            click.echo(safe, err=self.err, color=self.style.colour)
        except (OSError, ValueError) as problem:
            _let_go(stream)
            # Whoever reads the result may have seen enough of it; a disk that is full is another thing.
            if not self.err and not isinstance(problem, BrokenPipeError):
                raise OutputLost(f"the result could not be written to standard output: {problem}") from problem

    def lines(self, texts: list[str]) -> None:
        """Write lines."""
        if texts:
            self.line("\n".join(texts))

    def json(self, value: JSON) -> None:
        """Write one JSON document."""
        self.line(json_text(value, ascii_only=not self.style.unicode))


def _let_go(stream: TextIO | None) -> None:
    """Point a stream that cannot be written at nothing, so that the interpreter's last flush does not fail again."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)


def style_of(stream: TextIO | None, *, width: int | None = None) -> Style:
    """Colours: as asked for with --color/--no-color, else on a terminal unless NO_COLOR is set."""
    if stream is None:
        return Style(colour=False, unicode=False, width=width)
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
