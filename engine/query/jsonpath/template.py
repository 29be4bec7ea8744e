"""Payload templates: literals, except that a key that ends in `.$` takes its value from a path or a function.

    {"ride": {"id.$": "$.id", "kind": "taxi"}, "stamp.$": "States.UUID()"}

What does not change is built once and shared. Keys come out as on AWS: first those written without `.$`, in their
order, then the others in the order of a Java hash map.

Source: States Language specification, "Payload Template".
"""

from __future__ import annotations

from typing import NamedTuple

from engine.errors import ExecutionFailure, ExpressionSyntaxError
from engine.query import Evaluate, Expression, NoMatch, Scope, SyntaxIssue, TemplateSyntaxError
from engine.query.jsonpath.calls import PREFIX, call
from engine.query.jsonpath.evaluator import path
from engine.query.jsonpath.fields import not_in_input
from engine.query.jsonpath.java import hash_order
from engine.values import JSON, MAX_DEPTH

SUFFIX = ".$"

Pointer = tuple[str | int, ...]


class Part(NamedTuple):
    """A compiled piece of a template: constant when `evaluate` is None, and then `value` is it."""

    value: JSON
    evaluate: Evaluate | None = None


def template(value: JSON, field: str) -> Expression:
    """Compile a payload template. Raises TemplateSyntaxError with all its mistakes."""
    compiler = _Compiler()
    part = compiler.part(value, ())
    if compiler.issues:
        raise TemplateSyntaxError(compiler.issues)
    return Expression(field, part.evaluate or _always(part.value), frozenset(compiler.references))


class _Compiler:
    def __init__(self) -> None:
        self.issues: list[SyntaxIssue] = []
        self.references: set[str] = set()

    def part(self, value: JSON, pointer: Pointer) -> Part:
        if not isinstance(value, dict | list):
            return Part(value)
        if len(pointer) > MAX_DEPTH:
            self._wrong(pointer, ExpressionSyntaxError(f"A template must not be nested deeper than {MAX_DEPTH} levels"))
            return Part(None)
        if isinstance(value, list):
            return _list([self.part(item, (*pointer, index)) for index, item in enumerate(value)], value)
        return self._object(value, pointer)

    def _object(self, value: dict[str, JSON], pointer: Pointer) -> Part:
        fixed: dict[str, JSON] = {}
        moving: dict[str, Evaluate] = {}
        computed: dict[str, Evaluate] = {}
        for key, item in value.items():
            if key.endswith(SUFFIX):
                name = key.removesuffix(SUFFIX)
                if name in value:
                    self._wrong((*pointer, key), ExpressionSyntaxError(f"'{name}' and '{key}' are the same field"))
                computed[name] = self._computed(key, item, (*pointer, key))
                continue
            part = self.part(item, (*pointer, key))
            fixed[key] = part.value
            if part.evaluate is not None:
                moving[key] = part.evaluate
        for name in hash_order(computed):
            fixed[name] = None
            moving[name] = computed[name]
        return _object(fixed, moving, value)

    def _computed(self, key: str, text: JSON, pointer: Pointer) -> Evaluate:
        """The value of a `.$` key. Mistakes are reported in AWS's words, with ours as the hint."""
        wrong = ExpressionSyntaxError("the value must be a text")
        try:
            if isinstance(text, str):
                return self._call(text) if text.startswith(PREFIX) else self._path(key, text)
        except ExpressionSyntaxError as mistake:
            wrong = mistake
        message = f"The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call"
        hint = f"{wrong.message} ({wrong.hint})" if wrong.hint else wrong.message
        self._wrong(pointer, ExpressionSyntaxError(message, wrong.offset, hint))
        return _always(None)

    def _wrong(self, pointer: Pointer, mistake: ExpressionSyntaxError) -> None:
        self.issues.append(SyntaxIssue(pointer, mistake))

    def _call(self, text: str) -> Evaluate:
        compiled = call(text)
        self.references |= compiled.references
        return compiled.evaluate

    def _path(self, key: str, text: str) -> Evaluate:
        compiled = path(text)
        self.references |= compiled.references
        read = compiled.evaluate

        def evaluate(data: JSON, scope: Scope) -> JSON:
            try:
                return read(data, scope)
            except NoMatch:
                raise ExecutionFailure("States.Runtime", not_in_input(compiled.source, key, data)) from None

        return evaluate


def _always(value: JSON) -> Evaluate:
    return lambda data, scope: value


def _list(parts: list[Part], value: JSON) -> Part:
    if all(part.evaluate is None for part in parts):
        return Part(value)
    builders = [part.evaluate or _always(part.value) for part in parts]
    return Part(None, lambda data, scope: [build(data, scope) for build in builders])


def _object(fixed: dict[str, JSON], moving: dict[str, Evaluate], value: JSON) -> Part:
    if not moving:
        return Part(value)
    builders = tuple(moving.items())

    def evaluate(data: JSON, scope: Scope) -> JSON:
        result = fixed.copy()
        for name, build in builders:
            result[name] = build(data, scope)
        return result

    return Part(None, evaluate)
