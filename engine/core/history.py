"""History events in the shape of AWS's GetExecutionHistory.

While a flow runs, an event is a tuple of references to values: no text is made and nothing is copied. `render` turns
such tuples into what AWS answers: dictionaries with ids, a timestamp and `<kind>EventDetails`, in which input, output
and parameters are JSON texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.core.events import HistoryEvent
from engine.states.moments import moment
from engine.values import JSON, dump

TEXTS = frozenset({"input", "output", "parameters", "taskCredentials"})
"""Details that AWS gives as JSON text."""

TRUNCATABLE = frozenset({"input", "output"})


def details_key(kind: str) -> str:
    """The name of the details object of an event type: TaskStateEntered -> stateEnteredEventDetails."""
    for ending in ("StateEntered", "StateExited"):
        if kind.endswith(ending):
            kind = ending
    if kind.startswith("MapIteration"):
        return f"mapIteration{kind.removeprefix('MapIteration')}EventDetails"
    return f"{kind[0].lower()}{kind[1:]}EventDetails"


def render(events: Iterable[HistoryEvent]) -> list[dict[str, Any]]:
    """GetExecutionHistory's `events`, oldest first. Timestamps are aware datetimes in UTC."""
    return [_render(*event) for event in events]


def _render(number: int, previous: int, time: float, kind: str, details: dict[str, JSON] | None) -> dict[str, Any]:
    event: dict[str, Any] = {
        "timestamp": moment(time),
        "type": kind,
        "id": number,
        "previousEventId": previous,
    }
    if details is not None:
        event[details_key(kind)] = _details(details)
    return event


def _details(details: dict[str, JSON]) -> dict[str, JSON]:
    shown: dict[str, JSON] = {}
    for name, value in details.items():
        if name == "note":
            continue
        if name in TEXTS:
            shown[name] = dump(value)
            if name in TRUNCATABLE:
                shown[f"{name}Details"] = {"truncated": False}
        elif name == "assignedVariables":
            shown[name] = {variable: dump(content) for variable, content in value.items()}
            shown["assignedVariablesDetails"] = {"truncated": False}
        else:
            shown[name] = value
    return shown
