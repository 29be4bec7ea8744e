"""How the states of one machine hang together: StartAt, reachable states, and whether there is a way to an end."""

from __future__ import annotations

from engine.definition.document import Pointer
from engine.definition.reading import Scope
from engine.definition.wording import shorten
from engine.values import JSON

NESTED = ("Branches", "ItemProcessor", "Iterator", "Parameters", "Arguments", "Result", "Output", "Assign")
"""Fields in which Next is no transition of the state."""


def check(scope: Scope, pointer: Pointer, start_at: str | None) -> None:
    """Report an unknown StartAt, states that nothing leads to, and machines that cannot end."""
    if start_at is not None and start_at not in scope.names:
        scope.unknown(start_at, (*pointer, "StartAt"))
    after = {name: [to for to, _ in found if to in scope.names] for name, found in scope.targets.items()}
    before: dict[str, list[str]] = {}
    for name, targets in after.items():
        for target in targets:
            before.setdefault(target, []).append(name)
    ends = [name for name in scope.names if name in scope.ends or len(after[name]) < len(scope.targets[name])]
    reached = _closure([name for name in scope.names if name == start_at], after)
    _report_unreachable(scope, pointer, start_at, reached)
    if not scope.names:
        return
    if not (ends if pointer else scope.ends):
        # As on AWS, only the outermost machine needs an end, and a transition to a state that is missing is none.
        said, hint = (
            "The machine has no state in which it can end",
            "give one state End: true, or add a Succeed or Fail",
        )
        severity = "warning" if pointer else "error"
        scope.reading.problem("no-end", said, (*pointer, "States"), hint=hint, severity=severity)
        return
    ending = _closure(ends, before)
    for name in scope.names:
        if name in reached and name not in ending:
            said = f"From {shorten(name)} no end can be reached"
            scope.reading.problem("endless-loop", said, (*pointer, "States", name), severity="warning")
            return


def _closure(start: list[str], edges: dict[str, list[str]]) -> set[str]:
    """Everything that can be reached from `start`."""
    found = set(start)
    waiting = list(start)
    while waiting:
        for name in edges.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _report_unreachable(scope: Scope, pointer: Pointer, start_at: str | None, reached: set[str]) -> None:
    """Each state that nothing leads to. Without a StartAt that exists there is nothing to reach."""
    if start_at not in scope.names:
        return
    for name in scope.names:
        if name not in reached:
            said = f"No transition leads to {shorten(name)}"
            scope.reading.problem("unreachable-state", said, (*pointer, "States", name))


def guess_targets(value: dict[str, JSON], pointer: Pointer) -> list[tuple[str, Pointer]]:
    """Where a state of no known type seems to lead, so that its mistake does not make others unreachable."""
    found: list[tuple[str, Pointer]] = []
    stack: list[tuple[JSON, Pointer]] = [(value, pointer)]
    while stack:
        current, where = stack.pop()
        members = current.items() if isinstance(current, dict) else enumerate(current)
        for key, member in members:
            if key in ("Next", "Default") and isinstance(member, str):
                found.append((member, (*where, key)))
            elif isinstance(member, dict | list) and key not in NESTED:
                stack.append((member, (*where, key)))
    return found
