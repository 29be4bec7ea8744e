"""The reference of all functions, made from the registry.

`python -m engine.query.jmespath.reference`, run where the README is, renews the tables in docs/house-language.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.query.jmespath.functions import HOUSE
from engine.query.jmespath.registry import Function
from engine.query.jmespath.standard import STANDARD
from engine.values import dump

PAGE = Path("docs/house-language.md")
BEGIN, END = "<!-- functions: begin (generated) -->", "<!-- functions: end -->"


def tables() -> str:
    """Both tables as Markdown."""
    return f"### Added by the house\n\n{_table(HOUSE)}\n\n### JMESPath's own\n\n{_table(STANDARD)}"


def refreshed(page: str) -> str:
    """The page with the tables between the two marks made anew. Raises ValueError when a mark is missing."""
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:begin]}\n\n{tables()}\n\n{page[end:]}"


def _table(functions: Mapping[str, Function]) -> str:
    rows = ["| Function | Meaning | Example |", "|---|---|---|"]
    return "\n".join(rows + [_row(function) for function in functions.values()])


def _row(function: Function) -> str:
    expression, data, result = function.example
    given = f" with {_code(dump(data))}" if data else ""
    cells = (_code(function.signature), function.summary, f"{_code(expression)}{given} gives {_code(dump(result))}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
