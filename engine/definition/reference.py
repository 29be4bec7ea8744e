"""docs/reference/problems.md, the page of problem codes, made of their registry."""

from __future__ import annotations

from typing import Final

from engine.definition.problems import CODES

HEAD: Final = """\
# Problems

What `engine validate` can say of a flow file. Every problem has a code, a place and, where there is one, a hint; one
of severity `error` keeps the flow from being run, a `warning` does not. Codes are stable.

| code | severity | meaning | example |
|---|---|---|---|
"""


def problems_page() -> str:
    """The page as Markdown, made of the registry of codes."""
    return HEAD + "".join(
        f"| `{name}` | {code.severity} | {code.meaning} | {_shown(code.example)} |\n"
        for name, code in sorted(CODES.items())
    )


def _shown(example: str) -> str:
    """An example in a cell of a table, which has neither lines nor bars."""
    return "<br>".join(f"`{line}`".replace("|", "\\|") for line in example.split("\n"))
