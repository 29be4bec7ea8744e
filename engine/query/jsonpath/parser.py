"""The text of a path -> its steps.

The dialect is that of Jayway JsonPath 1.2.0, as AWS uses it: `$`, `.name` (anything up to a dot, a bracket or a
space), `['name']`, `['a','b']`, `[0]`, `[0,2]`, `[1:3]`, `[(@.length-1)]`, `*`, `..` and `[?(…)]`. There are no
functions, no double quotes, no spaces between steps, and no escapes inside names. The States Language adds two roots:
`$$` (the context object) and `$name` (a variable).
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from engine.errors import ExpressionSyntaxError
from engine.query.jsonpath import filters
from engine.query.jsonpath.steps import Accept, Definite, Filter, FromEnd, Indexes, Mark, Names, Slice, Step

MAX_LENGTH = 10_000
"""Longest text of one path or one function call, in characters."""

MAX_STEPS = 200
"""Most steps in a path; documents are not deeper."""

MAX_PARENTHESES = 20
"""Deepest nesting of parentheses in a filter."""

MAX_PATTERN = 500
"""Longest regular expression, in characters."""

FILTER_ROOT = re.compile(r"@|\$")
ROOT = re.compile(r"\$\$|\$[^\W\d]\w*|\$")
ALONE = re.compile(r"[^.\[\]' ]+")
IN_FILTER = re.compile(r"[^.\[\]'\s=!<>&|()~]+")
IN_CALL = re.compile(r"[^.\[\]'\s,()]+")

EVERY = re.compile(r"\[\*\]")
INDEXES = re.compile(r"\[ *(-?\d+(?: *, *-?\d+)*) *\]", re.ASCII)
SLICE = re.compile(r"\[ *(-?\d+)? *: *(-?\d+)? *\]", re.ASCII)
NAMES = re.compile(r"\[ *('[^']*'(?: *, *'[^']*')*) *\]")
NAME = re.compile(r"'([^']*)'")
FROM_END = re.compile(r"\[ *\( *@\.(?:length|size) *- *(\d+) *\) *\]", re.ASCII)
FILTER = re.compile(r"\[ *\? *\(")
FILTER_END = re.compile(r"\s*\) *\]")

SPACES = re.compile(r"\s*")
SYMBOL = re.compile(r"\s*(==|!=|>=|<=|=~|>|<)\s*")
OR, AND = re.compile(r"\s*\|\|"), re.compile(r"\s*&&")
QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
WORD = re.compile(r"[^\s&|()<>=!~'\"@$][^&|()<>=!~'\"]*")
PATTERN = re.compile(r"/((?:[^/\\]|\\.)*)/([a-z]*)")
FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
NESTED_REPEAT = re.compile(r"\([^()]*[*+}][^()]*\)[*+{]")

MAX_INDEX = 2**31 - 1
NO_PATHS: frozenset[str] = frozenset()


class Parsed(NamedTuple):
    """A path taken apart.

    `root` is `$`, `$$`, `$name` or (in a filter) `@`; `definite` the steps again when they are all definite, else None;
    `references` are all the paths that it reads.
    """

    root: str
    steps: tuple[Step, ...]
    definite: tuple[Definite, ...] | None
    references: frozenset[str]


def parse_path(text: str) -> Parsed:
    """A path that is the whole text; spaces at its end are ignored. Raises ExpressionSyntaxError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"A path must not be longer than {MAX_LENGTH} characters", MAX_LENGTH)
    cursor = Cursor(text)
    parsed = cursor.path(ALONE)
    rest = text[cursor.position :]
    if rest.strip():
        cursor.fail("Spaces are not allowed in a path" if rest[0].isspace() else f"{rest[0]!r} is not expected here")
    return parsed


