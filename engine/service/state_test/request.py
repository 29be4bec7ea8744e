"""The request of TestState: read, checked, and the state under test made from its definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from engine.machine import State
from engine.outcomes import Resource
from engine.service.errors import ApiError, invalid, named
from engine.service.json_text import NotJson, read
from engine.service.state_test.context import check_context, default_context
from engine.service.state_test.mock_result import check_result
from engine.service.validation import accepted, judge, judge_value
from engine.values import JSON

PLACEHOLDER: Final = "StateName"
"""What AWS calls a state that is tested."""

UNNAMED: Final = "state"
"""How the `tasks` function sees a state that came without a machine."""

MOCKABLE: Final = ("Task", "Map", "Parallel")
IGNORED: Final = frozenset({"duplicate-state", "no-end", "undefined-variable", "unreachable-state"})
"""Problems of a machine that do not concern a state by itself; variables come with the request."""

NESTED: Final = ("Branches", "ItemProcessor", "Iterator")
ONE_OF: Final = "A test mock should have only one of the following fields: [result, errorOutput]."
UNSUPPORTED: Final = (
    "TestState API does not support Map or Parallel states. "
    "Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]"
)


class Mock(NamedTuple):
    """What stands in for the work: a result, or an error."""

    result: JSON = None
    error: str | None = None
    cause: str | None = None
    fails: bool = False


class Request(NamedTuple):
    """A request that is in order. `source` is the state's definition, `name` how `tasks` sees it."""

    state: State
    source: dict[str, JSON]
    by_path: bool
    name: str
    input: JSON
    variables: dict[str, JSON]
    context: dict[str, JSON]
    mock: Mock | None
    configuration: dict[str, Any]
    level: str
    now: float

    @property
    def resource(self) -> Resource | None:
        """The Resource of a Task."""
        return getattr(self.state, "resource", None)


def read_request(params: dict[str, Any], now: float) -> Request:
    """Check a request. Raises InvalidDefinition, InvalidExecutionInput, ValidationException."""
    state, source, language = _state(params)
    mock = _mock(params.get("mock"), state)
    data = _input(params.get("input", "{}"))
    variables = _object(params.get("variables", "{}"), "variables")
    configuration = params.get("stateConfiguration", {})
    if "context" in params:
        if mock is None:
            raise invalid("Context can only be specified when a mock is specified")
        context = _object(params["context"], "context")
        check_context(context, state)
    else:
        role = params.get("roleArn")
        retries = configuration.get("retrierRetryCount", 0)
        context = default_context(state, data, role, mocked=mock is not None, retries=retries, now=now)
    return Request(
        state,
        source,
        language == "JSONPath",
        params.get("stateName", UNNAMED),
        data,
        variables,
        context,
        mock,
        configuration,
        params.get("inspectionLevel", "INFO"),
        now,
    )


# -- the state -------------------------------------------------------------------------------------------------------


def _state(params: dict[str, Any]) -> tuple[State, dict[str, JSON], str]:
    """The state under test, its definition, and its query language."""
    text, name = params["definition"], params.get("stateName")
    try:
        value = read(text)
    except NotJson:
        value = None
    if not isinstance(value, dict):
        accepted(judge(text))
        raise invalid("Definition must be a valid JSON object")
    if name is None:
        name, source, outer = PLACEHOLDER, value, "JSONPath"
        value = _machine_of(value)
    else:
        found = next((state for known, state in _states(value) if known == name), None)
        if found is None:
            raise invalid("State not found in definition")
        source, outer = found, value.get("QueryLanguage", "JSONPath")
    machine = accepted(judge_value(value, "STANDARD", IGNORED))
    return machine.find[name], source, source.get("QueryLanguage", outer)


def _machine_of(state: dict[str, JSON]) -> dict[str, JSON]:
    """A machine around one state: whatever it leads to exists."""
    stubs = {target: {"Type": "Succeed"} for target in _targets(state) if target != PLACEHOLDER}
    return {"StartAt": PLACEHOLDER, "States": {PLACEHOLDER: state, **stubs}}


def _targets(state: dict[str, JSON]) -> Iterator[str]:
    rules = [entry for field in ("Choices", "Catch") for entry in _list(state.get(field)) if isinstance(entry, dict)]
    for target in (state.get("Next"), state.get("Default"), *(rule.get("Next") for rule in rules)):
        if isinstance(target, str):
            yield target


def _states(machine: JSON) -> Iterator[tuple[str, dict[str, JSON]]]:
    """Every state of a definition that may have mistakes."""
    states = machine.get("States") if isinstance(machine, dict) else None
    for name, state in states.items() if isinstance(states, dict) else ():
        if isinstance(state, dict):
            yield name, state
            for field in NESTED:
                for inner in _list(state.get(field)):
                    yield from _states(inner)


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [value]


# -- the rest --------------------------------------------------------------------------------------------------------


def _mock(given: dict[str, Any] | None, state: State) -> Mock | None:
    resource = getattr(state, "resource", None)
    if given is None:
        if state.TYPE in ("Map", "Parallel"):
            raise ApiError("InvalidDefinition", UNSUPPORTED)
        if isinstance(resource, Resource) and (resource.scheme == "activity" or resource.waits):
            said = "TestState API does not support Activity tasks, .sync or .waitForTaskToken without a mock"
            raise ApiError("InvalidDefinition", said)
        return None
    if ("result" in given) == ("errorOutput" in given):
        raise invalid(ONE_OF)
    if state.TYPE not in MOCKABLE:
        raise invalid(f"State type '{state.TYPE}' is not supported when a mock is specified")
    if "errorOutput" in given:
        error = given["errorOutput"]
        return Mock(error=error.get("error"), cause=error.get("cause"), fails=True)
    try:
        result = read(given["result"])
    except NotJson:
        raise invalid("Mocked result must be valid JSON") from None
    if isinstance(resource, Resource):
        check_result(resource, result, given.get("fieldValidationMode", "STRICT"))
    elif not isinstance(result, list):
        raise invalid(f"Mocked result of a {state.TYPE} state must be an array")
    return Mock(result)


def _input(text: str) -> JSON:
    try:
        return read(text)
    except NotJson as wrong:
        raise named("InvalidExecutionInput", "Invalid State Machine Execution Input", wrong.message) from None


def _object(text: str, name: str) -> dict[str, JSON]:
    """A parameter that holds a JSON object."""
    try:
        value = read(text)
    except NotJson as wrong:
        raise invalid(f"The parameter '{name}' must be valid JSON: {wrong.message}") from None
    if not isinstance(value, dict):
        raise invalid(f"The parameter '{name}' must be a JSON object")
    return value
