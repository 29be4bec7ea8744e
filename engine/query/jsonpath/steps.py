"""The steps of a path, and how a definite path is followed.

A name is a `str`, a single index an `int`; the other kinds are the classes below. A path is definite when it leads to
at most one value: only names, single indexes, `['a','b']` and `[(@.length-1)]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from engine.values import JSON, dump

Accept = Callable[[JSON, JSON], bool]
"""A compiled filter: (the candidate, the root of the document) -> whether it is selected."""

MISSES = (KeyError, IndexError, TypeError)
"""What following a definite path raises where the path leads nowhere."""


class Names(NamedTuple):
    """`['a','b']`: an object of those members that exist."""

    names: tuple[str, ...]

    def pick(self, value: JSON) -> JSON:
        """Raises TypeError when the value is no object."""
        if not isinstance(value, dict):
            raise TypeError
        return {name: value[name] for name in self.names if name in value}


class FromEnd(NamedTuple):
    """`[(@.length-n)]`: an element counted from the end."""

    back: int

    def pick(self, value: JSON) -> JSON:
        """Raises TypeError when the value is no array and IndexError when there is no such element."""
        return element(value, len(value) - self.back) if isinstance(value, list) else element(value, 0)


class Indexes(NamedTuple):
    """`[0,2]`: those elements, all of which must exist."""

    indexes: tuple[int, ...]


class Slice(NamedTuple):
    """`[from:to]`: the elements that exist between the two."""

    start: int | None
    stop: int | None


class Filter(NamedTuple):
    """`[?(…)]`."""

    accept: Accept


class Mark(Enum):
    """Steps without a parameter."""

    EVERY = "[*]"
    DESCEND = ".."


Definite = str | int | Names | FromEnd
Named = Definite | Indexes | Slice | Filter
Step = Named | Mark


def element(value: JSON, index: int) -> JSON:
    """One element. Raises TypeError (no array) and IndexError; a negative index is outside, as on AWS."""
    if not isinstance(value, list):
        raise TypeError
    if index < 0:
        raise IndexError
    return value[index]


def follow(steps: Sequence[Definite], value: JSON) -> JSON:
    """The value at the end of a definite path. Raises one of MISSES."""
    for step in steps:
        if isinstance(step, str):
            value = value[step]
        elif isinstance(step, int):
            value = element(value, step)
        else:
            value = step.pick(value)
    return value


def explain(steps: Sequence[Definite], value: JSON) -> str:
    """Why following a path raised one of MISSES, in AWS's words."""
    position = next(index for index in range(len(steps)) if not _leads(steps[: index + 1], value))
    step, before = steps[position], render(steps[:position])
    value = follow(steps[:position], value)
    if isinstance(step, str | Names):
        if not isinstance(value, dict):
            return no_property(step, before)
        last = position == len(steps) - 1
        return f"{'No results for path:' if last else 'Missing property in path'} {before}{fragment(step)}"
    if not isinstance(value, list):
        return not_array(step, before, value)
    return out_of_bounds(before, len(value) - step.back if isinstance(step, FromEnd) else step)


def _leads(steps: Sequence[Definite], value: JSON) -> bool:
    try:
        follow(steps, value)
    except MISSES:
        return False
    return True


def no_property(step: Named, before: str) -> str:
    """A name was asked of something that is no object."""
    return f"Property {fragment(step)} not found in path {before}"


def not_array(step: Named, before: str, value: JSON) -> str:
    """An index was asked of something that is no array."""
    if value is None:
        return f"The path {before} is null"
    return f"Filter: {fragment(step)} can only be applied to arrays. Current context is: {shown(value)}"


def out_of_bounds(before: str, index: object) -> str:
    """An element does not exist."""
    return f"Index out of bounds when evaluating path {before}[{index}]"


def shown(value: JSON) -> str:
    """A value inside a message: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: JSON) -> str:
    """A value as JSON inside a message; `…` when it is nested too deeply to be written."""
    try:
        return dump(value)
    except RecursionError:
        return "…"


def render(steps: Sequence[Named]) -> str:
    """A path as AWS writes it in messages: `$['a'][0]`."""
    return "$" + "".join(map(fragment, steps))


def fragment(step: Named) -> str:
    """One step as AWS writes it in messages."""
    match step:
        case str():
            return f"['{step}']"
        case int():
            return f"[{step}]"
        case Names(names):
            return "['" + "', '".join(names) + "']"
        case FromEnd(back):
            return f"[@.size()-{back}]"
        case Indexes(indexes):
            return f"[{','.join(map(str, indexes))}]"
        case Slice(start, stop):
            return f"[{'' if start is None else start}:{'' if stop is None else stop}]"
        case _:
            return "[?]"
