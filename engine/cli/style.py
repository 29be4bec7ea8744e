"""How things look in a terminal: marks, colours, durations, moments, and text that cannot harm it. Pure."""

from __future__ import annotations

import json
import re
from datetime import datetime, tzinfo

from engine.values import JSON, dump

MARKS = {
    "done": "✓",
    "failed": "✗",
    "caught": "!",
    "retry": "↻",
    "waits": "…",
    "runs": "▹",
    "fork": "▸",
    "ended": "∅",
}
ASCII_MARKS = {
    "done": "+",
    "failed": "x",
    "caught": "!",
    "retry": "~",
    "waits": ".",
    "runs": ">",
    "fork": ">",
    "ended": "-",
}
COLOURS = {
    "done": "32",
    "failed": "31",
    "caught": "33",
    "retry": "33",
    "waits": "36",
    "runs": "36",
    "fork": "36",
    "ended": "2",
    "faint": "2",
    "strong": "1",
}
"""What is shown in which colour: parameters of the SGR escape sequence."""

STATUS_MARKS = {
    "SUCCEEDED": "done",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "ABORTED": "ended",
    "RUNNING": "waits",
}
"""The mark of an execution by its status."""


class Style:
    """What a stream can show. `zone` None is the local time zone; `width` cuts long remarks, None cuts nothing."""

    __slots__ = ("colour", "unicode", "width", "zone")

    def __init__(
        self, *, colour: bool = False, unicode: bool = True, zone: tzinfo | None = None, width: int | None = None
    ) -> None:
        self.colour = colour
        self.unicode = unicode
        self.zone = zone
        self.width = width

    @property
    def ellipsis(self) -> str:
        """What stands for text that was left out."""
        return "…" if self.unicode else "..."

    def mark(self, name: str) -> str:
        """The sign of that name, in its colour."""
        return self.paint((MARKS if self.unicode else ASCII_MARKS)[name], name)

    def paint(self, text: str, name: str) -> str:
        """The text in the colour of that name, where colours are shown."""
        return f"\x1b[{COLOURS[name]}m{text}\x1b[0m" if self.colour and text else text

    def cut(self, text: str, limit: int) -> str:
        """The text on one line, in at most `limit` characters."""
        flat = one_line(text)
        return flat if len(flat) <= limit else flat[: limit - len(self.ellipsis)] + self.ellipsis

    def moment(self, time: float, near: float | None = None) -> str:
        """Date and time of day; the time alone when it is on the same day as `near`."""
        there = datetime.fromtimestamp(time, self.zone)
        if near is not None and datetime.fromtimestamp(near, self.zone).date() == there.date():
            return f"{there:%H:%M:%S}"
        return f"{there:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """A length of time for people: 12 ms, 2.3 s, 2 min 05 s, 3 h 02 min, 2 d 3 h."""
    if seconds < 0.9995:
        return "<1 ms" if seconds < 0.0005 else f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def one_line(text: str) -> str:
    """The text without line breaks, and with what could steer a terminal made visible."""
    return "".join(char if char.isprintable() else _visible(char) for char in " ".join(text.split()))


def _visible(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def failure_text(error: str | None, cause: str | None) -> str:
    """`Error: cause`, with whichever of them is known."""
    return ": ".join(one_line(part) for part in (error, cause) if part) or "failed"


def json_text(value: JSON, *, ascii_only: bool = False) -> str:
    """JSON for people: indented, and other scripts as they are where the terminal can show them."""
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only)
    # JSON lets these stand, but they steer terminals.
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def compact(value: JSON) -> str:
    """JSON on one line."""
    return one_line(dump(value))


def table(rows: list[list[str]], *, gap: str = "  ") -> list[str]:
    """Lines with every column but the last padded to its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return [gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
