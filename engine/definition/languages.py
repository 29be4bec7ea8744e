"""Query languages in a definition: which fields belong to which, and what stands in for one that is not available."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from engine.query import Expression, QueryLanguage, language
from engine.values import JSON

PATH_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "InputPath": ("Arguments", "Output"),
    "Parameters": ("Arguments", "ItemSelector", "Output"),
    "ResultSelector": ("Output",),
    "ResultPath": ("Output", "Assign"),
    "OutputPath": ("Output",),
    "Result": ("Output",),
    "ItemsPath": ("Items",),
    "Variable": ("Condition",),
    "And": ("Condition",),
    "Or": ("Condition",),
    "Not": ("Condition",),
}
"""Fields of JSONPath only, and what to write in the expression languages; so is `XPath` for each field X."""

EXPRESSION_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "Arguments": ("Parameters",),
    "Output": ("ResultSelector", "ResultPath", "OutputPath", "Parameters"),
    "Items": ("ItemsPath",),
    "Condition": ("Variable",),
}
"""Fields of the expression languages only, and what to write in JSONPath."""

COMPARISON: Final = re.compile(r"(String|Numeric|Boolean|Timestamp)\w+|Is[A-Z]\w+")


def foreign(name: str, by_path: bool, known: Collection[str], supported: Collection[str] | None) -> bool:
    """Whether a field that the state did not ask for belongs to the other kind of language.

    `supported` names the fields that the state type has in any language, if that is known.
    """
    if supported is not None and name not in supported:
        return False
    if by_path:
        return name in EXPRESSION_ONLY
    path_form = name.endswith("Path") and name.removesuffix("Path") in known
    return name in PATH_ONLY or path_form or COMPARISON.fullmatch(name) is not None


def instead(name: str, by_path: bool, spoken: str, supported: Collection[str] | None) -> str | None:
    """What to write in place of a field of the other kind; `by_path` says that the field is JSONPath's."""
    others = (PATH_ONLY if by_path else EXPRESSION_ONLY).get(name, ())
    if by_path and not others:
        others = ("Condition",) if COMPARISON.fullmatch(name) else (name.removesuffix("Path"),)
    fitting = [other for other in others if supported is None or other in supported]
    return f"in {spoken} write {' or '.join(fitting)}" if fitting else None


class Unavailable:
    """Stands in for a language that this engine does not have, so that everything else is still checked."""

    exportable = False

    def __init__(self, name: str, remedy: str) -> None:
        self.name = name
        self.remedy = remedy

    def expression(self, text: str, field: str) -> Expression:
        """Takes every text; the machine never runs."""
        return Expression(text, lambda data, scope: None)

    def template(self, value: JSON, field: str) -> Expression:
        """Takes every value; the machine never runs."""
        return Expression("", lambda data, scope: None)

    def is_expression(self, value: JSON) -> bool:
        """Whether the value is written as an expression."""
        return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def find_language(name: str) -> QueryLanguage:
    """The language of that name, or what stands in for it: it may rest on a package that is not installed."""
    try:
        return language(name)
    except ImportError as missing:
        return Unavailable(name, str(missing))
