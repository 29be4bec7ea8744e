"""Functions, each declared in one place: signature, meaning, example and behaviour.

A signature is text, and the only source of arity and type checks, of error messages and of the reference page:

    minutes_between(start: time?, end: time?) -> number

* `a|b` allows several types; `array[number]` checks the elements; `*values: any` takes any number (also none);
  `digits: integer = 0` may be left out (the function has that default);
* `?` lets null in, and null then makes the result null without calling the function;
* `time`, `zone` and `point` hand the function a datetime, a ZoneInfo, a (latitude, longitude) pair;
* `expression` takes `&expr` and hands the function a closure over one item; `lazy` hands it one without arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from engine.query.jmespath.arguments import NotOne, point, time, zone
from engine.query.jmespath.evaluation import EvaluationError, Run, is_number
from engine.values import JSON, type_name

Node = Callable[[JSON, Run], JSON]
"""A compiled part of an expression: what it gives for a current value."""


class Callback(NamedTuple):
    """An `&expr` argument: the compiled expression and how many steps one call of it costs at least."""

    node: Node
    weight: int

    def bind(self, run: Run, items: int) -> Callable[[JSON], JSON]:
        """A function of one item; all calls are charged in advance."""
        run.charge(items * self.weight)
        return lambda item: self.node(item, run)


class Parameter(NamedTuple):
    """One parameter of a signature."""

    name: str
    types: tuple[str, ...]
    nullable: bool
    variadic: bool
    default: str | None

    @property
    def expects(self) -> str:
        """The types in words, for error messages."""
        return " or ".join(WORDS.get(name, name) for name in self.types)

    def accept(self, value: JSON, run: Run) -> Any:
        """The argument as the function wants it. Raises NotOne with the reason, empty for a plain wrong type."""
        for name in self.types:
            if TYPES[name](value):
                return value
            if name.startswith("array[") and isinstance(value, list):
                run.charge(len(value))
                if all(map(TYPES[name[6:-1]], value)):
                    return value
        if self.types[0] in CONVERTERS:
            return CONVERTERS[self.types[0]](value)
        holds_others = isinstance(value, list) and any(name.startswith("array[") for name in self.types)
        raise NotOne("with other elements" if holds_others else "")


class Function(NamedTuple):
    """A registered function. `example` is (expression, data, result)."""

    name: str
    signature: str
    parameters: tuple[Parameter, ...]
    call: Callable[..., JSON]
    summary: str
    example: tuple[str, JSON, JSON]
    multiplies: bool

    @property
    def least(self) -> int:
        """How many arguments must be given."""
        return sum(not parameter.variadic and parameter.default is None for parameter in self.parameters)

    @property
    def most(self) -> float:
        """How many may be given."""
        variadic = any(parameter.variadic for parameter in self.parameters)
        return float("inf") if variadic else len(self.parameters)

    def parameter(self, position: int) -> Parameter:
        """The parameter that takes the argument at that position; a variadic one takes all the rest."""
        return self.parameters[min(position, len(self.parameters) - 1)]

    def invoke(self, arguments: list[Any], run: Run) -> JSON:
        """Check the arguments and call. Raises EvaluationError naming function and argument."""
        ready, missing = [], False
        for position, value in enumerate(arguments):
            parameter = self.parameter(position)
            if value is None and parameter.nullable:
                missing = True
                continue
            try:
                ready.append(parameter.accept(value, run))
            except NotOne as reason:
                found = f"{type_name(value)} {reason}".rstrip()
                raise EvaluationError(
                    f"{self.name}(): the argument '{parameter.name}' must be of type {parameter.expects}, not {found}."
                ) from None
        return None if missing else self.call(run, *ready)


WORDS = {
    "array[number]": "array of numbers",
    "array[string]": "array of strings",
    "time": "time (RFC 3339)",
    "zone": "time zone (IANA name)",
    "point": "point {lat, lon}",
}

TYPES: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "boolean": lambda value: isinstance(value, bool),
    "number": is_number,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "expression": lambda value: True,
    "lazy": lambda value: True,
}
"""Types that need no conversion. Whether an argument is an `&expr` is settled when the expression is compiled."""
TYPES |= dict.fromkeys(("array[number]", "array[string]", "time", "zone", "point"), lambda value: False)

CONVERTERS: dict[str, Callable[[JSON], Any]] = {"time": time, "zone": zone, "point": point}

_SIGNATURE = re.compile(r"(\w+)\((.*)\) -> \S+")
_PARAMETER = re.compile(r"(\*?)(\w+): ([a-z|\[\]]+)(\?)?(?: = (\S+))?")


def _parameters(text: str) -> tuple[Parameter, ...]:
    found = []
    for part in filter(None, text.split(", ")):
        match = _PARAMETER.fullmatch(part)
        if match is None:
            raise ValueError(f"not a parameter: {part}")
        types = tuple(match[3].split("|"))
        if not TYPES.keys() >= {*types}:
            raise ValueError(f"unknown type in: {part}")
        found.append(Parameter(match[2], types, bool(match[4]), bool(match[1]), match[5]))
    return tuple(found)


def register(
    table: dict[str, Function],
    signature: str,
    example: tuple[str, JSON, JSON],
    multiplies: bool = False,
) -> Callable[[Callable[..., JSON]], Callable[..., JSON]]:
    """Declare a function in `table`; its docstring is its documentation.

    `multiplies` marks a function that repeats an argument more often than it was given, so that results are measured.
    Raises ValueError when the declaration is wrong.
    """
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(f"not a signature: {signature}")
    name, parameters = match[1], _parameters(match[2])
    if name in table:
        raise ValueError(f"declared twice: {name}")

    def declare(call: Callable[..., JSON]) -> Callable[..., JSON]:
        summary = " ".join((call.__doc__ or "").split())
        table[name] = Function(name, signature, parameters, call, summary, example, multiplies)
        return call

    return declare
