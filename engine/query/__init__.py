"""Query languages behind one small protocol.

A language turns text into compiled expressions once, at load; a mistake in the text is a Problem then, never a failed
execution later. What runs afterwards are closures `evaluate(data, scope)`:

* `data` is what `$` means at that place (JSONPath: the effective input, the result, …); the expression languages
  JSONata and JMESPath ignore it and read `states.input` and the rest from the scope;
* `scope` is everything else an expression may see: see `Scope`.

Three outcomes: a value; `NoMatch` (a JSONPath found nothing; the caller words the cause, because AWS words it
differently by field); or `ExecutionFailure` with an ASL error name and a cause.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from engine.errors import ExpressionSyntaxError
from engine.values import JSON

Evaluate = Callable[[JSON, "Scope"], JSON]


class NoMatch(Exception):
    """A path selected nothing. The message is AWS's: `No results for path: $['a']`."""


class Scope(Protocol):
    """What an expression may see while a state runs, read-only; context and variables are made on first use."""

    @property
    def input(self) -> JSON:
        """The state's raw input (`states.input`)."""

    @property
    def result(self) -> JSON:
        """The result of the task, Parallel or Map; UNSET before there is one."""

    @property
    def error_output(self) -> JSON:
        """`{"Error", "Cause"}` inside a Catcher; UNSET elsewhere."""

    @property
    def context(self) -> JSON:
        """The context object (`$$`, `states.context`)."""

    @property
    def variables(self) -> Mapping[str, JSON]:
        """Variables in sight, by name without the dollar sign."""

    @property
    def now(self) -> str:
        """The moment of this decision, RFC 3339 in UTC."""

    def random(self) -> random.Random:
        """A generator seeded by the execution, the frame and the entry: a repeated decision draws the same numbers."""


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
"""Marks `result` and `error_output` where they do not exist, since null is a value."""


class Expression:
    """A compiled expression: its source, its closure, and what it reads (for the linter).

    `references` names what is read, as written: `$.a.b`, `$$.Execution.Id`, `$name` or `states.input.a`, `name`.
    """

    __slots__ = ("evaluate", "references", "source")

    def __init__(self, source: str, evaluate: Evaluate, references: frozenset[str] = frozenset()) -> None:
        self.source = source
        self.evaluate = evaluate
        self.references = references

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"


class SyntaxIssue:
    """A mistake inside a template: `pointer` leads from the template's root to the text with the `mistake`."""

    __slots__ = ("mistake", "pointer")

    def __init__(self, pointer: tuple[str | int, ...], mistake: ExpressionSyntaxError) -> None:
        self.pointer = pointer
        self.mistake = mistake


class QueryLanguage(Protocol):
    """One expression language. Implementations are modules `engine.query.<name in lower case>` with a `LANGUAGE`."""

    name: str
    """The value of the ASL field QueryLanguage."""

    exportable: bool
    """Whether AWS knows it; else the exporter translates or refuses."""

    def expression(self, text: str, field: str) -> Expression:
        """Compile one expression (`{% … %}` for the expression languages, a path or intrinsic for JSONPath).

        `field` is the ASL field, for error causes. Raises ExpressionSyntaxError.
        """

    def template(self, value: JSON, field: str) -> Expression:
        """Compile a payload template: JSONPath's `"name.$"` keys, or strings `{% … %}` at any depth.

        A template without any expression compiles to a constant. Raises TemplateSyntaxError with all its issues.
        """

    def is_expression(self, value: JSON) -> bool:
        """Whether a field's value is an expression of this language rather than a literal."""


class TemplateSyntaxError(Exception):
    """A template holds at least one mistake; `.issues` lists all of them."""

    def __init__(self, issues: list[SyntaxIssue]) -> None:
        super().__init__("; ".join(issue.mistake.message for issue in issues))
        self.issues = issues


LANGUAGES: Final = {
    "JSONPath": "engine.query.jsonpath",
    "JSONata": "engine.query.jsonata",
    "JMESPath": "engine.query.jmespath",
}
"""Where each language lives. They are imported when a definition first uses them."""


def language(name: str) -> QueryLanguage:
    """The language with that ASL name. Raises KeyError for an unknown one."""
    module = importlib.import_module(LANGUAGES[name])
    found: QueryLanguage = module.LANGUAGE
    return found
