"""The interpreter alone, in memory, full history kept."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.floor import calls
from bench.flows import TEN_STATES, TEN_STATES_JMESPATH, TEN_STATES_JSONATA, each
from bench.rates import rate
from bench.settings import Settings
from bench.table import Figure
from engine import StateMachine, load_flow, simulate
from engine.definition import read_document

TARGETS = {"JSONPath": 300_000, "JMESPath": 100_000, "JSONata": 100_000}
FLOWS = {"JSONPath": TEN_STATES, "JMESPath": TEN_STATES_JMESPATH, "JSONata": TEN_STATES_JSONATA}
LOAD_TARGET = 15
"""Milliseconds for a flow of 100 states."""
MAP_TARGET = 100_000


def measure(settings: Settings) -> Iterator[Figure]:
    """Transitions a second of a flow of ten states, four of them tasks; items a second of a Map; loading a flow."""
    floor = calls(settings.seconds)
    for label, text in FLOWS.items():
        found = _transitions(load_flow(text), settings.seconds)
        yield Figure(f"ten states, {label}", found, "transitions/s", TARGETS[label], floor=floor)
    for items in (1_000, 10_000, 100_000):
        yield Figure(f"Map of {items:,}", _items(settings.size(items), settings.seconds), "items/s", MAP_TARGET)
    for label, text in (("YAML", _long(100)), ("JSON", json.dumps(read_document(_long(100)).value))):
        spent = 1000 / rate(lambda text=text: 1 if load_flow(text) else 0, 1)  # type: ignore[misc]
        yield Figure(f"load a flow of 100 states, {label}", spent, "ms", LOAD_TARGET, most=True)


def _transitions(machine: StateMachine, seconds: float) -> float:
    data = {"id": 7, "name": "x"}

    def work() -> int:
        for _ in range(50):
            outcome = simulate(machine, data, tasks=lambda call: {"id": 1})
        assert outcome.status == "SUCCEEDED", outcome
        return 50 * 10

    return rate(work, seconds)


def _items(items: int, seconds: float) -> float:
    machine = load_flow(each())
    data = [number % 10 for number in range(items)]

    def work() -> int:
        assert simulate(machine, data, history_limit=10_000_000).output == data
        return items

    return rate(work, seconds)


def _long(states: int) -> str:
    lines = ["StartAt: S0", "States:"]
    for number in range(states):
        lines += [
            f"  S{number}:",
            "    Type: Task",
            "    Resource: step:work",
            "    Parameters:",
            "      id.$: $.id",
            "      name.$: States.Format('{}-{}', $.name, $.id)",
            "    ResultPath: $.result",
            "    Retry: [{ErrorEquals: [Taxi.NotSent], IntervalSeconds: 1, MaxAttempts: 3}]",
            "    End: true" if number == states - 1 else f"    Next: S{number + 1}",
        ]
    return "\n".join(lines) + "\n"
