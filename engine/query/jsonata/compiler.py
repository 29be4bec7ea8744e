"""Text to a closure over the scope: what AWS refuses, what needs no library, and the rest.

A plain path (`$states.input.order.id`, `$limit`) is read straight from the scope as long as it meets objects that have
the field; there JSONata and a dictionary mean the same. At the first array, missing field or other value the library is
asked. An expression without variables, functions and ranges is evaluated once, here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from engine.errors import ExpressionSyntaxError
from engine.query import UNSET, Scope
from engine.query.jsonata.functions import CLOCKED, DRAWING
from engine.query.jsonata.program import CompileProgram, EvaluationError, Path, Program
from engine.query.jsonata.tokens import NAME, OPERATOR, VARIABLE, Token, scan
from engine.values import JSON

MAX_LENGTH: Final = 16_384
"""Longest expression, in characters."""

Read = Callable[[Scope], JSON]

MEMBERS: Final[dict[str, Read]] = {
    "input": lambda scope: scope.input,
    "context": lambda scope: scope.context,
    "result": lambda scope: scope.result,
    "errorOutput": lambda scope: scope.error_output,
}
"""What `$states` holds, in AWS's order; UNSET where it does not exist."""

_PLAIN: Final = re.compile(r"\$([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)", re.ASCII)
_NO_STEPS: Final = frozenset({"true", "false", "null", "function", "and", "or", "in"})

_YOUNGER: Final = {
    "??": ("?", "write $exists(a) ? a : b"),
    "?:": (":", "write a ? a : b"),
}
"""Operators of JSONata 2.1, each with the symbol that 2.0.6 stumbles over."""


class Compiled(NamedTuple):
    """A compiled expression: its value in a scope (raises EvaluationError), and the paths that it reads."""

    evaluate: Read
    paths: frozenset[Path]


def compile_text(text: str, compile_program: CompileProgram) -> Compiled:
    """Compile an expression without its delimiters. Raises ExpressionSyntaxError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"the expression is longer than {MAX_LENGTH:,} characters", MAX_LENGTH)
    tokens = list(scan(text))
    names = frozenset(token.text for token in tokens if token.kind == VARIABLE and token.text != "$")
    program = compile_program(text, names)
    _refuse_unsupported(tokens, program.context)
    if not names and not any(token.text == ".." for token in tokens):
        return Compiled(_constant(program), frozenset())
    return Compiled(_plain(text, _by_library(program, names)), program.paths)


def _refuse_unsupported(tokens: Iterable[Token], context: frozenset[str] | None) -> None:
    """What AWS takes for a mistake when a definition is made. `context` is what the expression reads of the context."""
    found = []
    for token in tokens:
        word, start = token.text, token.start
        if token.kind == OPERATOR and word in _YOUNGER:
            symbol, hint = _YOUNGER[word]
            said = f'The symbol "{symbol}" cannot be used as a unary operator'
            raise ExpressionSyntaxError(said, start + 1, f"JSONata 2.0.6 has no operator {word}: {hint}")
        if token.kind == VARIABLE and word == "$":
            found.append(("Reference to '$$' is not supported.", start, "the input is $states.input"))
        elif token.kind == VARIABLE and word == "eval":
            found.append(("The function $eval is not supported.", start, "$parse reads JSON text"))
        elif _names_context(token, context):
            shown = word if token.kind == NAME else "$"
            said = f"Reference to '{shown}' at the top level is not supported."
            found.append((said, start, "the input is $states.input, a variable is $name"))
    if found:
        first, *others = (ExpressionSyntaxError(*mistake, supported=False) for mistake in found)
        first.others = tuple(others)
        raise first


def _names_context(token: Token, context: frozenset[str] | None) -> bool:
    """Whether the token reads the context of the whole expression, which is undefined."""
    if not token.top or token.step:
        return False
    named = token.kind == NAME or (token.kind == VARIABLE and token.text == "")
    return named and (context is None or token.text in context)


def _constant(program: Program) -> Read:
    """The value of an expression that reads nothing; where it has none, each evaluation says so."""
    try:
        value = program.evaluate({}, None, None)
    except EvaluationError:
        return lambda scope: program.evaluate({}, None, None)
    return lambda scope: value


def _by_library(program: Program, names: frozenset[str]) -> Read:
    """Gather what the expression reads, and nothing else, and have the library evaluate it."""
    below = {path[1:2] for path in program.paths if path[0] == "states"}
    whole = () in below
    members = [(name, read) for name, read in MEMBERS.items() if whole or (name,) in below]
    variables = names - {"states", ""}
    draws, clocked = bool(names & DRAWING), bool(names & CLOCKED)

    def evaluate(scope: Scope) -> JSON:
        values: dict[str, JSON] = {}
        if below:
            found = [(name, read(scope)) for name, read in members]
            values["states"] = {name: value for name, value in found if value is not UNSET}
        if variables:
            known = scope.variables
            values.update((name, known[name]) for name in variables if name in known)
        return program.evaluate(values, scope.random() if draws else None, scope.now if clocked else None)

    return evaluate


def _plain(text: str, otherwise: Read) -> Read:
    """The short way for a plain path, `otherwise` for every other expression and whenever the path is not plain."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return otherwise
    name, *steps = match[0].removeprefix("$").split(".")
    if not _NO_STEPS.isdisjoint(steps):
        return otherwise
    start = _variable(name)
    if name == "states":
        if not steps or steps[0] not in MEMBERS:
            return otherwise
        start = MEMBERS[steps.pop(0)]

    def evaluate(scope: Scope) -> JSON:
        value = start(scope)
        for step in steps:
            if not isinstance(value, dict) or step not in value:
                return otherwise(scope)
            value = value[step]
        return otherwise(scope) if value is UNSET else value

    return evaluate


def _variable(name: str) -> Read:
    return lambda scope: scope.variables.get(name, UNSET)
