"""What TestState finds out about a Map before its mock takes the place of the iterations."""

from __future__ import annotations

from engine.core.forks import THRESHOLD, THRESHOLD_CAUSE
from engine.errors import ExecutionFailure
from engine.outcomes import Fork
from engine.service.errors import invalid
from engine.service.state_test.context import TrialScope
from engine.service.state_test.request import Request
from engine.states.map_ import Map
from engine.states.map_items import number
from engine.values import JSON

TOO_MANY = "Map iteration failure count must be less than or equal to the number of Map iterations"


def map_trial(state: Map, request: Request, data: JSON, scope: TrialScope, told: dict[str, JSON]) -> None:
    """Find the items, the limits, and whether more iterations failed than are tolerated; `told` gets what is shown.

    Raises ExecutionFailure as the Map would, ValidationException when more failed than there are.
    """
    fork = _fork(state, request, data, scope)
    if fork is not None:
        _tell_items(state, request, fork, scope, told)
    told["maxConcurrency"] = fork.limit if fork is not None else int(number("MaxConcurrency", state.limit, data, scope))
    failures = request.configuration.get("mapIterationFailureCount", 0)
    if fork is not None and failures > fork.count:
        raise invalid(TOO_MANY)
    exceeded = False
    if state.tolerated is not None:
        allowed = int(number("ToleratedFailureCount", state.tolerated, data, scope))
        told["toleratedFailureCount"] = allowed
        exceeded = failures > allowed
    if state.tolerated_percentage is not None:
        share = number("ToleratedFailurePercentage", state.tolerated_percentage, data, scope, whole=False)
        told["toleratedFailurePercentage"] = float(share)
        exceeded = exceeded or (fork is not None and 100 * failures > share * fork.count)
    if exceeded:
        raise ExecutionFailure(THRESHOLD, THRESHOLD_CAUSE)


def _fork(state: Map, request: Request, data: JSON, scope: TrialScope) -> Fork | None:
    """The iterations; None where an ItemReader would fetch the items and the request does not hold them."""
    if state.reader is None:
        outcome = state.enter(data, scope)
        return outcome if isinstance(outcome, Fork) else None
    state.reader.call(data, scope)
    found = request.configuration.get("mapItemReaderData")
    fork = None if found is None else state.spread([found], data, scope)
    return fork if isinstance(fork, Fork) else None


def _tell_items(state: Map, request: Request, fork: Fork, scope: TrialScope, told: dict[str, JSON]) -> None:
    """What is left of the items after each stage that the state has."""
    single = fork.single or fork
    if state.reader is None:
        if request.by_path:
            told["afterItemsPath"] = single.items
    elif state.reader.pointer:
        told["afterItemsPointer"] = single.items
    if state.selector is not None:
        told["afterItemSelector"] = state.selected(single, scope)
    if state.batcher is not None:
        told["afterItemBatcher"] = fork.items
