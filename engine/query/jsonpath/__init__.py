"""JSONPath: the first query language of the States Language, with its intrinsic functions.

`path` compiles a bare path, `expression` the value of a path field, `template` a payload template and `reference_path`
the place where ResultPath puts a result. Everything is compiled once and cached by its text.
"""

from __future__ import annotations

from typing import Final

from engine.query import Expression
from engine.query.jsonpath.evaluator import Path, path
from engine.query.jsonpath.fields import expression
from engine.query.jsonpath.intrinsics import INTRINSICS
from engine.query.jsonpath.reference import ReferencePath, reference, reference_path
from engine.query.jsonpath.template import template
from engine.values import JSON

__all__ = [
    "INTRINSICS",
    "LANGUAGE",
    "JSONPath",
    "Path",
    "ReferencePath",
    "expression",
    "path",
    "reference",
    "reference_path",
    "template",
]


class JSONPath:
    """The language as the protocol `engine.query.QueryLanguage` asks for it."""

    name: str = "JSONPath"
    exportable: bool = True

    def path(self, text: str) -> Path:
        """A bare path; it raises NoMatch when nothing is found."""
        return path(text)

    def expression(self, text: str, field: str) -> Expression:
        """The value of a path field (InputPath, SecondsPath, …)."""
        return expression(text, field)

    def template(self, value: JSON, field: str) -> Expression:
        """A payload template (Parameters, ResultSelector, …)."""
        return template(value, field)

    def reference_path(self, text: str) -> ReferencePath:
        """A ResultPath."""
        return reference_path(text)

    def is_expression(self, value: JSON) -> bool:
        """Whether a text is a path or a function call rather than a literal."""
        return isinstance(value, str) and value.startswith(("$", "States."))


LANGUAGE: Final = JSONPath()
