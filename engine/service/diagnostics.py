"""Our Problems as AWS's diagnostics: code, message and location.

Messages are AWS's own where they are known (recordings, and what people quote in bug reports); elsewhere the Problem's.
Source: AWS Step Functions API Reference, "ValidateStateMachineDefinitionDiagnostic".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engine.definition.document import Pointer
from engine.errors import Problem
from engine.query.jsonpath.java import hash_order
from engine.query.jsonpath.reference import NOT_A_REFERENCE
from engine.values import JSON

SCHEMA: Final = "SCHEMA_VALIDATION_FAILED"
TARGET: Final = "MISSING_TRANSITION_TARGET"
NO_END: Final = "MISSING_END_STATE"
GRAPH: Final = frozenset({TARGET, NO_END})
"""Codes that concern how the states hang together."""
WORDS: Final = {
    "Type": "[Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]",
    "QueryLanguage": "[JSONPath, JSONata]",
    "Mode": "[INLINE, DISTRIBUTED]",
    "ExecutionType": "[STANDARD, EXPRESS]",
    "JitterStrategy": "[FULL, NONE]",
}
TYPES: Final = {
    "a text": "STRING",
    "a whole number": "INTEGER",
    "a number": "NUMBER",
    "true or false": "BOOLEAN",
    "a list": "ARRAY",
    "an object": "OBJECT",
}
FRACTIONS: Final = frozenset({"ToleratedFailurePercentage", "BackoffRate"})
FIELD: Final = re.compile(r"\bfield (\w+)")
LIMIT: Final = re.compile(r"must be at (least|most) ([\d.]+),")
WANTED: Final = re.compile(r"must be (a text|a whole number|a number|true or false|a list|an object)\b")
NESTED: Final = {"Branches": 2, "ItemProcessor": 1, "Iterator": 1}
"""Fields that hold machines, and how many steps lead into one."""

MEMBER: Final = re.compile(r"states\.\w+")
EXCLUDED: Final = re.compile(r"(\w+) and (\w+) ")


class Diagnostic(NamedTuple):
    """What AWS says about a definition. `location` None: it says no place."""

    code: str
    message: str
    location: str | None
    severity: str = "ERROR"

    def render(self) -> dict[str, str]:
        """The element of `diagnostics`."""
        found = {"severity": self.severity, "code": self.code, "message": self.message}
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


def _foreign(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    """A field of the other query language."""
    spoken = _language(definition, problem.pointer)
    other = "JSONata" if spoken == "JSONPath" else "JSONPath"
    said = f"The QueryLanguage is set to '{spoken}', but field '{problem.pointer[-1]}' is only supported for the "
    return f"{said}'{other}' QueryLanguage", problem.pointer[:-1]


def _language(definition: JSON, pointer: Pointer) -> str:
    """The query language at a place: that of the state it is in, else that of the whole machine."""
    inside = next((at(definition, (*state, "QueryLanguage")) for state in reversed(_states_around(pointer))), None)
    named = inside if isinstance(inside, str) else at(definition, ("QueryLanguage",))
    if not isinstance(named, str):
        return "JSONPath"
    return named if named in ("JSONPath", "JMESPath") else "JSONata"


def _states_around(pointer: Pointer) -> list[Pointer]:
    """The places of the states that a place is in, outermost first."""
    found: list[Pointer] = []
    here = 0
    while pointer[here : here + 1] == ("States",) and len(pointer) > here + 1:
        here += 2
        found.append(pointer[:here])
        here += NESTED.get(str(pointer[here]), 0) if here < len(pointer) else 0
    return found


def _no_member(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    """Something of `$states` that is not there."""
    found = MEMBER.search(problem.message)
    return (f"Field '${found[0]}' does not exist." if found else problem.message), problem.pointer


def _unknown_value(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    field = str(problem.pointer[-1])
    if field not in WORDS:
        return problem.message, problem.pointer
    if field == "Type":
        return f"The field 'Type' should have one of these values: {WORDS[field]}", problem.pointer
    return f"Value should be one of the following: {WORDS[field]}", problem.pointer


def _wrong_type(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    found = WANTED.search(problem.message)
    return (f"Expected value of type [{TYPES[found[1]]}]" if found else problem.message), problem.pointer


def _range(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    found = LIMIT.search(problem.message)
    if found is None:
        return problem.message, problem.pointer
    limit = float(found[2]) if problem.pointer[-1] in FRACTIONS else found[2]
    return f"{'Minimum' if found[1] == 'least' else 'Maximum'} value is {limit}", problem.pointer


def _exclusive(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    found = EXCLUDED.match(problem.message)
    fields = f"{found[1]}, {found[2]}" if found else str(problem.pointer[-1])
    return f"There should only be one of the following fields: [{fields}]", problem.pointer[:-1]


def _downgrade(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    outer = at(definition, ("QueryLanguage",))
    return f"'QueryLanguage' can not be 'JSONPath' if set to '{outer}' for whole state machine", problem.pointer[:-1]


def _path(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    """A mistake in a template is reported at the object that holds it, one in a path field at the field."""
    field = str(problem.pointer[-1])
    if field.endswith(".$"):
        return problem.message, problem.pointer[:-1]
    if field in ("InputPath", "OutputPath"):
        return f"Value is not a valid JSONPath: {problem.message}", problem.pointer
    exact = problem.message == NOT_A_REFERENCE
    return (NOT_A_REFERENCE if exact else f"{NOT_A_REFERENCE}: {problem.message}"), problem.pointer


def _states_all(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    """Where in the list it is, as quoted by those whom AWS refused."""
    names = at(definition, problem.pointer)
    return "States.ALL must appear alone and at end of list", (*problem.pointer, names.index("States.ALL"))


def _resource(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    uri = at(definition, problem.pointer)
    said = "The value is not a valid resource ARN, or the resource is not available in this region."
    return f"The resource provided {uri} is not recognized. {said}", problem.pointer


def _express(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    value = str(at(definition, problem.pointer))
    if problem.pointer[-1] != "Resource":
        return f"Express state machine does not support {value} Map", problem.pointer
    pattern = re.search(r"\.(sync|waitForTaskToken)(:2)?$", value)
    if pattern is None:
        return "Express state machine does not support Activity ARN", problem.pointer
    blank = " " if pattern[1] == "waitForTaskToken" else ""  # as recorded
    return f"Express state machine does not support '{pattern[0]}' service integration{blank}", problem.pointer


def _target(problem: Problem, definition: JSON) -> tuple[str, Pointer]:
    return f"Missing 'Next' target: {at(definition, problem.pointer)}", problem.pointer


SAYINGS: Final[dict[str, tuple[str, Say]]] = {
    "bad-credentials": (SCHEMA, _fixed("The field 'RoleArn' is required but was missing")),
    "bad-expression": ("INVALID_JSONATA_EXPRESSION", _as_it_is),
    "bad-label": ("INVALID_LABEL_NAME", _as_it_is),
    "bad-name": ("INVALID_STATE_NAME", _as_it_is),
    "bad-path": (SCHEMA, _path),
    "bad-resource": (SCHEMA, _resource),
    "bad-timestamp": (SCHEMA, _fixed("String does not match RFC3339 timestamp")),
    "both-forms": (SCHEMA, _exclusive),
    "duplicate-label": ("DUPLICATE_LABEL_NAME", _as_it_is),
    "duplicate-state": (
        "DUPLICATE_STATE_NAME",
        lambda problem, definition: (f"Duplicate State name: {problem.pointer[-1]}", problem.pointer),
    ),
    "empty-value": (SCHEMA, _fixed("Value cannot be empty")),
    "language-downgrade": (SCHEMA, _downgrade),
    "missing-field": (SCHEMA, _missing),
    "no-end": (NO_END, _fixed("Workflow has no terminal state")),
    "no-result": ("UNSUPPORTED_JSONATA_EXPRESSION", _no_member),
    "no-transition": (SCHEMA, _fixed("These fields are required: [Next]")),
    "not-express": (SCHEMA, _express),
    "out-of-range": (SCHEMA, _range),
    "states-all": (SCHEMA, _states_all),
    "too-deep": ("TOO_DEEPLY_NESTED", _as_it_is),
    "unknown-field": (SCHEMA, _unsupported),
    "unknown-state": (TARGET, _target),
    "unknown-value": (SCHEMA, _unknown_value),
    "unreachable-state": (
        TARGET,
        lambda problem, definition: (f'State "{problem.pointer[-1]}" is not reachable.', problem.pointer),
    ),
    "unsupported-expression": ("UNSUPPORTED_JSONATA_EXPRESSION", _as_it_is),
    "wrong-language": (SCHEMA, _foreign),
    "wrong-type": (SCHEMA, _wrong_type),
}
"""AWS's code and words for each of our codes; all others are SCHEMA_VALIDATION_FAILED in our own words."""


