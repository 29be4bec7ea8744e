"""The lifecycle of a booking, read from lifecycle.yaml and checked: the only place that decides status changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

NO_EVENT = "-"


class ImpossibleTransition(Exception):
    """The lifecycle has no such edge."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed change. `event` is None when it emits none; several `targets` mean that the caller chooses."""

    source: str
    trigger: str
    targets: tuple[str, ...]
    event: str | None


class Lifecycle:
    """Statuses and edges. Raises ValueError when the table contradicts itself."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        states: dict[str, dict[str, Any]] = table["states"]
        self.initial: str = table["initial"]
        self.initial_event: str = table["initial_event"]
        self.statuses = frozenset(states)
        self.terminal = frozenset(name for name, facts in states.items() if facts.get("terminal"))
        self.needs_ride = frozenset(name for name, facts in states.items() if facts.get("ride_ref") == "required")
        self.rank: dict[str, int] = {name: facts["rank"] for name, facts in states.items() if "rank" in facts}
        self.edges: dict[tuple[str, str], Edge] = {}
        for row in table["transitions"]:
            for source in _as_list(row["from"]):
                self._add(source, row)
        self._check()

    def edge(self, status: str, trigger: str) -> Edge:
        """The edge of `trigger` out of `status`. Raises ImpossibleTransition."""
        try:
            return self.edges[status, trigger]
        except KeyError:
            raise ImpossibleTransition(f"a booking that is {status} knows no {trigger}") from None

    def target(self, status: str, trigger: str, to: str | None = None) -> str:
        """The status after `trigger`; `to` chooses where the edge leaves a choice. Raises ImpossibleTransition."""
        targets = self.edge(status, trigger).targets
        chosen = to if to is not None else targets[0]
        if chosen not in targets or (to is None and len(targets) > 1):
            raise ImpossibleTransition(f"{trigger} leads from {status} to one of {', '.join(targets)}, not to {to}")
        return chosen

    def _add(self, source: str, row: Mapping[str, Any]) -> None:
        targets = (source,) if row["to"] == "SAME" else tuple(_as_list(row["to"]))
        event = None if row["emit"] == NO_EVENT else row["emit"]
        if (source, row["trigger"]) in self.edges:
            raise ValueError(f"the lifecycle has two edges for {row['trigger']} out of {source}")
        self.edges[source, row["trigger"]] = Edge(source, row["trigger"], targets, event)

    def _check(self) -> None:
        named = {self.initial} | {name for edge in self.edges.values() for name in (edge.source, *edge.targets)}
        if named != self.statuses:
            raise ValueError(f"statuses declared and statuses used differ: {sorted(named ^ self.statuses)}")
        for edge in self.edges.values():
            if edge.source in self.terminal:
                raise ValueError(f"{edge.source} is terminal but has the edge {edge.trigger}")
            if edge.event is None and self.terminal & set(edge.targets):
                raise ValueError(f"{edge.trigger} ends the booking without an event")
        lost = self.statuses - self._reachable()
        if lost:
            raise ValueError(f"no path leads to {sorted(lost)}")

    def _reachable(self) -> set[str]:
        found = {self.initial}
        while True:
            further = {to for edge in self.edges.values() if edge.source in found for to in edge.targets} - found
            if not further:
                return found
            found |= further


@cache
def lifecycle() -> Lifecycle:
    """The lifecycle of this project's bookings."""
    import yaml

    return Lifecycle(yaml.safe_load(Path(__file__).with_name("lifecycle.yaml").read_text(encoding="utf-8")))


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
