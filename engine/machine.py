"""State machines as values: what a definition becomes once it is read.

Nothing here runs anything. A `StateMachine` holds `State` objects; a state answers `enter` with one of six outcomes
and never waits, retries, catches or writes history: the core does that once for all types.

States read their own fields through `Fields`, a view of one object of the definition that collects Problems with
their places; so a state type is one file: fields, schema, example, behaviour.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

from engine.outcomes import Call, Fork, Outcome, Stages
from engine.query import Expression, QueryLanguage, Scope
from engine.values import JSON


class Retrier:
    """One entry of Retry. Delays in seconds."""

    __slots__ = ("backoff_rate", "errors", "interval", "jitter", "max_attempts", "max_delay")

    def __init__(
        self,
        errors: tuple[str, ...],
        interval: float = 1,
        max_attempts: int = 3,
        backoff_rate: float = 2.0,
        max_delay: float | None = None,
        jitter: bool = False,
    ) -> None:
        self.errors = errors
        self.interval = interval
        self.max_attempts = max_attempts
        self.backoff_rate = backoff_rate
        self.max_delay = max_delay
        self.jitter = jitter


class Catcher:
    """One entry of Catch: which errors, where to, and how the error becomes the next state's input."""

    __slots__ = ("errors", "next", "stages")

    def __init__(self, errors: tuple[str, ...], target: str, stages: Stages) -> None:
        self.errors = errors
        self.next = target
        self.stages = stages