def _code(problem: Problem) -> str:
    """AWS's code for a problem."""
    return SAYINGS.get(problem.code, (SCHEMA, _as_it_is))[0]


def diagnose(problems: list[Problem], definition: JSON) -> list[Diagnostic]:
    """The diagnostics for the errors among the problems, in their order."""
    found: list[Diagnostic] = []
    endless = any(problem.code == "no-end" and problem.severity == "error" for problem in problems)
    malformed = any(problem.severity == "error" and _code(problem) == SCHEMA for problem in problems)
    missing = _missing_together(problems)
    for problem in problems:
        # Where a workflow cannot end, AWS does not ask what can be reached; where the form is wrong, not how its states
        # hang together.
        beside = (endless and problem.code == "unreachable-state") or (malformed and _code(problem) in GRAPH)
        if problem.severity != "error" or beside:
            continue
        code, say = SAYINGS.get(problem.code, (SCHEMA, _as_it_is))
        message, pointer = say(problem, definition)
        if problem.code == "missing-field" and pointer in missing:
            message = f"These fields are required: [{', '.join(missing[pointer])}]"
        diagnostic = Diagnostic(code, message, None if problem.code == "no-end" else place(pointer))
        if diagnostic not in found:
            found.append(diagnostic)
    return found


def _missing_together(problems: list[Problem]) -> dict[Pointer, list[str]]:
    """The fields that are missing in each object: AWS says them in one sentence, in the order of its hash table."""
    found: dict[Pointer, list[str]] = {}
    for problem in problems:
        named = FIELD.search(problem.message) if problem.code == "missing-field" else None
        if named is not None:
            found.setdefault(problem.pointer, []).append(named[1])
    return {pointer: hash_order(names) for pointer, names in found.items()}
