"""Syntax tree to closures, so that a run neither walks a tree nor makes the scope into an object.

A path that starts at the scope (`states.input.order.id`, `limit`) is read straight from it. Everything else is one
closure per node over (current value, run). The meaning is JMESPath's, with one addition: to order strings with `<` is
an error (JMESPath leaves it open, and times in different zones would sort wrongly); other non-numbers give null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from engine.errors import ExpressionSyntaxError
from engine.query import UNSET
from engine.query.jmespath.evaluation import EvaluationError, Names, Run, is_number, states_object, truthy, whole
from engine.query.jmespath.functions import FUNCTIONS
from engine.query.jmespath.registry import Callback, Node
from engine.query.jmespath.syntax import SyntaxNode, parse, similar, walk
from engine.values import JSON, type_name

Path = tuple[str | int, ...]
Read = Callable[[Names], JSON]

MAX_COPIES = 64
"""A result that can hold its input more often than this is measured before it is handed out."""

_MEMBERS: dict[str | int, Read] = {
    "input": lambda scope: scope.input,
    "result": lambda scope: None if scope.result is UNSET else scope.result,
    "errorOutput": lambda scope: None if scope.error_output is UNSET else scope.error_output,
    "context": lambda scope: scope.context,
}


class Compiled(NamedTuple):
    """A compiled expression.

    `read` is set instead of `node` for a plain path from the scope. `paths` maps what the expression reads from the
    scope to the first place in the text where it does.
    """

    read: Read | None
    node: Node
    paths: dict[Path, int]
    multiplies: bool

    def evaluate(self, scope: Names) -> JSON:
        """The expression's value. Raises EvaluationError."""
        if self.read is not None:
            return self.read(scope)
        run = Run(scope)
        try:
            value = self.node(None, run)
            if self.multiplies:
                run.measure(value)
        except OverflowError:
            raise EvaluationError("A number is too large.") from None
        except RecursionError:
            raise EvaluationError("A value is nested too deeply.") from None
        return value


@lru_cache(maxsize=1024)
def compile_text(text: str) -> Compiled:
    """Compile an expression without its delimiters. Raises ExpressionSyntaxError."""
    tree = parse(text)
    compiler = _Compiler()
    path = _absolute(tree)
    node = compiler.node(tree, True)
    read = None if path is None else _reader(path)
    return Compiled(read, node, compiler.paths, _copies(tree) > MAX_COPIES)


