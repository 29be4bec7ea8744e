"""Rules for one state that need more than its own fields: the steps there are, AWS's services, the kind of workflow."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from engine.definition.fields import ObjectFields
from engine.definition.integrations import PATTERNS
from engine.definition.reading import Reading
from engine.definition.wording import describe, shorten
from engine.machine import Fields, State
from engine.outcomes import Resource
from engine.values import JSON

STATES_ALL: Final = "States.ALL"
IN_DOUBT: Final = "Step.InDoubt"
"""What a step reports whose outcome nobody knows; declared by steps that must not run twice."""


def check_state(state: State, fields: ObjectFields, reading: Reading) -> None:
    """Report what is wrong with a state that has read its fields."""
    for name in ("Retry", "Catch"):
        if name in fields.known:
            _check_errors(name, fields)
    if "Credentials" in fields.known:
        _check_credentials(fields)
    if "Items" in fields.known:
        _check_items(fields)
    if "Label" in fields.known:
        _check_label(fields.raw("Label"), fields, reading)
    resource = getattr(state, "resource", None)
    if isinstance(resource, Resource) and resource.uri:
        _check_resource(resource, fields, reading)


def check_processor(fields: Fields | None, reading: Reading) -> bool:
    """ProcessorConfig of an ItemProcessor: Mode, and ExecutionType where the Mode is DISTRIBUTED. Answers whether its
    children are Express executions."""
    if fields is None:
        return False
    mode = fields.one_of("Mode", ("INLINE", "DISTRIBUTED"))
    kind = fields.one_of("ExecutionType", ("STANDARD", "EXPRESS"))
    fields.done()
    if mode == "DISTRIBUTED" and reading.express:
        fields.problem("not-express", "An Express workflow cannot run a distributed Map", "Mode")
    return mode == "DISTRIBUTED" and kind == "EXPRESS"


def _entries(name: str, fields: ObjectFields) -> list[tuple[int, list[JSON]]]:
    """Index and ErrorEquals of each entry of Retry or Catch that has a list there."""
    value = fields.raw(name)
    found = []
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        errors = entry.get("ErrorEquals") if isinstance(entry, dict) else None
        if isinstance(errors, list):
            found.append((index, errors))
    return found


def _check_errors(name: str, fields: ObjectFields) -> None:
    """States.ALL stands alone, and in the last entry."""
    entries = _entries(name, fields)
    for index, errors in entries:
        if STATES_ALL not in errors:
            continue
        if len(errors) > 1:
            said = "States.ALL stands for every error, so it stands alone"
            fields.problem("states-all", said, name, index, "ErrorEquals", hint="remove the other names")
        if index != entries[-1][0]:
            said = f"States.ALL matches first; the entries of {name} behind it can never be used"
            fields.problem("states-all", said, name, index, "ErrorEquals", hint="move this entry to the end")


def _check_credentials(fields: ObjectFields) -> None:
    value = fields.raw("Credentials") if fields.has("Credentials") else {"RoleArn": ""}
    if not fields.by_path and fields.language.is_expression(value):
        return
    if not isinstance(value, dict) or not value.keys() & {"RoleArn", "RoleArn.$"}:
        fields.problem("bad-credentials", "Credentials must be an object with the field RoleArn", "Credentials")


def _check_items(fields: ObjectFields) -> None:
    """Items as it stands must be a list or an object; everything else has to be an expression."""
    value = fields.raw("Items")
    if fields.has("Items") and not isinstance(value, list | dict) and not fields.language.is_expression(value):
        said = f"Items must be a list, an object or an expression, not {describe(value)}"
        fields.problem("wrong-type", said, "Items", hint="write '{% … %}'")


def _check_label(label: JSON, fields: ObjectFields, reading: Reading) -> None:
    """Labels are unique in the whole definition."""
    if isinstance(label, str):
        if label in reading.labels:
            said = f"The label {shorten(label)} is taken by another Map"
            fields.problem("duplicate-label", said, "Label", hint="give each Map its own")
        reading.labels.add(label)


def _check_resource(resource: Resource, fields: ObjectFields, reading: Reading) -> None:
    if resource.scheme == "step" and reading.steps is not None:
        _check_step(resource.name, fields, reading)
    if resource.scheme == "service":
        _check_service(resource, fields)
    if not reading.express:
        return
    if resource.scheme == "activity":
        fields.problem("not-express", "An Express workflow cannot run an activity", "Resource")
    elif resource.waits:
        said = f"An Express workflow cannot wait for an answer (.{resource.pattern})"
        fields.problem("not-express", said, "Resource")


def _check_service(resource: Resource, fields: ObjectFields) -> None:
    """An optimized integration of AWS: the action and the way to call it exist."""
    patterns = PATTERNS.get(resource.service)
    if patterns is None:
        return
    action = resource.action.removesuffix(f".{resource.pattern}")
    allowed = patterns.get(action)
    if allowed is None:
        hint = f"{resource.service} has {', '.join(patterns)}; arn:aws:states:::aws-sdk:{resource.service}:… has all"
        said = f"AWS has no integration {resource.service}:{action}"
        fields.problem("bad-resource", said, "Resource", hint=hint)
    elif resource.pattern not in allowed:
        said = f"{resource.service}:{action} cannot be called with .{resource.pattern}"
        fields.problem("bad-resource", said, "Resource")


def _check_step(name: str, fields: ObjectFields, reading: Reading) -> None:
    steps = reading.steps or {}
    if name not in steps:
        hint = reading.similar(name, list(steps))
        fields.problem("unknown-step", f"There is no step {shorten(name)}", "Resource", hint=hint)
        return
    declared = frozenset(steps[name])
    for field in ("Retry", "Catch"):
        for index, errors in _entries(field, fields):
            _check_names(field, index, errors, declared, fields, reading)
    if IN_DOUBT in declared:
        _check_doubt(fields)


def _check_names(
    field: str, index: int, errors: list[JSON], declared: Collection[str], fields: ObjectFields, reading: Reading
) -> None:
    """Error names that neither the States Language nor the step knows."""
    known = {*declared, *STATES_ERRORS, IN_DOUBT}
    for place, error in enumerate(errors):
        if isinstance(error, str) and error not in known:
            hint = reading.similar(error, known) or f"the step declares {', '.join(sorted(declared)) or 'no errors'}"
            said = f"The step never fails with {shorten(error)}"
            path = (field, index, "ErrorEquals", place)
            fields.problem("unknown-error", said, *path, hint=hint, severity="warning")


def _check_doubt(fields: ObjectFields) -> None:
    """A Retry that takes in Step.InDoubt runs a step again that may have run."""
    for index, errors in _entries("Retry", fields):
        if {STATES_ALL, "States.TaskFailed", IN_DOUBT} & {error for error in errors if isinstance(error, str)}:
            said = "This Retry takes in Step.InDoubt: the step may run a second time, which it declares harmful"
            hint = "name the errors that are safe to retry"
            path = ("Retry", index, "ErrorEquals")
            fields.problem("retry-in-doubt", said, *path, hint=hint, severity="warning")
            return


STATES_ERRORS: Final = frozenset(
    {
        STATES_ALL,
        "States.BranchFailed",
        "States.DataLimitExceeded",
        "States.ExceedToleratedFailureThreshold",
        "States.HeartbeatTimeout",
        "States.Http.Socket",
        "States.IntrinsicFailure",
        "States.ItemReaderFailed",
        "States.NoChoiceMatched",
        "States.ParameterPathFailure",
        "States.Permissions",
        "States.QueryEvaluationError",
        "States.ResultPathMatchFailure",
        "States.ResultWriterFailed",
        "States.Runtime",
        "States.TaskFailed",
        "States.Timeout",
    }
)
"""Error names of the States Language and of AWS."""