class Fields(Protocol):
    """One object of a definition, read field by field. Implemented by `engine.definition`.

    Every getter notes the field as known; a wrong value becomes a Problem at its place and the getter answers as if
    the field were absent. `done()` reports the fields that nobody asked for. Getters for fields of the other query
    language report them as such when they are present.
    """

    pointer: tuple[str | int, ...]
    language: QueryLanguage

    @property
    def by_path(self) -> bool:
        """Whether the query language here is JSONPath."""

    def place(self, name: str) -> str:
        """The field as messages name it: in the expression languages from the state on, `Choices[0]/Condition`."""

    def has(self, name: str) -> bool:
        """Whether the field is present, whatever its value."""

    def raw(self, name: str) -> JSON:
        """The field's value as written (None when absent)."""

    def text(self, name: str, *, required: bool = False, nonempty: bool = False) -> str | None:
        """A string."""

    def integer(self, name: str, *, minimum: int = 0, maximum: int = 99_999_999) -> int | None:
        """A whole number within bounds."""

    def number(self, name: str, *, minimum: float = 0, maximum: float = float("inf")) -> float | None:
        """A number within bounds."""

    def boolean(self, name: str) -> bool | None:
        """true or false."""

    def one_of(self, name: str, values: Sequence[str]) -> str | None:
        """One of the given words."""

    def texts(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """A non-empty list of strings."""

    def literal(self, name: str) -> JSON:
        """Any JSON, taken as it is."""

    def path(self, name: str, *, nullable: bool = False) -> Expression | None:
        """JSONPath only: a path, or an intrinsic where AWS takes one. null (if nullable) gives the constant `{}`."""

    def reference_path(self, name: str) -> Any:
        """JSONPath only: a reference path (`.put(document, value)`), or None when absent or null (see `has`)."""

    def template(self, name: str, *, languages: str = "all") -> Expression | None:
        """A payload template. `languages`: "all", "path" (JSONPath only) or "expression" (the others only)."""

    def expression(self, name: str, *, required: bool = False) -> Expression | None:
        """Expression languages only: a string `{% … %}`."""

    def integer_or_expression(
        self, name: str, *, minimum: int = 0, maximum: int = 99_999_999
    ) -> int | Expression | None:
        """A whole number; in the expression languages also `{% … %}`."""

    def text_or_expression(self, name: str) -> str | Expression | None:
        """A string; in the expression languages also `{% … %}`."""

    def object(self, name: str, *, required: bool = False) -> Fields | None:
        """A nested object."""

    def objects(self, name: str, *, required: bool = False) -> list[Fields]:
        """A list of nested objects."""

    def machine(self, name: str, *, required: bool = False) -> StateMachine | None:
        """A nested state machine, or None with a Problem."""

    def machines(self, name: str) -> list[StateMachine]:
        """A required, non-empty list of nested state machines."""

    def state_name(self, name: str, *, required: bool = False) -> str | None:
        """The name of a state of the same machine; unknown names become Problems with a did-you-mean."""

    def problem(
        self, code: str, message: str, *path: str | int, hint: str | None = None, severity: str = "error"
    ) -> None:
        """Report a mistake at this object, or at `path` below it."""

    def done(self) -> None:
        """Report every field that no getter asked for."""


class State(ABC):
    """One state of a machine. Subclasses live in `engine/states/`, one file per type.

    Class attributes: TYPE (the ASL name), SCHEMA (JSON Schema `properties` of the type's own fields), REQUIRED (names),
    EXAMPLE (YAML of one such state, shown in the documentation and run by a test); `retries`: may have Retry and Catch;
    `calls`: answers Call, so that every attempt gets a token of its own. `blind`: on entering, it looks at
    nothing but its prepared input (set by the parser, from `looks`). `child` and `child_input` are asked only of
    a state that answers Fork, `spread` and `tolerance` of one with items.
    """

    __slots__ = ("blind", "catchers", "comment", "end", "entered", "exited", "name", "next", "retriers", "stages")

    TYPE: ClassVar[str]
    SCHEMA: ClassVar[dict[str, JSON]]
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    EXAMPLE: ClassVar[str]
    retries: ClassVar[bool] = False
    calls: ClassVar[bool] = False

    name: str
    blind: bool
    comment: str | None
    next: str | None
    end: bool
    stages: Stages
    retriers: tuple[Retrier, ...]
    catchers: tuple[Catcher, ...]
    entered: str
    exited: str

    @abstractmethod
    def __init__(self, name: str, fields: Fields) -> None:
        """Read the state's own fields; mistakes go to `fields.problem`."""

    def looks(self) -> bool:
        """Whether `enter` may use its scope. One that says no costs less."""
        return True

    @abstractmethod
    def enter(self, data: JSON, scope: Scope) -> Outcome:
        """Answer what happens. `data` is the prepared input. May raise ExecutionFailure."""

    def machines(self) -> Sequence[StateMachine]:
        """Nested machines (Parallel, Map)."""
        return ()

    def spread(self, answers: Sequence[JSON], data: JSON, scope: Scope) -> Fork | Call:
        """The Fork over the items that Calls with `items` answered, or one more Call. May raise ExecutionFailure."""
        raise NotImplementedError

    def tolerance(self, count: int, data: JSON, scope: Scope) -> int:
        """How many of `count` items may fail. Asked once the state has started; may raise ExecutionFailure."""
        raise NotImplementedError

    def child(self, index: int) -> StateMachine:
        """The machine that child `index` of a Fork runs."""
        raise NotImplementedError

    def child_input(self, source: JSON, index: int, item: JSON, scope: Scope) -> JSON:
        """The input of child `index`, made from the Fork's source; `scope.context` has Map.Item for it."""
        raise NotImplementedError


STATE_TYPES: dict[str, type[State]] = {}
"""Every state type by its ASL name; filled by importing `engine.states`."""


def state_type(cls: type[State]) -> type[State]:
    """Register a state type. Refuses a second one of the same name."""
    if cls.TYPE in STATE_TYPES:
        raise TypeError(f"state type {cls.TYPE} is registered twice")
    STATE_TYPES[cls.TYPE] = cls
    return cls


class StateMachine:
    """A machine, or a nested one (a branch, an item processor).

    `states` keeps the order of the definition. `find` knows every state of the whole tree by name, since names are
    unique over nested machines too. `timeout` in seconds. `source` is the definition as plain JSON, `file`
    where it was read from.
    """

    __slots__ = ("comment", "file", "find", "query_language", "source", "start_at", "states", "timeout", "version")

    def __init__(
        self,
        start_at: str,
        states: dict[str, State],
        *,
        comment: str | None = None,
        query_language: str = "JSONPath",
        timeout: int | None = None,
        version: str = "1.0",
        source: JSON = None,
        file: str | None = None,
    ) -> None:
        self.file = file
        self.start_at = start_at
        self.states = states
        self.comment = comment
        self.query_language = query_language
        self.timeout = timeout
        self.version = version
        self.source = source
        self.find: dict[str, State] = {state.name: state for state in self.walk()}

    def walk(self) -> Iterator[State]:
        """Every state, depth first, in the order of the definition."""
        for state in self.states.values():
            yield state
            for machine in state.machines():
                yield from machine.walk()
