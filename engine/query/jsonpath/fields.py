"""Expressions in the fields that take a path, and AWS's words for a path that finds nothing there."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Expression, NoMatch, Scope
from engine.query.jsonpath.calls import PREFIX, call
from engine.query.jsonpath.evaluator import Path, path
from engine.query.jsonpath.intrinsics import INTRINSICS
from engine.query.jsonpath.reference import NOT_A_REFERENCE, reference
from engine.query.jsonpath.steps import as_json
from engine.values import JSON

ANY_PATH = frozenset({"InputPath", "OutputPath"})
"""Fields that take every path; the others take reference paths (States Language specification, "Paths")."""

TEXT_FIELDS = frozenset({"ErrorPath", "CausePath"})
"""Fields that also take a function, if it gives a text (AWS, "Fail workflow state")."""

TEXT_FUNCTIONS = frozenset(
    f"{PREFIX}{name}"
    for name in ("Format", "JsonToString", "ArrayGetItem", "Base64Encode", "Base64Decode", "Hash", "UUID")
)

NO_CONTEXT = frozenset(
    {
        "MaxItemsPath",
        "MaxItemsPerBatchPath",
        "MaxInputBytesPerBatchPath",
        "ToleratedFailureCountPath",
        "ToleratedFailurePercentagePath",
    }
)
"""Fields in which AWS refuses the context object."""

WAIT_FIELDS = frozenset({"SecondsPath", "TimestampPath"})


@lru_cache(maxsize=4096)
def expression(text: str, field: str) -> Expression:
    """Compile the value of a path field: a path, or a function call where AWS takes one.

    Where the path finds nothing, `evaluate` raises ExecutionFailure (States.Runtime) with AWS's cause for that field;
    only the path of `Variable` raises NoMatch, since a Choice has its own answers. Raises ExpressionSyntaxError.
    """
    if text.startswith(PREFIX):
        return _function(text, field)
    if field == "Variable":
        return reference(text)
    found = path(text) if field in ANY_PATH else reference(text)
    if found.root == "$$" and field in NO_CONTEXT:
        raise ExpressionSyntaxError(NOT_A_REFERENCE, 0, f"{field} does not read the context object")
    return _worded(found, field)


def _function(text: str, field: str) -> Expression:
    if field not in TEXT_FIELDS:
        raise ExpressionSyntaxError(f"{field} takes a path, not a function", 0, "call functions in a `.$` field")
    name = text[: text.find("(")].rstrip()
    if name in INTRINSICS and name not in TEXT_FUNCTIONS:
        functions = ", ".join(sorted(TEXT_FUNCTIONS))
        raise ExpressionSyntaxError(f"{field} takes only functions that return a string", 0, f"these are {functions}")
    return call(text)


def _worded(found: Path, field: str) -> Expression:
    read, word, at_input = found.evaluate, _cause(found.source, field), found.root == "$"

    def evaluate(data: JSON, scope: Scope) -> JSON:
        try:
            return read(data, scope)
        except NoMatch as missing:
            nothing = at_input and data is None
            cause = "Unable to apply Path transformation to null or empty input." if nothing else word(missing, data)
            raise ExecutionFailure("States.Runtime", cause) from None

    return Expression(found.source, evaluate, found.references)


def _cause(source: str, field: str) -> Callable[[NoMatch, JSON], str]:
    if field in WAIT_FIELDS:
        return lambda missing, data: f"The {field} parameter does not reference an input value: {source}"
    if field in TEXT_FIELDS:
        return lambda missing, data: not_in_input(source, field, data)
    return lambda missing, data: f"Invalid path '{source}' : {missing}"


def not_in_input(source: str, field: str, data: JSON) -> str:
    """The cause for a path in a payload template, ErrorPath or CausePath."""
    return (
        f"The JSONPath '{source}' specified for the field '{field}' could not be found in the input '{as_json(data)}'"
    )
