"""JSONata by jlens 0.25, an engine in Rust.

A binding is converted whole on every evaluation, the input document level by level as the expression reaches it. So the
variables are handed over as the input, and the program copies those that the expression reads into variables:
`($states := states; $x := x; {"v": …})`. The object around the expression tells undefined (no `v`) from null.

An expression whose context would show is evaluated with bindings and no input instead: at the top level of a flow's
expression the context is undefined. So is one that names a function which a variable of the flow hides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jlens

from engine.errors import ExpressionSyntaxError
from engine.query.jsonata.functions import ADDED, FUNCTIONS, NULL, Implementation, drawing
from engine.query.jsonata.program import (
    MAX_COMPARED,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_RESULT,
    MAX_STEPS,
    MAX_TEXT,
    TIMEOUT,
    UNDEFINED,
    UNSUPPORTED,
    Chance,
    EvaluationError,
    FunctionError,
    Path,
)
from engine.values import JSON

LIMITS: Final[dict[str, Any]] = {
    "timeout": TIMEOUT,
    "max_depth": MAX_DEPTH + 2,  # the block and the object around the expression
    "max_steps": MAX_STEPS,
    "max_array_length": MAX_ITEMS,
    "max_string_length": MAX_TEXT,
    "max_result_size": MAX_RESULT,
}

COMPARING: Final[dict[str, Any]] = {**LIMITS, "max_array_length": MAX_COMPARED}
"""The limits of an expression that compares all items with each other."""

LEAKED: Final = (ValueError, OverflowError, RecursionError)
"""What jlens raises beside its own error for values outside of JSON: lone surrogates, numbers beyond a double."""


def compile_program(text: str, names: frozenset[str]) -> JlensProgram:
    """Compile an expression that uses these variables and functions. Raises ExpressionSyntaxError."""
    try:
        return JlensProgram(jlens.Expression(text), names)
    except jlens.JlensError as mistake:
        raise ExpressionSyntaxError(str(mistake), min(mistake.start or 0, len(text))) from mistake
    except LEAKED as mistake:
        raise ExpressionSyntaxError(str(mistake)) from mistake


class JlensProgram:
    """A compiled expression, see `engine.query.jsonata.program.Program`."""

    __slots__ = ("_added", "_bound", "_by_document", "_free", "_limits", "_text", "context", "paths")

    def __init__(self, alone: jlens.Expression, names: frozenset[str]) -> None:
        self._text = text = alone.source
        self._added = names & ADDED
        self._limits = COMPARING if "distinct" in names else LIMITS
        for name in self._added:
            alone.register_function(name, lambda: None)  # an unknown function would seem to read the context
        reads = alone.reads()
        self.paths = frozenset(path for path in _paths(reads["bindings"]) if path[0] not in self._added)
        context = reads.get("input")
        self.context = None if context is True else frozenset() if context is None else frozenset({"", *context})
        self._free = frozenset(path[0] for path in self.paths)
        self._bound = self._compiled(f'{{"v": {text}}}')
        copies = "".join(f"${name} := `{name}`; " for name in sorted(self._free))
        # An object constructor needs some context too, but shows nothing of it.
        hidden = self.context is not None and self.context <= {""} and not self.context & names
        by_document = hidden and not any("`" in name for name in self._free)
        self._by_document = self._compiled(f'({copies}{{"v": {text}}})') if by_document else None

    def evaluate(self, values: Mapping[str, JSON], chance: Chance | None, now: str | None) -> JSON:
        """The value, see `Program`. Raises EvaluationError."""
        options = self._limits if now is None else {**self._limits, "now": now}
        functions: dict[str, Any] = {}
        if chance is not None:
            functions.update(drawing(chance))
            options = {**options, "seed": chance.getrandbits(63)}
        try:
            if self._by_document is not None and values.keys() <= self._free:
                found = self._by_document.evaluate(values, functions or None, **options)
            else:
                found = self._bound.evaluate(None, {**functions, **values}, **options)
            if "v" in found:
                return found["v"]
            raise EvaluationError(UNSUPPORTED if self._is_function(functions, values, options) else UNDEFINED)
        except jlens.JlensError as failure:
            raise EvaluationError.thrown(failure.code, str(failure)) from failure
        except (FunctionError, *LEAKED) as failure:
            raise EvaluationError.thrown(None, str(failure)) from failure

    def _compiled(self, text: str) -> jlens.Expression:
        compiled = jlens.Expression(text)
        self._register(compiled)
        return compiled

    def _register(self, compiled: jlens.Expression) -> None:
        for name in self._added & FUNCTIONS.keys():
            compiled.register_function(name, _host(FUNCTIONS[name].call), FUNCTIONS[name].signature)

    def _is_function(self, functions: Mapping[str, Any], values: Mapping[str, JSON], options: dict[str, Any]) -> bool:
        """Whether the value that cannot be handed out is a function; else it is undefined. Evaluates once more."""
        asked = self._compiled(f'{{"v": $__is_function({self._text})}}')
        asked.register_function("__is_function", lambda value: isinstance(value, jlens.Function))
        found: dict[str, bool] = asked.evaluate(None, {**functions, **values}, **options)
        return found["v"]


def _host(function: Implementation) -> Implementation:
    """jlens takes None from a function as undefined, and a number that is none as null."""

    def call(*arguments: Any) -> Any:
        found = function(*arguments)
        return float("nan") if found is NULL else found

    return call


def _paths(read: Mapping[str, Any] | bool, before: Path = ()) -> list[Path]:
    """`{"states": {"input": {"a": True}}}` as `[("states", "input", "a")]`."""
    if isinstance(read, bool) or (before and not read):
        return [before]
    return [path for name, below in read.items() for path in _paths(below, (*before, name))]
