"""Calls of intrinsic functions: `States.Format('{} km', $.distance)`, parsed and compiled.

An argument is a path, a text in single quotes (where a backslash may stand before a quote, a brace or a backslash, and
nowhere else), a number, true, false, null, or another call.
"""

from __future__ import annotations

import difflib
import json
import re
from functools import lru_cache
from typing import NamedTuple, NoReturn

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Evaluate, Expression, NoMatch, Scope
from engine.query.jsonpath.evaluator import path
from engine.query.jsonpath.intrinsics import INTRINSICS, Intrinsic, Refused
from engine.query.jsonpath.parser import IN_CALL, MAX_LENGTH, SPACES, Cursor
from engine.query.jsonpath.steps import as_json
from engine.values import JSON, type_name

MAX_CALLS = 10
"""Most functions in one field (AWS)."""

PREFIX = "States."
FUNCTION = re.compile(r"([A-Za-z_][\w.]*) *\(")
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d+)?(?:[eE][+-]?\d{1,2})?", re.ASCII)
WORDS = re.compile(r"(true|false|null)\b")
TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPABLE = "'{}\\"
TOKEN = re.compile(r"\\.|\{\}|[^\\{]+|\{", re.DOTALL)
KINDS: dict[str, tuple[type, ...]] = {
    "template": (tuple,),
    "array": (list,),
    "object": (dict,),
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
}


class Argument(NamedTuple):
    """One argument. `raw` is the text of a literal before its escapes are read, and None for everything else."""

    source: str
    evaluate: Evaluate
    references: frozenset[str] = frozenset()
    raw: str | None = None


