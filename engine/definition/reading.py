"""What is shared while one definition is read: the problems found, the names known, the expressions compiled."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import cached_property
from typing import Final

from engine.definition.document import MAX_PROBLEMS, Document, Pointer
from engine.definition.problems import CODES
from engine.definition.wording import shorten
from engine.errors import Problem
from engine.machine import StateMachine
from engine.query import Expression
from engine.values import JSON

MAX_COMPARED: Final = 20_000
"""Names that are compared for did-you-mean hints while one definition is read: the comparison is slow."""

ReadMachine = Callable[[JSON, Pointer, "Scope"], "StateMachine | None"]


class Use:
    """One compiled expression: where it stands, in which field of which type of state, and in which language."""

    __slots__ = ("expression", "field", "language", "pointer", "scope", "state_type")

    def __init__(self, expression: Expression, pointer: Pointer, scope: Scope, language: str) -> None:
        self.expression = expression
        self.pointer = pointer
        self.scope = scope
        self.language = language
        self.state_type = scope.state_type
        self.field = str(pointer[scope.depth])


class Reading:
    """One definition being read. `steps` maps each known step to its error names, None = the steps are not known."""

    def __init__(self, document: Document, steps: Mapping[str, Iterable[str]] | None, kind: str) -> None:
        self.document = document
        self.steps = steps
        self.express = kind == "EXPRESS"
        self.problems: list[Problem] = list(document.warnings)
        self.omitted = 0
        self.names: dict[str, Pointer] = {}
        self.labels: set[str] = set()
        self.uses: list[Use] = []
        self.assignments: list[tuple[Scope, str, Pointer]] = []
        self.unsupported: set[str] = set()
        self._compared = 0

    @property
    def full(self) -> bool:
        """Whether there are so many problems that further ones are only counted."""
        return len(self.problems) >= MAX_PROBLEMS

    def problem(
        self,
        code: str,
        message: str,
        pointer: Pointer,
        *,
        hint: str | None = None,
        severity: str = "error",
        offset: int = 0,
    ) -> None:
        """Note a problem at a node, or at its key where the code says so."""
        if self.full:
            self.omitted += 1
            return
        key = code in CODES and CODES[code].at_key
        found = self.document.problem(code, message, pointer, hint=hint, severity=severity, key=key, offset=offset)
        self.problems.append(found)

    def similar(self, name: str, names: Collection[str]) -> str | None:
        """`did you mean …?` for the name closest to `name`, None when there is none."""
        self._compared += len(names)
        if self._compared > MAX_COMPARED or len(name) > 200:
            return None
        by_case = {known.casefold(): known for known in names}
        close = difflib.get_close_matches(name.casefold(), by_case, n=1)
        return f"did you mean {by_case[close[0]]!r}?" if close else None

    def in_order(self) -> list[Problem]:
        """All problems in the order of the text; those of a document without text in the order of reading."""
        found = sorted(self.problems, key=lambda problem: (problem.line or 0, problem.column or 0))
        if self.omitted:
            said = f"There are {self.omitted} more problems"
            found.append(self.document.problem("too-many-problems", said))
        return found

    @cached_property
    def every_name(self) -> set[str]:
        """The names of all states in the definition, found without reading it."""
        found: set[str] = set()
        stack = [self.document.value]
        while stack:
            current = stack.pop()
            if isinstance(current, dict):
                states = current.get("States")
                found.update(states if isinstance(states, dict) else ())
                stack.extend(current.values())
            elif isinstance(current, list):
                stack.extend(current)
        return found


class Scope:
    """One machine being read, of the tree that a definition is.

    `targets` has, for every state, the states it leads to and where it says so; `ends` the states in which it can end,
    as far as is known; `assigned` the variables that its states set. Variables of the outer machines can be read
    from the inner ones (AWS). While a state is read, `state` is its name, `state_type` its type and `depth` the
    length of its pointer.
    """

    def __init__(self, reading: Reading, names: Set[str], parent: Scope | None, read: ReadMachine) -> None:
        self.reading = reading
        self.names = names
        self.parent = parent
        self.read = read
        self.state = ""
        self.state_type = ""
        self.depth = 0
        self.targets: dict[str, list[tuple[str, Pointer]]] = {name: [] for name in names}
        self.ends: set[str] = set()
        self.assigned: set[str] = set()

    def sees(self, variable: str) -> bool:
        """Whether some state of this machine, or of one around it, sets the variable."""
        return variable in self.assigned or self.around(variable)

    def around(self, variable: str) -> bool:
        """Whether some state of a machine around this one sets the variable."""
        return self.parent is not None and self.parent.sees(variable)

    def variables(self) -> set[str]:
        """The variables that can be read here."""
        return self.assigned | (self.parent.variables() if self.parent is not None else set())

    def unknown(self, name: str, pointer: Pointer) -> None:
        """Report a transition to a state that this machine does not have."""
        hint = self.reading.similar(name, self.names)
        if hint is None and name in self.reading.every_name:
            hint = "it is in another machine; a transition stays in its own"
        self.reading.problem("unknown-state", f"There is no state {shorten(name)} in this machine", pointer, hint=hint)
