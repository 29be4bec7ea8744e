"""The bench works: each theme runs, in a small size, and gives figures. How fast anything is does not matter here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from bench.__main__ import THEMES
from bench.settings import Settings
from bench.table import Figure, line

SLOW = {"startup", "waiting", "recovery", "starts", "maps", "bookings"}


@pytest.mark.parametrize(
    "theme", [pytest.param(theme, marks=pytest.mark.chaos if theme in SLOW else ()) for theme in THEMES]
)
def test_a_theme_measures_and_names_each_figure_once(theme: str, tmp_path: Path) -> None:
    settings = Settings(("sqlite",), 0.05, 0.001, False, tmp_path)
    figures = list(import_module(f"bench.{theme}").measure(settings))
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.value > 0 for figure in figures)


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (Figure("flows", 50.0, "/s", 100.0, floor=200.0), ["50", "/s", "≥", "100", "!", "200", "25%"]),
        (Figure("p99", 4.0, "ms", 5.0, most=True, floor=1.0), ["4", "ms", "≤", "5", "1", "25%"]),
        (Figure("bytes", 12_345.0, "bytes"), ["12,345", "bytes"]),
    ],
)
def test_a_line_shows_the_target_and_marks_it_when_it_is_missed(figure: Figure, shown: list[str]) -> None:
    assert line(figure.row()).split()[1:] == shown