@lru_cache(maxsize=4096)
def call(text: str) -> Expression:
    """Compile a call that is the whole text. Raises ExpressionSyntaxError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"An expression must not be longer than {MAX_LENGTH} characters", MAX_LENGTH)
    cursor = CallCursor(text)
    compiled = cursor.function()
    if text[cursor.position :].strip():
        cursor.fail(f"{text[cursor.position]!r} is not expected after the call")
    return Expression(text.rstrip(), compiled.evaluate, compiled.references)


class CallCursor(Cursor):
    """Reads one call and, through its arguments, the calls inside."""

    calls = 0

    def function(self) -> Argument:
        """A call from here to its closing parenthesis."""
        start = self.position
        found = self.take(FUNCTION)
        if found is None:
            self.fail("A call is written States.Name(argument, …)")
        self.calls += 1
        if self.calls > MAX_CALLS:
            self._refuse(start, f"A field must not call more than {MAX_CALLS} functions")
        intrinsic = INTRINSICS.get(found.group(1))
        if intrinsic is None:
            self._refuse(start, f"There is no function {found.group(1)}", _similar(found.group(1)))
        arguments = self._arguments()
        if len(arguments) < intrinsic.fewest or (intrinsic.most is not None and len(arguments) > intrinsic.most):
            self._refuse(start, f"{intrinsic.name} takes {_count(intrinsic)}, not {len(arguments)}")
        references = frozenset[str]().union(*(argument.references for argument in arguments))
        source = self.text[start : self.position]
        return Argument(source, _compile(intrinsic, source, arguments), references)

    def _refuse(self, position: int, message: str, hint: str | None = None) -> NoReturn:
        raise ExpressionSyntaxError(message, position, hint)

    def _arguments(self) -> list[Argument]:
        arguments: list[Argument] = []
        self.take(SPACES)
        if self._sign(")"):
            return arguments
        while True:
            self.take(SPACES)
            arguments.append(self._argument())
            self.take(SPACES)
            if self._sign(")"):
                return arguments
            if not self._sign(","):
                self.fail("A comma or a closing parenthesis is missing after the argument")

    def _sign(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.position)
        self.position += found
        return found

    def _argument(self) -> Argument:
        start = self.position
        if self.text.startswith("$", start):
            self.path(IN_CALL)
            compiled = path(self.text[start : self.position])
            return Argument(compiled.source, compiled.evaluate, compiled.references)
        if found := self.take(TEXT):
            return self._literal(found.group(1), start + 1)
        if found := self.take(NUMBER) or self.take(WORDS):
            return _constant(found.group(), json.loads(found.group()))
        if FUNCTION.match(self.text, start):
            return self.function()
        self.fail(
            "This is no argument",
            "an argument is a path, a text in single quotes, a number, true, false, null or a call",
        )

    def _literal(self, raw: str, start: int) -> Argument:
        for found in ESCAPE.finditer(raw):
            if found.group(1) not in ESCAPABLE:
                self._refuse(
                    start + found.start(), f"\\{found.group(1)} is no escape", "the escapes are \\' \\{ \\} and \\\\"
                )
        return _constant(f"'{raw}'", ESCAPE.sub(r"\1", raw), raw)


def _similar(name: str) -> str:
    names = {known.removeprefix(PREFIX).lower(): known for known in INTRINSICS}
    close = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), names, 1)
    return f"did you mean {names[close[0]]}?" if close else f"the functions are {', '.join(INTRINSICS)}"


def _count(intrinsic: Intrinsic) -> str:
    fewest, most = intrinsic.fewest, intrinsic.most
    if most is None:
        return f"at least {fewest} arguments"
    if fewest != most:
        return f"{fewest} to {most} arguments"
    return "no arguments" if most == 0 else f"{most} argument{'s' * (most > 1)}"


def _constant(source: str, value: JSON, raw: str | None = None) -> Argument:
    return Argument(source, lambda data, scope: value, raw=raw)


def _compile(intrinsic: Intrinsic, source: str, arguments: list[Argument]) -> Evaluate:
    readers = [_reader(intrinsic.kind(position), argument) for position, argument in enumerate(arguments)]
    kinds = [intrinsic.kind(position) for position in range(len(arguments))]
    run, random = intrinsic.run, intrinsic.random

    def evaluate(data: JSON, scope: Scope) -> JSON:
        values: list[JSON] = []
        try:
            for read in readers:
                values.append(read(data, scope))
            for position, (kind, value) in enumerate(zip(kinds, values, strict=True)):
                _check(kind, value, position)
            return run(scope.random(), *values) if random else run(*values)
        except NoMatch:
            missing = arguments[len(values)].source
            reason = (
                f"The JsonPath argument for the field '{missing}' could not be found in the input '{as_json(data)}'"
            )
            raise _failure("States.Runtime", source, reason) from None
        except Refused as refused:
            raise _failure("States.IntrinsicFailure", source, str(refused)) from None
        except RecursionError:
            raise _failure("States.IntrinsicFailure", source, "an argument is nested too deeply") from None

    return evaluate


def _failure(error: str, source: str, reason: str) -> ExecutionFailure:
    return ExecutionFailure(error, f"The function '{source}' had the following error: {reason}")


def _reader(kind: str, argument: Argument) -> Evaluate:
    """The template of States.Format is cut at its places: once, when it is a literal."""
    if kind != "template":
        return argument.evaluate
    if argument.raw is not None:
        fixed = _literal_template(argument.raw)
        return lambda data, scope: fixed

    def read(data: JSON, scope: Scope) -> JSON:
        found = argument.evaluate(data, scope)
        return tuple(found.split("{}")) if isinstance(found, str) else found

    return read


def _literal_template(raw: str) -> tuple[str, ...]:
    parts = [""]
    for token in TOKEN.findall(raw):
        if token == "{}":
            parts.append("")
        else:
            parts[-1] += token[1:] if token[0] == "\\" else token
    return tuple(parts)


def _check(kind: str, value: JSON, position: int) -> None:
    """Raises Refused when an argument is of another kind."""
    if kind == "any" or (isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))):
        return
    expected = "string" if kind == "template" else kind
    raise Refused(f"argument {position + 1} must be of type {expected}, but was of type {type_name(value)}")