class Cursor:
    """A position in a text, and the grammar read from there."""

    def __init__(self, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        """Raise ExpressionSyntaxError at the position."""
        raise ExpressionSyntaxError(message, self.position, hint)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Step over the pattern if it is next."""
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def path(self, names: re.Pattern[str], root: re.Pattern[str] = ROOT) -> Parsed:
        """A path from here to where it ends; `names` is what a name after a dot may be."""
        start = self.position
        opening = self.take(root)
        if opening is None:
            self.fail("A path starts with $", "write $.name, $$.name for the context object, $name for a variable")
        steps: list[Step] = []
        inner = NO_PATHS
        while True:
            following = self.text[self.position : self.position + 1]
            if following == ".":
                self._dot(steps, names)
            elif following == "[":
                step, read = self._bracket()
                steps.append(step)
                inner |= read
            else:
                break
            if len(steps) > MAX_STEPS:
                self.fail(f"A path must not have more than {MAX_STEPS} steps")
        definite = tuple(step for step in steps if isinstance(step, Definite))
        if any(isinstance(step, Names) for step in steps[:-1]):
            self.fail("Several names are only possible at the end of a path")
        references = inner | {self.text[start : self.position]}
        return Parsed(opening.group(), tuple(steps), definite if len(definite) == len(steps) else None, references)

    def _dot(self, steps: list[Step], names: re.Pattern[str]) -> None:
        """`.name`, `.*`, `..name`, `..*`; a dot before a bracket means nothing."""
        self.position += 1
        descends = self.text.startswith(".", self.position)
        if descends:
            self.position += 1
            steps.append(Mark.DESCEND)
        name = self.take(names)
        if name is not None:
            steps.append(Mark.EVERY if name.group() == "*" else name.group())
        elif not self.text.startswith("[", self.position):
            self.fail("A name is missing after the dot", "write names with spaces or quotes as ['the name']")

    def _bracket(self) -> tuple[Step, frozenset[str]]:
        if self.take(EVERY):
            return Mark.EVERY, NO_PATHS
        if found := self.take(INDEXES):
            numbers = tuple(map(self._index, found.group(1).split(",")))
            return (numbers[0] if len(numbers) == 1 else Indexes(numbers)), NO_PATHS
        if found := self.take(NAMES):
            names = tuple(NAME.findall(found.group(1)))
            return (names[0] if len(names) == 1 else Names(names)), NO_PATHS
        if found := self.take(SLICE):
            start, stop = (None if edge is None else self._index(edge) for edge in found.groups())
            if start is None and stop is None:
                self.fail("A slice needs a start or an end", "write [*] for all elements")
            return Slice(start, stop), NO_PATHS
        if found := self.take(FROM_END):
            return FromEnd(self._index(found.group(1))), NO_PATHS
        if self.take(FILTER):
            accept, read = self._condition(0)
            if not self.take(FILTER_END):
                self.fail("A filter ends with )]")
            return Filter(accept), read
        self.fail("This is no index, name, slice or filter", _bracket_hint(self.text, self.position))

    def _index(self, digits: str) -> int:
        if len(digits) > 12 or abs(int(digits)) > MAX_INDEX:
            self.fail(f"An index must not be greater than {MAX_INDEX}")
        return int(digits)

    def _condition(self, depth: int) -> tuple[Accept, frozenset[str]]:
        """Terms joined by `||`, each of factors joined by `&&`, which binds tighter."""
        if depth > MAX_PARENTHESES:
            self.fail(f"Parentheses must not be nested deeper than {MAX_PARENTHESES}")
        terms, read = [], NO_PATHS
        while True:
            factors = []
            while True:
                factor, paths = self._factor(depth)
                factors.append(factor)
                read |= paths
                if not self.take(AND):
                    break
            terms.append(factors[0] if len(factors) == 1 else filters.both(factors))
            if not self.take(OR):
                return (terms[0] if len(terms) == 1 else filters.either(terms)), read

    def _factor(self, depth: int) -> tuple[Accept, frozenset[str]]:
        self.take(SPACES)
        following = self.text[self.position : self.position + 1]
        if following == "(":
            self.position += 1
            accept, read = self._condition(depth + 1)
            self.take(SPACES)
            self._closing()
            return accept, read
        if following == "!":
            self.position += 1
            left, read = self._operand()
            if isinstance(left, str):
                self.fail("! stands before a path only")
            return filters.exists(left, False), read
        left, read = self._operand()
        symbol = self.take(SYMBOL)
        if symbol is None:
            if isinstance(left, str):
                self.fail("A comparison is missing after the literal")
            return filters.exists(left, True), read
        if symbol.group(1) == "=~":
            if isinstance(left, str):
                self.fail("=~ stands after a path")
            return filters.matches(left, self._pattern()), read
        right, others = self._operand()
        return filters.compare(left, symbol.group(1), right), read | others

    def _closing(self) -> None:
        if not self.text.startswith(")", self.position):
            self.fail("A closing parenthesis is missing")
        self.position += 1

    def _operand(self) -> tuple[filters.Read | str, frozenset[str]]:
        """A path from `@` or `$`, a quoted literal, or a bare one."""
        start = self.position
        following = self.text[start : start + 1]
        if following in ("@", "$"):
            parsed = self.path(IN_FILTER, FILTER_ROOT)
            if parsed.definite is None:
                self.position = start
                self.fail("A path inside a filter must lead to one value")
            paths = parsed.references if parsed.root == "$" else NO_PATHS
            return filters.reader(parsed.root, parsed.definite), paths
        if quoted := self.take(QUOTED):
            return quoted.group(1).replace("\\'", "'"), NO_PATHS
        if word := self.take(WORD):
            return word.group().rstrip(), NO_PATHS
        self.fail("An operand is missing", "texts stand in single quotes" if following == '"' else None)

    def _pattern(self) -> re.Pattern[str]:
        start = self.position
        found = self.take(PATTERN)
        if found is None:
            self.fail("A regular expression stands between slashes", "write =~ /pattern/ or =~ /pattern/i")
        self.position = start
        body, letters = found.groups()
        if set(letters) - set(FLAGS):
            self.fail(f"The flags of a regular expression are {', '.join(FLAGS)}")
        if len(body) > MAX_PATTERN or NESTED_REPEAT.search(body):
            self.fail("This regular expression could run for ever", "do not repeat a group that repeats")
        try:
            pattern = re.compile(body, sum(FLAGS[letter] for letter in set(letters)))
        except (re.error, OverflowError, RecursionError) as wrong:
            self.fail(f"This is no regular expression: {wrong}")
        self.position = found.end()
        return pattern


def _bracket_hint(text: str, position: int) -> str | None:
    if text.startswith('["', position):
        return "names stand in single quotes: ['name']"
    if text.startswith("[?", position):
        return "a filter is written [?(@.name == 'value')]"
    return None
