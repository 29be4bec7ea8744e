"""What the room asks of a JSONata library: to compile a Program that keeps the limits and fails in AWS's words."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from engine.values import JSON

TIMEOUT: Final = 1.0
"""Seconds for one evaluation: the last fuse, for what the other limits do not count (regular expressions)."""
MAX_STEPS: Final = 5_000_000
MAX_DEPTH: Final = 100
"""Deepest nesting of an evaluation, where AWS ends it too (measured: 99 to 101 for sums, brackets and recursion)."""
MAX_ITEMS: Final = 131_072
"""Longest array that an expression may make: no longer one fits into an output. One that it only reads may be longer.
AWS takes 873,782 items (measured); with as many, an expression that makes array after array took ten seconds and a
gigabyte here before the clock was looked at."""
MAX_COMPARED: Final = 20_000
"""The same for an expression that names `$distinct`, which compares each with each, and which nothing interrupts."""
MAX_TEXT: Final = 4_194_304
"""Longest string in bytes that an expression may make."""
MAX_RESULT: Final = 4_194_304
"""Largest result in bytes of JSON text. The engine's own limit on payloads is lower, and names its own error."""

UNDEFINED: Final = "returned nothing (undefined)."
THREW: Final = "threw an error during evaluation"
UNSUPPORTED: Final = "returned an unsupported result type."

TOO_LONG: Final = "Expression evaluation timeout: Check for infinite loop"
TOO_MUCH: Final = "Expression evaluation memory limit exceeded: Check for excessive memory usage"
TOO_DEEP: Final = (
    "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive."
)
BOUNDS: Final = {"D1011": TOO_DEEP, "D1012": TOO_LONG, "U1006": TOO_LONG}
"""The libraries' codes for a bound that was met, and what AWS says then."""
SIZE: Final = "size limit"
"""In the message for anything that would become too large; its code has other uses too."""

Path = tuple[str, ...]

LIBRARIES: Final = {
    "jlens": ("engine.query.jsonata.with_jlens", "pip install 'booking-orchestrator[jsonata]'"),
    "jsonata2py": ("engine.query.jsonata.with_jsonata2py", "pip install jsonata2py"),
}
"""The libraries that can be used: the module of the adapter, and how to install the library."""


class EvaluationError(Exception):
    """An expression gives no value; the message ends AWS's sentence `The JSONata expression '…' …`."""

    @classmethod
    def thrown(cls, code: str | None, message: str) -> EvaluationError:
        """An error of the language, as AWS words it: `T1006: Attempted to invoke a non-function`.

        A bound of the evaluation has no code on AWS, and follows after a colon.
        """
        if code is None:
            return cls(f"{THREW}: {message}")
        bound = TOO_MUCH if SIZE in message else BOUNDS.get(code)
        return cls(f"{THREW}. {code}: {message}" if bound is None else f"{THREW}: {bound}")


class FunctionError(Exception):
    """One of AWS's functions was called with a value that it does not take."""


class Chance(Protocol):
    """A generator of random numbers, as `random.Random`."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...


class Program(Protocol):
    """A compiled expression. It may be shared between threads.

    `paths` says what is read of the variables, as far as the library tells: `("states", "input", "id")`, `("limit",)`;
    a shorter path says that everything below is read. `context` holds the names read from the context of the whole
    expression, which in a flow is undefined, and "" when the context matters at all; None when it may be all of it.
    """

    paths: frozenset[Path]
    context: frozenset[str] | None

    def evaluate(self, values: Mapping[str, JSON], chance: Chance | None, now: str | None) -> JSON:
        """The value, with `values` as variables. Raises EvaluationError.

        `chance` and `now` (RFC 3339) may be None for an expression that names no function which draws or reads a clock.
        """


CompileProgram = Callable[[str, frozenset[str]], Program]
"""Compiles a text; the names are those of all its variables and functions, "" for `$`. Raises ExpressionSyntaxError."""


def load(library: str) -> CompileProgram:
    """The adapter of a library. Raises ImportError, with the remedy, when it is not installed."""
    module, remedy = LIBRARIES[library]
    try:
        found: CompileProgram = importlib.import_module(module).compile_program
    except ImportError as missing:
        raise ImportError(f"JSONata needs the package {library}: {remedy}", name=library) from missing
    return found
