"""The fault plan: which call meets which fault. Pure and seeded.

An entry of the plan reads ``{op, match, nth, times, probability, fault, params}``:

* ``op`` is an operation of the contract or ``webhook``; ``*`` and other globs are allowed. Left out, it is the only
  one that the fault can strike, else createRide.
* ``match`` maps facts of the call (client_reference, ride_id, status, type) to globs; all must fit.
* ``nth`` is the first call that it strikes, counting the calls that fit; ``times`` how often it strikes (once with
  ``nth``, always without); ``probability`` lets it strike only now and then.
* A number in ``params`` may be ``[low, high]``: drawn anew each time.

A call meets at most one fault of each stage, from the first entry that strikes; later entries of that stage do not
even count it. What is drawn depends on the seed, the entry and the how-manieth call of its client_reference this is,
so that bookings that run side by side do not disturb each other's luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from random import Random
from typing import Any, TypeVar

from steps.simulator.contract import OPERATIONS

CALLS = OPERATIONS
WEBHOOK = "webhook"


class Stage(Enum):
    """Where a fault strikes: before the work, in the company's decision, on the wire, or on a webhook."""

    DELAY = "delay"
    WORLD = "world"
    WIRE = "wire"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """``params``: names and defaults. ``play``: the function that does it; its shape belongs to the stage."""

    name: str
    stage: Stage
    ops: tuple[str, ...]
    params: Mapping[str, Any]
    play: Callable[..., Any]
    doc: str


KINDS: dict[str, FaultKind] = {}
Play = TypeVar("Play", bound=Callable[..., Any])


def fault(name: str, stage: Stage, ops: Sequence[str], **params: Any) -> Callable[[Play], Play]:
    """Declare a fault above the function that plays it: its stage, operations, parameters and their defaults."""

    def register(play: Play) -> Play:
        if name in KINDS:
            raise ValueError(f"the fault {name} is declared twice")
        KINDS[name] = FaultKind(name, stage, tuple(ops), params, play, (play.__doc__ or "").strip())
        return play

    return register


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """One line of the plan; see the head of this file."""

    op: str
    kind: FaultKind
    match: Mapping[str, Sequence[str]] = field(default_factory=dict)
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    params: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, op: str, facts: Mapping[str, str]) -> bool:
        return (
            op in self.kind.ops
            and fnmatchcase(op, self.op)
            and all(any(fnmatchcase(facts.get(name, ""), glob) for glob in globs) for name, globs in self.match.items())
        )

    def is_due(self, call: int, struck: int) -> bool:
        """Whether it may strike the ``call``-th fitting call, having struck ``struck`` times before."""
        if self.nth is not None:
            return self.nth <= call < self.nth + (self.times or 1)
        return self.times is None or struck < self.times


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that strikes, its parameters drawn.

    ``turn``: 0 for the first time its entry strikes, 1 for the second ...
    """

    kind: FaultKind
    params: Mapping[str, Any]
    turn: int


@dataclass(slots=True)
class FaultPlan:
    """The entries and what they have seen so far. ``hang_s`` replaces every entry's parameter of that name.

    ``struck`` counts by the fault's name, for those who want to know that it happened at all.
    """

    seed: int
    entries: list[FaultEntry]
    hang_s: float | None = None
    struck: Counter[str] = field(default_factory=Counter)
    _seen: Counter[int] = field(default_factory=Counter)
    _struck: Counter[int] = field(default_factory=Counter)
    _calls: Counter[tuple[int, str]] = field(default_factory=Counter)

    def strikes(self, op: str, facts: Mapping[str, str]) -> dict[Stage, Strike]:
        """The faults that this call meets, by stage; counts the call."""
        found: dict[Stage, Strike] = {}
        for index, entry in enumerate(self.entries):
            if entry.kind.stage in found or not entry.fits(op, facts):
                continue
            self._seen[index] += 1
            reference = facts.get("client_reference", "")
            self._calls[index, reference] += 1
            random = Random(f"{self.seed}/{index}/{op}/{reference}/{self._calls[index, reference]}")
            if entry.is_due(self._seen[index], self._struck[index]) and random.random() < entry.probability:
                found[entry.kind.stage] = Strike(entry.kind, self._drawn(entry, random), self._struck[index])
                self._struck[index] += 1
                self.struck[entry.kind.name] += 1
        return found

    def _drawn(self, entry: FaultEntry, random: Random) -> dict[str, Any]:
        params = {**entry.kind.params, **entry.params}
        if self.hang_s is not None and "hang_s" in params:
            params["hang_s"] = self.hang_s
        return {
            name: random.uniform(*value) if _is_range(value, entry.kind.params[name]) else value
            for name, value in params.items()
        }


def _is_range(value: Any, default: Any) -> bool:
    return isinstance(value, (list, tuple)) and isinstance(default, float)
