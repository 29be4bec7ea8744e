"""The JSONPath stages of a state one by one, as TestState shows them; in a machine they run as one."""

from __future__ import annotations

from engine.query import Evaluate, Scope
from engine.query.jsonpath import LANGUAGE
from engine.values import JSON

TEMPLATED = ("Task", "Pass", "Parallel")
"""Types whose Parameters are made from the input; a Map's are those of its items."""


class PathStages:
    """Compiled from the definition of a state that is known to be valid."""

    def __init__(self, source: dict[str, JSON], kind: str) -> None:
        self._input = _path(source, "InputPath")
        self._parameters = _template(source, "Parameters") if kind in TEMPLATED else None
        self._selector = _template(source, "ResultSelector")
        self._output = _path(source, "OutputPath")
        self._discards = "ResultPath" in source and source["ResultPath"] is None
        place = source.get("ResultPath")
        self._place = LANGUAGE.reference_path(place) if isinstance(place, str) and place != "$" else None

    def select_input(self, data: JSON, scope: Scope) -> JSON:
        """InputPath."""
        return data if self._input is None else self._input(data, scope)

    def build_parameters(self, data: JSON, scope: Scope) -> JSON:
        """Parameters."""
        return data if self._parameters is None else self._parameters(data, scope)

    def select_result(self, result: JSON, scope: Scope) -> JSON:
        """ResultSelector."""
        return result if self._selector is None else self._selector(result, scope)

    def place_result(self, data: JSON, result: JSON) -> JSON:
        """ResultPath."""
        if self._discards:
            return data
        return result if self._place is None else self._place.put(data, result)

    def select_output(self, data: JSON, scope: Scope) -> JSON:
        """OutputPath."""
        return data if self._output is None else self._output(data, scope)


def _path(source: dict[str, JSON], field: str) -> Evaluate | None:
    if field not in source:
        return None
    text = source[field]
    return LANGUAGE.expression(text, field).evaluate if text is not None else lambda data, scope: {}


def _template(source: dict[str, JSON], field: str) -> Evaluate | None:
    return LANGUAGE.template(source[field], field).evaluate if field in source else None