class _Compiler:
    """Makes the closures; `rooted` says that the current value of a node is the scope itself."""

    def __init__(self) -> None:
        self.paths: dict[Path, int] = {}

    def node(self, tree: SyntaxNode, rooted: bool) -> Node:
        path = _absolute(tree, rooted)
        if path is not None:
            return self._from_scope(path, _start(tree))
        make: Callable[[SyntaxNode, bool], Node] = getattr(self, f"_{tree['type']}")
        return make(tree, rooted)

    def _all(self, trees: Sequence[SyntaxNode], rooted: bool) -> list[Node]:
        return [self.node(tree, rooted) for tree in trees]

    def _from_scope(self, path: Path, start: int) -> Node:
        if path[:1] == ("states",) and len(path) > 1 and path[1] not in _MEMBERS:
            hint = similar(str(path[1]), map(str, _MEMBERS)) or f"there are {', '.join(map(str, _MEMBERS))}"
            raise ExpressionSyntaxError(f"'states' has no member '{path[1]}'", start, hint)
        self.paths.setdefault(path, start)
        read = _reader(path)
        if path:
            return lambda _, run: read(run.scope)
        return lambda _, run: run.root

    def _literal(self, tree: SyntaxNode, rooted: bool) -> Node:
        value = tree["value"]
        return lambda _, run: value

    def _current(self, tree: SyntaxNode, rooted: bool) -> Node:
        return lambda value, run: value

    _identity = _current

    def _field(self, tree: SyntaxNode, rooted: bool) -> Node:
        name = tree["value"]
        return lambda value, run: value.get(name) if isinstance(value, dict) else None

    def _index(self, tree: SyntaxNode, rooted: bool) -> Node:
        place = tree["value"]
        return lambda value, run: _item(value, place)

    def _slice(self, tree: SyntaxNode, rooted: bool) -> Node:
        part = slice(*tree["children"])

        def cut(value: JSON, run: Run) -> JSON:
            if not isinstance(value, list):
                return None
            found = value[part]
            run.charge(len(found))
            return found

        return cut

    def _chain(self, tree: SyntaxNode, rooted: bool) -> Node:
        first, *rest = tree["children"]
        head, tail = self.node(first, rooted), self._all(rest, False)

        def follow(value: JSON, run: Run) -> JSON:
            value = head(value, run)
            for step in tail:
                value = step(value, run)
            return value

        return follow

    _subexpression = _index_expression = _pipe = _chain

    def _multi_select_list(self, tree: SyntaxNode, rooted: bool) -> Node:
        nodes = self._all(tree["children"], rooted)
        return lambda value, run: None if value is None and not rooted else [node(value, run) for node in nodes]

    def _multi_select_dict(self, tree: SyntaxNode, rooted: bool) -> Node:
        pairs = [(pair["value"], self.node(pair["children"][0], rooted)) for pair in tree["children"]]
        return lambda value, run: (
            None if value is None and not rooted else {key: node(value, run) for key, node in pairs}
        )

    def _or_expression(self, tree: SyntaxNode, rooted: bool) -> Node:
        left, right = self._all(tree["children"], rooted)

        def either(value: JSON, run: Run) -> JSON:
            found = left(value, run)
            return found if truthy(found) else right(value, run)

        return either

    def _and_expression(self, tree: SyntaxNode, rooted: bool) -> Node:
        left, right = self._all(tree["children"], rooted)

        def both(value: JSON, run: Run) -> JSON:
            found = left(value, run)
            return right(value, run) if truthy(found) else found

        return both

    def _not_expression(self, tree: SyntaxNode, rooted: bool) -> Node:
        inner = self.node(tree["children"][0], rooted)
        return lambda value, run: not truthy(inner(value, run))

    def _comparator(self, tree: SyntaxNode, rooted: bool) -> Node:
        left, right = self._all(tree["children"], rooted)
        if tree["value"] == "eq":
            return lambda value, run: run.equal(left(value, run), right(value, run))
        if tree["value"] == "ne":
            return lambda value, run: not run.equal(left(value, run), right(value, run))
        sign, compare = _ORDER[tree["value"]]
        return lambda value, run: _ordered(sign, compare, left(value, run), right(value, run))

    def _flatten(self, tree: SyntaxNode, rooted: bool) -> Node:
        inner = self.node(tree["children"][0], rooted)

        def flat(value: JSON, run: Run) -> JSON:
            base = inner(value, run)
            if not isinstance(base, list):
                return None
            merged: list[JSON] = []
            for item in base:
                run.charge(len(item) if isinstance(item, list) else 1)
                merged.extend(item if isinstance(item, list) else (item,))
            return merged

        return flat

    def _projection(self, tree: SyntaxNode, rooted: bool) -> Node:
        base, body = self.node(tree["children"][0], rooted), self.node(tree["children"][1], False)
        cost = _weight(tree["children"][1])

        def project(value: JSON, run: Run) -> JSON:
            items = base(value, run)
            if not isinstance(items, list):
                return None
            run.charge(len(items) * cost)
            return [found for item in items if (found := body(item, run)) is not None]

        return project

    def _value_projection(self, tree: SyntaxNode, rooted: bool) -> Node:
        base, body = self.node(tree["children"][0], rooted), self.node(tree["children"][1], False)
        cost = _weight(tree["children"][1])

        def project(value: JSON, run: Run) -> JSON:
            fields = base(value, run)
            if not isinstance(fields, dict):
                return None
            run.charge(len(fields) * cost)
            return [found for item in fields.values() if (found := body(item, run)) is not None]

        return project

    def _filter_projection(self, tree: SyntaxNode, rooted: bool) -> Node:
        base = self.node(tree["children"][0], rooted)
        body, condition = self._all(tree["children"][1:], False)
        cost = _weight(tree["children"][1]) + _weight(tree["children"][2])

        def keep(value: JSON, run: Run) -> JSON:
            items = base(value, run)
            if not isinstance(items, list):
                return None
            run.charge(len(items) * cost)
            kept = (body(item, run) for item in items if truthy(condition(item, run)))
            return [found for found in kept if found is not None]

        return keep

    def _function_expression(self, tree: SyntaxNode, rooted: bool) -> Node:
        function = FUNCTIONS[tree["value"]]
        makers = [
            self._argument(child, rooted, function.parameter(place).types)
            for place, child in enumerate(tree["children"])
        ]
        return lambda value, run: function.invoke([make(value, run) for make in makers], run)

    def _argument(self, tree: SyntaxNode, rooted: bool, types: tuple[str, ...]) -> Callable[[JSON, Run], Any]:
        if tree["type"] == "expref":
            body = tree["children"][0]
            callback = Callback(self.node(body, False), _weight(body))
            return lambda value, run: callback
        node = self.node(tree, rooted)
        return (lambda value, run: partial(node, value, run)) if types == ("lazy",) else node

    def _expref(self, tree: SyntaxNode, rooted: bool) -> Node:
        raise ExpressionSyntaxError("'&' makes sense only as an argument of a function", tree["start"])


