"""The three kinds of wrong, which are never mixed.

* **Definition**: an author's mistake in a flow or rule file. A list of `Problem`s, each with a place in the file and
  a hint; raised together as `DefinitionError`.
* **Execution**: something failed while a flow ran. Data, not an exception: an ASL error name and a cause. Inside the
  pure rooms it travels as `ExecutionFailure` until the core hands it to Retry and Catch.
* **Engine**: the engine itself could not do what was asked. Subclasses of `EngineError`; the class docstring is the
  message shown when none is given.
"""

from __future__ import annotations

from typing import Any


class Problem:
    """One mistake in a definition.

    `code` is stable and documented; `pointer` is the JSON path to the node as a tuple of keys and indexes; `line` and
    `column` count from 1 (None when the definition came as a dict); `source` is the text of that line.
    """

    __slots__ = ("code", "column", "file", "hint", "line", "message", "pointer", "severity", "source")

    def __init__(
        self,
        code: str,
        message: str,
        pointer: tuple[str | int, ...] = (),
        *,
        hint: str | None = None,
        severity: str = "error",
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        source: str | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.pointer = pointer
        self.hint = hint
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.source = source

    @property
    def location(self) -> str:
        """The node as AWS writes it: `/States/Book/Next`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f"/{part}" for part in self.pointer) or "/"

    def __repr__(self) -> str:
        return f"Problem({self.code!r}, {self.message!r}, {self.location!r}, line={self.line}, column={self.column})"

    def __str__(self) -> str:
        """`file:line:column: error CODE: message`, the line with a caret, and the hint."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place or self.location}: {self.severity} {self.code}: {self.message}"
        if self.source is not None and self.column is not None:
            shown = self.source.replace("\t", " ")
            text += f"\n    {shown}\n    {' ' * (self.column - 1)}^"
        if self.hint:
            text += f"\n    hint: {self.hint}"
        return text

    def to_json(self) -> dict[str, Any]:
        """The problem as an object for machines; absent facts are left out."""
        facts = {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "location": self.location,
            "hint": self.hint,
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }
        return {key: value for key, value in facts.items() if value is not None}


class DefinitionError(Exception):
    """A definition has at least one problem of severity "error"; all problems are in `.problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ExpressionSyntaxError(Exception):
    """The text of an expression or path does not parse. `offset` counts characters from 0 in the text.

    `supported` False: it parses, but names what the language has and a flow has not. `others` are further mistakes in
    the same text.
    """

    def __init__(
        self,
        message: str,
        offset: int = 0,
        hint: str | None = None,
        *,
        supported: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.supported = supported
        self.others: tuple[ExpressionSyntaxError, ...] = ()


class ExecutionFailure(Exception):
    """A state failed with an ASL error name and a cause; the core turns it into Retry, Catch or the end.

    `kind` "evaluation" marks failures of a query, "value" a value that its field cannot take: AWS writes an
    `EvaluationFailed` event for both. `location` is then the field. `explain` False says that the cause is complete
    and gets no "An error occurred while…" in front.
    """

    def __init__(
        self,
        error: str | None,
        cause: str | None = None,
        *,
        kind: str = "state",
        location: str | None = None,
        explain: bool = True,
    ) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause
        self.kind = kind
        self.location = location
        self.explain = explain


class EngineError(Exception):
    """The engine could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class UnknownStep(EngineError):
    """No step is registered under that name."""


class UnsupportedResource(EngineError):
    """A Task names a resource that this runtime cannot call."""


class InvalidToken(EngineError):
    """The task token is none that this store has handed out."""


class TaskDoesNotExist(EngineError):
    """The execution of the task token is not in this store."""


class TaskTimedOut(EngineError):
    """Nothing waits for the task token any more: it was used, or has expired."""


class UnknownVersion(EngineError):
    """The flow has no such published version or alias."""


class StepRegistrationError(EngineError):
    """A step could not be registered."""


class StoreUnavailable(EngineError):
    """The store cannot be reached or written."""


class StoreTooNew(EngineError):
    """The store was written by a newer version of the engine."""


class MigrationFailed(EngineError):
    """The store's tables could not be brought up to date; nothing of it was changed."""


class ExecutionNotFound(EngineError):
    """There is no execution with that name."""


class ExecutionEnded(EngineError):
    """The execution has ended."""


class ExecutionPaused(EngineError):
    """The execution is paused."""


class ExecutionAlreadyExists(EngineError):
    """An execution with that name exists and was started with another input."""


class ExecutionBusy(EngineError):
    """Another process is running this execution."""


class WorkerRunning(EngineError):
    """A worker still runs on this engine: call its `stop`, wait for its `run` to return, then close the engine."""


class NotRedrivable(EngineError):
    """The execution cannot go on from where it ended."""


class Conflict(EngineError):
    """The execution was changed by someone else since it was read; nothing was written."""


class LeaseLost(EngineError):
    """This process was given up for dead and others have taken over what it ran; nothing was written."""


class InvalidInput(EngineError):
    """The input is not acceptable JSON."""


class TransitionLimitExceeded(EngineError):
    """One decision ran through too many states without ever waiting for anything."""
