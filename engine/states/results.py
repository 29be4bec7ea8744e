"""What to say when an expression gives a value of the wrong type. The words are AWS's, recorded for JSONata."""

from __future__ import annotations

from engine.errors import ExecutionFailure
from engine.machine import Fields
from engine.query import Expression, Scope
from engine.values import JSON, dump, type_name

QUERY_ERROR = "States.QueryEvaluationError"


def unexpected(language: str, expression: Expression, field: str, expected: str, value: JSON) -> ExecutionFailure:
    """`expression` of `language`, given for `field`, should have given a value of the JSON type `expected`."""
    return ExecutionFailure(
        QUERY_ERROR,
        f"The {language} expression '{expression.source}' specified for the field '{field}' returned an unexpected "
        f"result type. Expected '{expected}', but was '{type_name(value)}' for value: {dump(value)}",
        kind="evaluation",
        location=field,
    )


def numeric(language: str, expression: Expression, field: str, *, whole: bool = False) -> Expression:
    """The expression, refusing every value that is no number; with `whole`, no whole number, and giving an int."""
    read = expression.evaluate

    def evaluate(data: JSON, scope: Scope) -> JSON:
        found = read(data, scope)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise unexpected(language, expression, field, "number", found)
        if whole and found != int(found):
            said = f"The {field} field must be a whole number: {dump(found)}"
            raise ExecutionFailure(QUERY_ERROR, said, kind="value", location=field)
        return int(found) if whole else found

    return Expression(expression.source, evaluate, expression.references)


def an_object(language: str, expression: Expression, field: str) -> Expression:
    """The expression, refusing every value that is no object."""
    read = expression.evaluate

    def evaluate(data: JSON, scope: Scope) -> JSON:
        found = read(data, scope)
        if not isinstance(found, dict):
            raise unexpected(language, expression, field, "object", found)
        return found

    return Expression(expression.source, evaluate, expression.references)


def language_of(fields: Fields) -> str:
    """The name of the query language in which a state is written."""
    return fields.language.name