_ORDER: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "lt": ("<", operator.lt),
    "lte": ("<=", operator.le),
    "gt": (">", operator.gt),
    "gte": (">=", operator.ge),
}


def _ordered(sign: str, compare: Callable[[Any, Any], bool], left: JSON, right: JSON) -> JSON:
    if is_number(left) and is_number(right):
        return compare(left, right)
    if left is None or right is None or not (isinstance(left, str) or isinstance(right, str)):
        return None
    raise EvaluationError(
        f"'{sign}' orders numbers, not values of type {type_name(left)} and {type_name(right)}; "
        "for times there is is_before()."
    )


def _field(value: JSON, name: str) -> JSON:
    return value.get(name) if isinstance(value, dict) else None


def _item(value: JSON, place: int) -> JSON:
    if not isinstance(value, list) or not -len(value) <= place < len(value):
        return None
    return value[place]


def _absolute(tree: SyntaxNode, rooted: bool = True) -> Path | None:
    """The path from the scope, when the node is nothing else."""
    kind = tree["type"]
    if kind == "root" or (rooted and kind in ("current", "identity")):
        return ()
    if kind == "field":
        return (tree["value"],) if rooted else None
    if kind in ("subexpression", "index_expression"):
        head = _absolute(tree["children"][0], rooted)
        tail = _steps(tree["children"][1:])
        if head is None or tail is None or (not head and isinstance(tail[0], int)):
            return None  # the scope is an object: an index into it gives null, the long way
        return head + tail
    return None


def _steps(trees: Sequence[SyntaxNode]) -> Path | None:
    """Plain fields and indexes as a path."""
    path: Path = ()
    for tree in trees:
        if tree["type"] in ("field", "index"):
            path += (tree["value"],)
            continue
        inner = _steps(tree["children"]) if tree["type"] in ("subexpression", "index_expression") else None
        if inner is None:
            return None
        path += inner
    return path


def _start(tree: SyntaxNode) -> int:
    while "start" not in tree and tree["children"]:
        tree = tree["children"][0]
    return int(tree.get("start", 0))


def _reader(path: Path) -> Read:
    if not path:
        return whole
    name, rest = str(path[0]), path[1:]
    if name != "states":
        return _follow(lambda scope: scope.variables.get(name), rest)
    if not rest:
        return states_object
    return _follow(_MEMBERS[rest[0]], rest[1:])


def _follow(read: Read, steps: Sequence[str | int]) -> Read:
    if not steps:
        return read
    if any(isinstance(step, int) for step in steps):
        return lambda scope: _descend(read(scope), steps)

    def fields(scope: Names) -> JSON:
        value = read(scope)
        for step in steps:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    return fields


def _descend(value: JSON, steps: Sequence[str | int]) -> JSON:
    for step in steps:
        value = _item(value, step) if isinstance(step, int) else _field(value, step)
    return value


def _weight(tree: SyntaxNode) -> int:
    """The number of nodes: what one evaluation of a loop's body costs outside inner loops."""
    return sum(1 for _ in walk(tree))


def _copies(tree: SyntaxNode) -> int:
    """How often, at most, the result can hold the same part of the input."""
    kind, children = tree["type"], tree["children"]
    if kind in ("comparator", "not_expression", "slice"):
        return 1
    counts = [_copies(child) for child in children]
    if kind == "function_expression" and FUNCTIONS[tree["value"]].multiplies:
        return MAX_COPIES + 1
    if kind in ("multi_select_list", "multi_select_dict", "function_expression"):
        return sum(counts)
    if kind in ("or_expression", "and_expression"):
        return max(counts)
    product = 1
    for count in counts:
        product *= count
    return product
