"""Reference paths: those that name exactly one place, so that something can be put there.

Source: States Language specification, "Reference Paths" and "ResultPath".
"""

from __future__ import annotations

from functools import lru_cache

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query.jsonpath.evaluator import Path, path
from engine.query.jsonpath.steps import as_json
from engine.values import JSON

NOT_A_REFERENCE = "Value is not a Reference Path"
ABSENT = object()


class ReferencePath:
    """Where ResultPath puts a result."""

    __slots__ = ("source", "steps")

    def __init__(self, source: str, steps: tuple[str | int, ...]) -> None:
        self.source = source
        self.steps = steps

    def put(self, document: JSON, value: JSON) -> JSON:
        """The document with the value at this place, as a new document that shares everything off the path.

        Missing members are created, elements of arrays only replaced. Raises ExecutionFailure
        (States.ResultPathMatchFailure) where the path meets a value of another kind.
        """
        return self._put(document, value, 0, document)

    def _put(self, here: JSON, value: JSON, depth: int, document: JSON) -> JSON:
        if depth == len(self.steps):
            return value
        step = self.steps[depth]
        if isinstance(step, int):
            if not isinstance(here, list) or step >= len(here):
                raise self._conflict(document)
            elements = here.copy()
            elements[step] = self._put(here[step], value, depth + 1, document)
            return elements
        if here is ABSENT:
            return {step: self._put(ABSENT, value, depth + 1, document)}
        if not isinstance(here, dict):
            raise self._conflict(document)
        return {**here, step: self._put(here.get(step, ABSENT), value, depth + 1, document)}

    def _conflict(self, document: JSON) -> ExecutionFailure:
        return ExecutionFailure(
            "States.ResultPathMatchFailure", f"Unable to apply ReferencePath {self.source} to input {as_json(document)}"
        )

    def __repr__(self) -> str:
        return f"ReferencePath({self.source!r})"


def reference(text: str) -> Path:
    """A path that must be a reference path, with any root. Raises ExpressionSyntaxError."""
    found = path(text)
    if found.steps is None or any(isinstance(step, int) and step < 0 for step in found.steps):
        raise ExpressionSyntaxError(NOT_A_REFERENCE, 0, "only names and single indexes, as $.a.b[0]")
    return found


@lru_cache(maxsize=1024)
def reference_path(text: str) -> ReferencePath:
    """A reference path into the state's input. Raises ExpressionSyntaxError, also for `$$` and `$name`."""
    found = reference(text)
    if found.root != "$" or found.steps is None:
        raise ExpressionSyntaxError(NOT_A_REFERENCE, 0, "the result is put into the input, so the path starts with $.")
    return ReferencePath(found.source, found.steps)
