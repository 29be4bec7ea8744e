"""Reading one object of a definition field by field: what state types see of it. Implements `engine.machine.Fields`.

Each getter notes that its field is known, turns a wrong value into a Problem at its place, and then answers as if the
field were absent; `done` reports what nobody asked for. So a definition's mistakes are all found in one go.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from engine.definition.document import Pointer
from engine.definition.languages import foreign, instead
from engine.definition.reading import Scope, Use
from engine.definition.wording import describe, shorten
from engine.errors import ExpressionSyntaxError
from engine.machine import Fields, StateMachine
from engine.query import Expression, QueryLanguage, TemplateSyntaxError
from engine.query.jsonpath import reference_path
from engine.values import JSON

VARIABLE: Final = re.compile(r"[^\W\d]\w*")
MAX_VARIABLE: Final = 80
"""Longest name of a variable (AWS)."""

ABSENT: Final[Any] = object()


class ObjectFields:
    """One object of the definition. `supported` names the fields its state type has in any language, if known."""

    __slots__ = ("_scope", "_value", "known", "language", "pointer", "supported")

    def __init__(
        self,
        value: dict[str, JSON],
        pointer: Pointer,
        language: QueryLanguage,
        scope: Scope,
        supported: Collection[str] | None = None,
    ) -> None:
        self._value = value
        self._scope = scope
        self.pointer = pointer
        self.language = language
        self.supported = supported
        self.known: set[str] = set()

    @property
    def by_path(self) -> bool:
        """Whether the query language here is JSONPath."""
        return self.language.name == "JSONPath"

    def place(self, name: str) -> str:
        """The field as messages name it: in the expression languages from the state on, as `Choices[0]/Condition`."""
        if self.by_path:
            return name
        steps = (*self.pointer[self._scope.depth :], name)
        return "".join(f"[{step}]" if isinstance(step, int) else f"/{step}" for step in steps).removeprefix("/")

    # -- presence --------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether the field is present, whatever its value."""
        self.known.add(name)
        return name in self._value

    def raw(self, name: str) -> JSON:
        """The field's value as written (None when absent)."""
        self.known.add(name)
        return self._value.get(name)

    literal = raw

    def _get(self, name: str, required: bool = False) -> JSON:
        """The field's value, or ABSENT, with a problem where it is required."""
        self.known.add(name)
        value = self._value.get(name, ABSENT)
        if value is ABSENT and required:
            self.problem("missing-field", f"The field {name} is missing", hint=f"add {name}")
        return value

    # -- plain values ----------------------------------------------------------------------------------------------

    def text(self, name: str, *, required: bool = False, nonempty: bool = False) -> str | None:
        """A string."""
        value = self._get(name, required)
        if isinstance(value, str):
            if value or not nonempty:
                return value
            self.problem("empty-value", f"{name} must not be empty", name)
        elif value is not ABSENT:
            self._wrong_type(name, value, "a text")
        return None

    def integer(self, name: str, *, minimum: int = 0, maximum: int = 99_999_999) -> int | None:
        """A whole number within bounds."""
        value = self._get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value if self._bounded(name, value, minimum, maximum) else None
        if value is not ABSENT:
            self._wrong_type(name, value, "a whole number")
        return None

    def number(self, name: str, *, minimum: float = 0, maximum: float = math.inf) -> float | None:
        """A number within bounds."""
        value = self._get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self._bounded(name, value, minimum, maximum) else None
        if value is not ABSENT:
            self._wrong_type(name, value, "a number")
        return None

    def boolean(self, name: str) -> bool | None:
        """true or false."""
        value = self._get(name)
        if isinstance(value, bool):
            return value
        if value is not ABSENT:
            self._wrong_type(name, value, "true or false")
        return None

    def one_of(self, name: str, values: Sequence[str]) -> str | None:
        """One of the given words."""
        value = self.text(name)
        if value is None or value in values:
            return value
        hint = self._scope.reading.similar(value, values) or f"write one of: {', '.join(values)}"
        self.problem("unknown-value", f"{name} cannot be {shorten(value)}", name, hint=hint)
        return None

    def texts(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """A non-empty list of strings."""
        value = self._get(name, required)
        if not isinstance(value, list):
            if value is not ABSENT:
                self._wrong_type(name, value, "a list of texts")
            return ()
        if not value:
            self.problem("empty-value", f"{name} must not be empty", name)
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self._wrong_type(name, item, "a text", index)
        return tuple(item for item in value if isinstance(item, str))

    # -- expressions -----------------------------------------------------------------------------------------------

    def path(self, name: str, *, nullable: bool = False) -> Expression | None:
        """JSONPath only: a path, or an intrinsic where AWS takes one. null (if nullable) gives the constant `{}`."""
        value = self._get(name)
        if value is ABSENT or not self._spoken(name, by_path=True):
            return None
        if value is None and nullable:
            return Expression("null", lambda data, scope: {})
        if not isinstance(value, str):
            self._wrong_type(name, value, "a path")
            return None
        return self._compile(name, value)

    def reference_path(self, name: str) -> Any:
        """JSONPath only: a reference path (`.put(document, value)`), or None when absent or null (see `has`)."""
        value = self._get(name)
        if value is ABSENT or not self._spoken(name, by_path=True) or value is None:
            return None
        if not isinstance(value, str):
            self._wrong_type(name, value, "a reference path or null")
            return None
        try:
            return reference_path(value)
        except ExpressionSyntaxError as wrong:
            self._syntax(wrong, (name,))
            return None

    def template(self, name: str, *, languages: str = "all") -> Expression | None:
        """A payload template. `languages`: "all", "path" (JSONPath only) or "expression" (the others only)."""
        value = self._get(name)
        if value is ABSENT or (languages != "all" and not self._spoken(name, by_path=languages == "path")):
            return None
        if name == "Assign":
            self._assign(value)
        try:
            compiled = self.language.template(value, self.place(name))
        except TemplateSyntaxError as wrong:
            for issue in wrong.issues:
                self._syntax(issue.mistake, (name, *issue.pointer))
            return None
        return self._used(name, compiled)

    def expression(self, name: str, *, required: bool = False) -> Expression | None:
        """Expression languages only: a string `{% … %}`."""
        value = self._get(name, required)
        if value is ABSENT or not self._spoken(name, by_path=False):
            return None
        if isinstance(value, str) and self.language.is_expression(value):
            return self._compile(name, value)
        self._wrong_type(name, value, "an expression", hint="write '{% … %}'")
        return None

    def integer_or_expression(
        self, name: str, *, minimum: int = 0, maximum: int = 99_999_999
    ) -> int | Expression | None:
        """A whole number; in the expression languages also `{% … %}`."""
        value = self._value.get(name)
        if not self.by_path and isinstance(value, str):
            return self.expression(name)
        return self.integer(name, minimum=minimum, maximum=maximum)

    def text_or_expression(self, name: str) -> str | Expression | None:
        """A string; in the expression languages also `{% … %}`."""
        value = self._value.get(name)
        if not self.by_path and isinstance(value, str) and self.language.is_expression(value):
            return self.expression(name)
        return self.text(name)

    def _compile(self, name: str, text: str) -> Expression | None:
        try:
            return self._used(name, self.language.expression(text, self.place(name)))
        except ExpressionSyntaxError as wrong:
            self._syntax(wrong, (name,))
            return None

    def _used(self, name: str, compiled: Expression) -> Expression:
        self._scope.reading.uses.append(Use(compiled, (*self.pointer, name), self._scope, self.language.name))
        return compiled

    def _syntax(self, wrong: ExpressionSyntaxError, path: Pointer) -> None:
        code = "bad-path" if self.by_path else "bad-expression" if wrong.supported else "unsupported-expression"
        self._scope.reading.problem(
            code, wrong.message, (*self.pointer, *path), hint=wrong.hint, offset=max(wrong.offset, 0)
        )
        for other in wrong.others:
            self._syntax(other, path)

    def _assign(self, value: JSON) -> None:
        """Note the variables that an Assign sets."""
        if not isinstance(value, dict):
            self._wrong_type("Assign", value, "an object")
            return
        for key in value:
            name = key.removesuffix(".$") if self.by_path else key
            self._scope.assigned.add(name)
            self._scope.reading.assignments.append((self._scope, name, (*self.pointer, "Assign", key)))
            if name == "states" or not 0 < len(name) <= MAX_VARIABLE:
                hint = "'states' is taken" if name == "states" else f"a name has 1 to {MAX_VARIABLE} characters"
                self.problem("bad-variable", f"No variable can be called {shorten(name)}", "Assign", key, hint=hint)
            elif not VARIABLE.fullmatch(name):
                said = f"The variable {shorten(name)} cannot be read by that name in every query language"
                hint = "begin with a letter, go on with letters, digits and _"
                self.problem("bad-variable", said, "Assign", key, hint=hint, severity="warning")

    # -- objects ---------------------------------------------------------------------------------------------------

    def object(self, name: str, *, required: bool = False) -> Fields | None:
        """A nested object."""
        value = self._get(name, required)
        if isinstance(value, dict):
            return self._inner(value, name)
        if value is not ABSENT:
            self._wrong_type(name, value, "an object")
        return None

    def objects(self, name: str, *, required: bool = False) -> list[Fields]:
        """A list of nested objects, not empty where it is required."""
        return [self._inner(item, name, index) for index, item in self._list(name, required)]

    def _list(self, name: str, required: bool) -> list[tuple[int, dict[str, JSON]]]:
        """The objects of a list, with their indexes; the rest becomes problems."""
        value = self._get(name, required)
        if not isinstance(value, list):
            if value is not ABSENT:
                self._wrong_type(name, value, "a list of objects")
            return []
        if required and not value:
            self.problem("empty-value", f"{name} must not be empty", name)
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                self._wrong_type(name, item, "an object", index)
        return [(index, item) for index, item in enumerate(value) if isinstance(item, dict)]

    def _inner(self, value: dict[str, JSON], *path: str | int) -> ObjectFields:
        return ObjectFields(value, (*self.pointer, *path), self.language, self._scope)

    def machine(self, name: str, *, required: bool = False) -> StateMachine | None:
        """A nested state machine, or None with a Problem."""
        value = self._get(name, required)
        return None if value is ABSENT else self._scope.read(value, (*self.pointer, name), self._scope)

    def machines(self, name: str) -> list[StateMachine]:
        """A required, non-empty list of nested state machines."""
        found = []
        for index, item in self._list(name, True):
            found.append(self._scope.read(item, (*self.pointer, name, index), self._scope))
        return [machine for machine in found if machine is not None]

    def state_name(self, name: str, *, required: bool = False) -> str | None:
        """The name of a state of the same machine; unknown names become Problems with a did-you-mean."""
        value = self.text(name, required=required)
        if value is None:
            return None
        scope = self._scope
        pointer = (*self.pointer, name)
        scope.targets.setdefault(scope.state, []).append((value, pointer))
        if value in scope.names:
            return value
        scope.unknown(value, pointer)
        return None

    # -- problems --------------------------------------------------------------------------------------------------

    def problem(
        self, code: str, message: str, *path: str | int, hint: str | None = None, severity: str = "error"
    ) -> None:
        """Report a mistake at this object, or at `path` below it."""
        self._scope.reading.problem(code, message, (*self.pointer, *path), hint=hint, severity=severity)

    def done(self) -> None:
        """Report every field that no getter asked for."""
        if self._value.keys() <= self.known:
            return
        for name in self._value:
            if name in self.known:
                continue
            if foreign(name, self.by_path, self.known, self.supported):
                self._spoken(name, by_path=not self.by_path)
                continue
            hint = self._scope.reading.similar(name, self.known)
            self.problem("unknown-field", f"There is no field {shorten(name)} here", name, hint=hint)

    def _spoken(self, name: str, *, by_path: bool) -> bool:
        """Whether this object's language is of the given kind; else the field is reported."""
        if self.by_path == by_path:
            return True
        kind = "JSONPath" if by_path else "the expression languages"
        said = f"{name} is a field of {kind}; the query language here is {self.language.name}"
        self.problem("wrong-language", said, name, hint=instead(name, by_path, self.language.name, self.supported))
        return False

    def _wrong_type(self, name: str, value: JSON, wanted: str, *path: int, hint: str | None = None) -> None:
        which = "".join(f"[{index}]" for index in path)
        self.problem("wrong-type", f"{name}{which} must be {wanted}, not {describe(value)}", name, *path, hint=hint)

    def _bounded(self, name: str, value: float, minimum: float, maximum: float) -> bool:
        if minimum <= value <= maximum:
            return True
        limit = f"at least {minimum}" if value < minimum else f"at most {maximum}"
        self.problem("out-of-range", f"{name} must be {limit}, not {shorten(str(value))}", name)
        return False
