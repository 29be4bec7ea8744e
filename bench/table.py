"""Figures, and the plain table that they are printed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

HEAD = ("", "figure", "", "target", "floor", "of floor", "")
WIDTHS = (46, 12, 14, 11, 11, 9, 0)


class Figure(NamedTuple):
    """One measured value.

    `target`: what it should reach; `most`: the target is an upper limit. `floor`: the same value if the engine itself
    cost nothing, on this machine in this run. `note`: what else was seen, such as latencies.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    most: bool = False
    floor: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.most else self.value >= self.target

    def row(self) -> Sequence[str]:
        """The cells of the table."""
        sign = "" if self.target is None else ("≤ " if self.most else "≥ ")
        met = {None: "", True: "", False: " !"}[self.met]
        share = (
            "" if self.floor is None else f"{(self.floor / self.value if self.most else self.value / self.floor):.0%}"
        )
        return (
            self.name,
            number(self.value),
            self.unit,
            "" if self.target is None else f"{sign}{number(self.target)}{met}",
            "" if self.floor is None else number(self.floor),
            share,
            self.note,
        )


def number(value: float) -> str:
    """Three significant digits, or whole thousands with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(cells: Sequence[str]) -> str:
    """One line of the table: the name to the left, numbers to the right."""
    name, value, unit, target, floor, share, note = cells
    text = f"{name:{WIDTHS[0]}} {value:>{WIDTHS[1]}} {unit:{WIDTHS[2]}} {target:>{WIDTHS[3]}}"
    return f"{text} {floor:>{WIDTHS[4]}} {share:>{WIDTHS[5]}}  {note}".rstrip()
