"""Paths, compiled to closures.

A definite path gives its value or NoMatch. Any other path gives a list, also of one value or none; on its way a
missing member is passed over, while a step that does not fit (a name asked of a number) is NoMatch, except below the
elements that `[*]` takes from an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from engine.errors import ExecutionFailure
from engine.query import Evaluate, Expression, NoMatch, Scope
from engine.query.jsonpath.parser import Parsed, parse_path
from engine.query.jsonpath.steps import (
    MISSES,
    Accept,
    Definite,
    Filter,
    FromEnd,
    Indexes,
    Mark,
    Named,
    Names,
    Slice,
    Step,
    element,
    explain,
    follow,
    fragment,
    no_property,
    not_array,
    out_of_bounds,
    render,
    shown,
)
from engine.values import JSON

MAX_VISITS = 1_000_000
"""Most values that the `..` of one path may look at: several of them in one path multiply."""

Select = Callable[[JSON], JSON]
Trail = tuple["Trail", Named] | None
"""The concrete steps from the root to a value, last one outermost; only messages read it."""


class Unfit(NoMatch):
    """A filter was applied to a primitive; `[*]` does not pass over that."""


class Search:
    """One evaluation of an indefinite path."""

    __slots__ = ("hits", "root", "visits")

    def __init__(self, root: JSON) -> None:
        self.root = root
        self.hits: list[JSON] = []
        self.visits = 0


Visit = Callable[[JSON, Trail, Search], None]


class Path(Expression):
    """A compiled path; `evaluate` raises NoMatch when nothing is found.

    `root` is `$`, `$$` or `$name`. `definite`: the result is one value, not a list. `steps` are the names and indexes
    of a reference path, and None when the path has any other step.
    """

    __slots__ = ("definite", "root", "steps")

    def __init__(self, source: str, parsed: Parsed) -> None:
        super().__init__(source, _rooted(parsed), parsed.references)
        self.definite = parsed.definite is not None
        self.root = parsed.root
        plain = tuple(step for step in parsed.steps if isinstance(step, str | int))
        self.steps = plain if len(plain) == len(parsed.steps) else None


@lru_cache(maxsize=4096)
def path(text: str) -> Path:
    """Compile a path from `$`, `$$` or `$name`. Raises ExpressionSyntaxError."""
    return Path(text.rstrip(), parse_path(text))


def _rooted(parsed: Parsed) -> Evaluate:
    """The closure for a root; paths into the data are the fast ones."""
    steps = parsed.steps
    if parsed.root == "$" and all(type(step) is str for step in steps):
        return _names(tuple(step for step in steps if isinstance(step, str)))
    select = _indefinite(steps) if parsed.definite is None else _definite(parsed.definite)
    if parsed.root == "$":
        return lambda data, scope: select(data)
    if parsed.root == "$$":
        return lambda data, scope: select(scope.context)
    return _variable(parsed.root[1:], select)


def _names(names: tuple[str, ...]) -> Evaluate:
    if not names:
        return lambda data, scope: data
    if len(names) == 1:
        name = names[0]

        def member(data: JSON, scope: Scope) -> JSON:
            try:
                return data[name]
            except MISSES:
                raise NoMatch(explain(names, data)) from None

        return member

    def members(data: JSON, scope: Scope) -> JSON:
        value = data
        try:
            for name in names:
                value = value[name]
        except MISSES:
            raise NoMatch(explain(names, data)) from None
        return value

    return members


def _variable(name: str, select: Select) -> Evaluate:
    def evaluate(data: JSON, scope: Scope) -> JSON:
        variables = scope.variables
        if name not in variables:
            raise NoMatch(f"No results for path: ${name}")
        return select(variables[name])

    return evaluate


def _definite(steps: Sequence[Definite]) -> Select:
    def select(value: JSON) -> JSON:
        try:
            return follow(steps, value)
        except MISSES:
            raise NoMatch(explain(steps, value)) from None

    return select


def _indefinite(steps: Sequence[Step]) -> Select:
    visits: list[Visit] = [_collect]  # of the steps from the end of the path up to here
    for position in range(len(steps) - 1, -1, -1):
        step = steps[position]
        if step is not Mark.DESCEND:
            visits.append(_visit(step, visits[-1]))
            continue
        target = steps[position + 1]
        # A filter chooses the values below by itself, so `..` goes on with the step after it.
        visits.append(_descend(target, visits[-2] if isinstance(target, Filter) else visits[-1]))
    visit = visits[-1]

    def select(value: JSON) -> JSON:
        search = Search(value)
        visit(value, None, search)
        return search.hits

    return select


def _collect(value: JSON, trail: Trail, search: Search) -> None:
    search.hits.append(value)


def _where(trail: Trail) -> str:
    steps = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return render(steps[::-1])


def _visit(step: Step, following: Visit) -> Visit:
    match step:
        case str() | Names():
            return _member(step, following)
        case int() | FromEnd() | Indexes():
            return _elements(step, following)
        case Slice():
            return _slice(step, following)
        case Filter():
            return _filter(step, following)
        case _:
            return _every(following)


def _member(step: str | Names, following: Visit) -> Visit:
    def visit(value: JSON, trail: Trail, search: Search) -> None:
        if not isinstance(value, dict):
            raise NoMatch(no_property(step, _where(trail)))
        if isinstance(step, Names):
            following(step.pick(value), (trail, step), search)
        elif step in value:
            following(value[step], (trail, step), search)

    return visit


def _elements(step: int | FromEnd | Indexes, following: Visit) -> Visit:
    def visit(value: JSON, trail: Trail, search: Search) -> None:
        if not isinstance(value, list):
            raise NoMatch(not_array(step, _where(trail), value))
        if isinstance(step, Indexes):
            chosen = step.indexes
        else:
            chosen = (len(value) - step.back if isinstance(step, FromEnd) else step,)
        for index in chosen:
            _one(value, index, trail, search, following)

    return visit


def _one(value: JSON, index: int, trail: Trail, search: Search, following: Visit) -> None:
    try:
        found = element(value, index)
    except IndexError:
        raise NoMatch(out_of_bounds(_where(trail), index)) from None
    following(found, (trail, index), search)


def _slice(step: Slice, following: Visit) -> Visit:
    start, stop = step

    def visit(value: JSON, trail: Trail, search: Search) -> None:
        if not isinstance(value, list):
            raise NoMatch(not_array(step, _where(trail), value))
        length = len(value)
        # Only an open end counts negative numbers from the end; between two edges Jayway takes them as they are.
        if stop is None:
            first, last = max(0, length + start if start is not None and start < 0 else start or 0), length
        elif start is None:
            first, last = 0, min(length, length + stop if stop < 0 else stop)
        else:
            first, last = start, min(length, stop)
        if length:
            for index in range(first, last):
                _one(value, index, trail, search, following)

    return visit


def _every(following: Visit) -> Visit:
    def visit(value: JSON, trail: Trail, search: Search) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                following(item, (trail, name), search)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                try:
                    following(item, (trail, index), search)
                except Unfit:
                    raise
                except NoMatch:
                    continue  # elements that do not fit are passed over

    return visit


def _filter(step: Filter, following: Visit) -> Visit:
    accept = step.accept

    def visit(value: JSON, trail: Trail, search: Search) -> None:
        if isinstance(value, dict):
            if accept(value, search.root):
                following(value, trail, search)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if accept(item, search.root):
                    following(item, (trail, index), search)
        else:
            raise Unfit(
                f"Filter: {fragment(step)} can not be applied to primitives. Current context is: {shown(value)}"
            )

    return visit


def _descend(target: Step, following: Visit) -> Visit:
    """`..`: every value below and including this one that the next step can be applied to, outermost first."""
    fits = _fits(target)

    def visit(value: JSON, trail: Trail, search: Search) -> None:
        pending = [(value, trail)] if isinstance(value, dict | list) else []
        while pending:
            value, trail = pending.pop()
            search.visits += 1
            if search.visits > MAX_VISITS:
                raise ExecutionFailure("States.Runtime", f"A path must not look at more than {MAX_VISITS} values")
            if fits(value, search.root):
                following(value, trail, search)
            pending.extend(reversed(_below(value, trail)))

    return visit


def _below(value: JSON, trail: Trail) -> list[tuple[JSON, Trail]]:
    """Where `..` looks next: all elements of an array, but of an object only what has values below itself."""
    if isinstance(value, list):
        return [(item, (trail, index)) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return [(item, (trail, name)) for name, item in value.items() if isinstance(item, dict | list)]
    return []


def _fits(target: Step) -> Accept:
    match target:
        case str():
            return lambda value, root: isinstance(value, dict) and target in value
        case Names(names):
            return lambda value, root: isinstance(value, dict) and all(name in value for name in names)
        case Filter(accept):
            return accept
        case Mark():
            return lambda value, root: isinstance(value, dict | list)
        case _:
            return lambda value, root: isinstance(value, list)
