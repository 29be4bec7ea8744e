"""The house language in extension fields: what a request becomes for a flow, and what a flow becomes for the caller."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import UNSET, Expression, TemplateSyntaxError, language
from engine.service.http.document import OpenApi
from engine.states.moments import format_timestamp
from engine.values import JSON

Pointer = tuple[str | int, ...]


class View:
    """What an expression of an extension field sees: names, and nothing else."""

    input: JSON = None
    result: JSON = UNSET
    error_output: JSON = UNSET
    context: JSON = None

    def __init__(self, variables: Mapping[str, JSON], moment: float) -> None:
        self.variables = variables
        self.now = format_timestamp(moment)

    def random(self) -> random.Random:
        """Answers are not drawn by lot; a flow may be."""
        return random.Random(0)


class Template:
    """A value with expressions in it, compiled; `evaluate` raises ExecutionFailure."""

    __slots__ = ("_expression",)

    def __init__(self, expression: Expression) -> None:
        self._expression = expression

    def evaluate(self, view: View) -> Any:
        """The value for what the view shows."""
        return self._expression.evaluate(None, view)

    def holds(self, view: View) -> bool:
        """Whether it is exactly true; what cannot be evaluated is not."""
        try:
            return self.evaluate(view) is True
        except ExecutionFailure:
            return False


def template(document: OpenApi, value: JSON, pointer: Pointer) -> Template:
    """Compile a field. Raises DefinitionError with the place in the document."""
    known = language("JMESPath")
    field = str(pointer[-1])
    try:
        if known.is_expression(value):
            return Template(known.expression(value, field))
        return Template(known.template(value, field))
    except TemplateSyntaxError as mistakes:
        first = mistakes.issues[0]
        raise document.wrong(
            (*pointer, *first.pointer), "bad-expression", first.mistake.message, first.mistake.hint
        ) from None
    except ExpressionSyntaxError as mistake:
        raise document.wrong(pointer, "bad-expression", mistake.message, mistake.hint) from None
