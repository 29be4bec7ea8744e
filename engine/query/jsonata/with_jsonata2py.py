"""JSONata by jsonata2py 0.1, a compiler to Python: the fallback.

Its built-in functions cannot be replaced, so those that read a clock or draw numbers are hidden by variables of the
same name: `($now := …; expression)`. It has a time limit only: neither steps nor memory are counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import jsonata2py
from jsonata2py import MISSING

from engine.errors import ExpressionSyntaxError
from engine.query.jsonata.functions import FUNCTIONS, NULL, Implementation, drawing
from engine.query.jsonata.program import TIMEOUT, UNDEFINED, UNSUPPORTED, Chance, EvaluationError, Path
from engine.query.jsonata.tokens import OPERATOR, scan
from engine.values import JSON, check_json

HIDDEN: Final = {
    "now": "$now := function($picture, $zone) { $fromMillis($__millis, $picture, $zone) }; ",
    "millis": "$millis := function() { $__millis }; ",
    "random": "$random := $__random; ",
    "shuffle": "$shuffle := $__shuffle; ",
}
"""What hides each built-in function that is not the same on every evaluation."""

_POSITION: Final = re.compile(r" \(position (\d+)\)$")


def compile_program(text: str, names: frozenset[str]) -> Jsonata2pyProgram:
    """Compile an expression that uses these variables and functions. Raises ExpressionSyntaxError."""
    _refuse_endless(text)
    alone = _compiled(text)
    hidden = "".join(HIDDEN[name] for name in sorted(names & HIDDEN.keys()))
    return Jsonata2pyProgram(_compiled(text, f"({hidden}", ")") if hidden else alone, names)


def _refuse_endless(text: str) -> None:
    """The package's parser never returns from `a@$i@$j@$k`: an `@` behind two bindings of one step."""
    bindings = 0
    for token in scan(text):
        if token.kind == OPERATOR and token.text == ".":
            bindings = 0
        elif token.kind == OPERATOR and token.text in ("@", "#"):
            if token.text == "@" and bindings > 1:
                raise ExpressionSyntaxError("the fallback for JSONata takes no third binding of a step", token.start)
            bindings += 1


def _compiled(text: str, before: str = "", after: str = "") -> jsonata2py.CompiledExpression:
    try:
        return jsonata2py.compile(before + text + after)
    except Exception as mistake:  # beside its own errors the package leaks IndexError and others on malformed text
        place = _POSITION.search(str(mistake))
        message = _POSITION.sub("", str(mistake)) or "not a JSONata expression"
        offset = int(place[1]) - len(before) if place else 0
        raise ExpressionSyntaxError(message, min(max(offset, 0), len(text))) from mistake


class Jsonata2pyProgram:
    """A compiled expression, see `engine.query.jsonata.program.Program`."""

    __slots__ = ("_expression", "context", "paths")

    def __init__(self, expression: jsonata2py.CompiledExpression, names: frozenset[str]) -> None:
        self._expression = expression
        expression.set_timeout(round(TIMEOUT * 1000))
        # The library does not tell which names are variables of the flow, so only $states is named.
        self.paths: frozenset[Path] = frozenset({("states",)} if "states" in names else ())
        self.context: frozenset[str] | None = None

    def evaluate(self, values: Mapping[str, JSON], chance: Chance | None, now: str | None) -> JSON:
        """The value, see `Program`. Raises EvaluationError."""
        given = jsonata2py.JsonataBindings()
        for name, function in FUNCTIONS.items():
            given.bind_function(name, _host(function.call))
        if chance is not None:
            drawn = drawing(chance)
            given.bind_function("uuid", _host(drawn["uuid"])).bind_function("__random", _host(drawn["random"]))
            given.bind_function("__shuffle", lambda items: sorted(items, key=lambda item: chance.random()))
        if now is not None:
            given.bind_value("__millis", round(datetime.fromisoformat(now).timestamp() * 1000))
        for name, value in values.items():
            given.bind_value(name, value)
        try:
            found = self._expression.evaluate(MISSING, given)
        except jsonata2py.JsonataError as failure:
            raise EvaluationError.thrown(failure.error_code, failure.message) from failure
        if found is MISSING:
            raise EvaluationError(UNDEFINED)
        problem = check_json(found)
        if problem is not None:
            raise EvaluationError(UNSUPPORTED)
        return found


def _host(function: Implementation) -> Implementation:
    """The library tells undefined from null by MISSING and None; the functions by None and NULL."""

    def call(*arguments: Any) -> Any:
        found = function(*(None if argument is MISSING else argument for argument in arguments))
        return MISSING if found is None else None if found is NULL else found

    return call
