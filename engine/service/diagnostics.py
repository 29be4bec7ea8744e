"""Our Problems as AWS's diagnostics: code, message and location.

Messages are AWS's own where they are known (recordings, and what people quote in bug reports); elsewhere the Problem's.
Source: AWS Step Functions API Reference, "ValidateStateMachineDefinitionDiagnostic".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engine.definition.reader import Pointer
from engine.errors import Problem
from engine.values import JSON

SCHEMA: Final = "SCHEMA_VALIDATION_FAILED"
TARGET: Final = "MISSING_TRANSITION_TARGET"
WORDS: Final = {
    "Type": "[Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]",
    "QueryLanguage": "[JSONPath, JSONata]",
    "Mode": "[INLINE, DISTRIBUTED]",
    "ExecutionType": "[STANDARD, EXPRESS]",
    "JitterStrategy": "[FULL, NONE]",
}
FIELD: Final = re.compile(r"\bfield (\w+)")


class Diagnostic(NamedTuple):
    """What AWS says about a definition. `location` None: it says no place."""

    code: str
    message: str
    location: str | None

    def render(self) -> dict[str, str]:
        """The element of `diagnostics`."""
        found = {"severity": "ERROR", "code": self.code, "message": self.message}
        return found if self.location is None else {**found, "location": self.location}

    def __str__(self) -> str:
        """As one of the reasons for which a definition is refused."""
        return f"{self.code}: {self.message} at {self.location or 'null'}"


Say = Callable[[Problem, JSON], "tuple[str, Pointer]"]
"""From a Problem and the definition to AWS's message and the place it gives."""


def place(pointer: Pointer) -> str:
    """A place as AWS writes it."""
    return Problem("", "", pointer).location


def at(definition: JSON, pointer: Pointer) -> Any:
    """The value at a place, None when there is none."""
    for part in pointer:
        try:
            definition = definition[part]
        except (KeyError, IndexError, TypeError):
            return None
    return definition


def _as_it_is(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    return problem.message, problem.pointer


def _fixed(message: str) -> Say:
    return lambda problem, definition: (message, problem.pointer)


def _missing(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    found = FIELD.search(problem.message)
    return (f"These fields are required: [{found[1]}]" if found else problem.message), problem.pointer


def _unsupported(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    return f"Field '{problem.pointer[-1]}' is not supported", problem.pointer[:-1]


def _unknown_value(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    field = str(problem.pointer[-1])
    if field not in WORDS:
        return problem.message, problem.pointer
    return f"The field '{field}' should have one of these values: {WORDS[field]}", problem.pointer


def _downgrade(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    outer = at(definition, ("QueryLanguage",))
    return f"'QueryLanguage' can not be 'JSONPath' if set to '{outer}' for whole state machine", problem.pointer[:-1]


def _path(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    """A mistake in a template is reported at the object that holds it, one in a path field at the field."""
    if str(problem.pointer[-1]).endswith(".$"):
        return problem.message, problem.pointer[:-1]
    field = problem.pointer[-1]
    kind = "JSONPath" if field in ("InputPath", "OutputPath") else "Reference Path"
    return f"Value is not a valid {kind}: {problem.message}", problem.pointer


def _resource(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    uri = at(definition, problem.pointer)
    said = "The value is not a valid resource ARN, or the resource is not available in this region."
    return f"The resource provided {uri} is not recognized. {said}", problem.pointer


def _express(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    value = str(at(definition, problem.pointer))
    if problem.pointer[-1] != "Resource":
        return f"Express state machine does not support {value} Map", problem.pointer
    pattern = re.search(r"\.(sync|waitForTaskToken)(:2)?$", value)
    what = f"'{pattern[0]}' service integration" if pattern else "Activity ARN"
    return f"Express state machine does not support {what}", problem.pointer


def _target(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    return f"Missing 'Next' target: {at(definition, problem.pointer)}", problem.pointer


SAYINGS: Final[dict[str, tuple[str, Say]]] = {
    "bad-credentials": (SCHEMA, _fixed("The field 'RoleArn' is required but was missing")),
    "bad-name": ("INVALID_STATE_NAME", _as_it_is),
    "bad-path": (SCHEMA, _path),
    "bad-resource": (SCHEMA, _resource),
    "bad-timestamp": (SCHEMA, _fixed("String does not match RFC3339 timestamp")),
    "duplicate-state": (
        "DUPLICATE_STATE_NAME",
        lambda problem, definition: (f"Duplicate State name: {problem.pointer[-1]}", problem.pointer),
    ),
    "language-downgrade": (SCHEMA, _downgrade),
    "missing-field": (SCHEMA, _missing),
    "no-end": ("MISSING_END_STATE", _fixed("Workflow has no terminal state")),
    "no-transition": (SCHEMA, _fixed("These fields are required: [Next]")),
    "not-express": (SCHEMA, _express),
    "too-deep": ("TOO_DEEPLY_NESTED", _as_it_is),
    "unknown-field": (SCHEMA, _unsupported),
    "unknown-state": (TARGET, _target),
    "unknown-value": (SCHEMA, _unknown_value),
    "unreachable-state": (
        TARGET,
        lambda problem, definition: (f'State "{problem.pointer[-1]}" is not reachable.', problem.pointer),
    ),
    "wrong-language": (SCHEMA, _unsupported),
}
"""AWS's code and words for each of our codes; all others are SCHEMA_VALIDATION_FAILED in our own words."""


def diagnose(problems: list[Problem], definition: JSON) -> list[Diagnostic]:
    """The diagnostics for the errors among the problems, in their order."""
    found: list[Diagnostic] = []
    endless = any(problem.code == "no-end" for problem in problems)
    for problem in problems:
        # Where a workflow cannot end, AWS does not ask what can be reached.
        if problem.severity != "error" or (endless and problem.code == "unreachable-state"):
            continue
        code, say = SAYINGS.get(problem.code, (SCHEMA, _as_it_is))
        message, pointer = say(problem, definition)
        diagnostic = Diagnostic(code, message, None if problem.code == "no-end" else place(pointer))
        if diagnostic not in found:
            found.append(diagnostic)
    return found
