"""YAML as JSON with comments. Imported only when a document is YAML, since PyYAML takes its time to load.

PyYAML's composer (libyaml's, else the pure one) makes nodes with marks; here they become JSON, or problems.
"""

from __future__ import annotations

import importlib
import re
from typing import Any, Final

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from engine.definition.document import MAX_NODES, MAX_PROBLEMS, Document, Pointer
from engine.definition.wording import shorten
from engine.errors import DefinitionError, Problem
from engine.values import JSON, MAX_DEPTH

PLAIN: Final = ""
QUOTED: Final = '"'
UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
SEPARATOR: Final = re.compile("^---", re.MULTILINE)
MAX_DIGITS: Final = 1000
WORDS: Final[dict[str, JSON]] = {"true": True, "false": False, "null": None}
SUSPECT: Final = frozenset("0123456789-+.~=yYnNoOtTfF")
"""First characters of plain scalars that may be no text; those that begin with a letter are short."""
LONGEST_WORD: Final = len("false")

SURPRISING: Final = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE|~|Null|NULL|="
    r"|[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)?"
)
"""Plain scalars that YAML 1.1 reads as something else than a string (JSON's own scalars are looked up before)."""


class _Refused(Exception):
    """The document passes a limit while its nodes are made."""

    def __init__(self, code: str, message: str, index: int) -> None:
        super().__init__(code, message, index)
        self.code = code
        self.message = message
        self.index = index


class _Bounded:
    """The resolver of a composer: knows no tags, counts nodes and levels."""

    nodes = 0
    depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return PLAIN if kind is not yaml.ScalarNode or implicit[0] else QUOTED

    def descend_resolver(self, parent: Any, index: Any) -> None:
        self.nodes += 1
        self.depth += 1
        if self.depth > MAX_DEPTH + 1:
            raise _Refused("too-deep", f"Nested deeper than {MAX_DEPTH} levels", parent.start_mark.index)
        if self.nodes > MAX_NODES:
            raise _Refused("too-large", f"The document has more than {MAX_NODES:,} values", parent.start_mark.index)

    def ascend_resolver(self) -> None:
        self.depth -= 1


class PureComposer(_Bounded, Reader, Scanner, Parser, Composer):
    """PyYAML's composer in Python, for where libyaml is absent."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)


def fast_composer() -> type[Any]:
    if not yaml.__with_libyaml__:
        return PureComposer
    return type("FastComposer", (_Bounded, importlib.import_module("yaml._yaml").CParser), {})


COMPOSER: type[Any] = fast_composer()


def read_yaml(document: Document) -> None:
    """Parse the YAML text of a document into it. Raises DefinitionError with every mistake."""
    text = document.text or ""
    if found := UNPRINTABLE.search(text):
        raise document.refuse("bad-character", f"YAML does not allow the character {found[0]!r}", index=found.start())
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as wrong:
        raise _syntax_error(document, wrong) from None
    except _Refused as wrong:
        raise document.refuse(wrong.code, wrong.message, index=wrong.index) from None
    if root is None:
        raise document.refuse("bad-syntax", "The document is empty", index=0)
    reading = _Reading(document)
    document._locate = _Tree(root).locate
    document.value = reading.value(root)
    if reading.problems:
        raise DefinitionError(reading.problems)
    document.warnings = reading.warnings


def _compose(text: str) -> Any:
    """The root node, or None. Raises MarkedYAMLError or _Refused.

    libyaml has a limit of nested brackets of its own (1,000 levels since 0.2.6), which its scanner meets before the
    composer has come to ours. So where brackets may be too deep, the pure composer says what is wrong, and where.
    """
    try:
        return _root(COMPOSER(text), text)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        before = text[: mark.index] if mark else text
        opened = before.count("[") + before.count("{") - before.count("]") - before.count("}")
        if opened > MAX_DEPTH:
            _root(PureComposer(text), text)
        raise


def _root(composer: Any, text: str) -> Any:
    root = composer.get_node() if composer.check_node() else None
    if root is not None and composer.check_node():
        more = SEPARATOR.search(text, root.end_mark.index)
        raise _Refused("yaml-documents", "A second document begins here", more.start() if more else len(text))
    return root


def _syntax_error(document: Document, wrong: yaml.MarkedYAMLError) -> DefinitionError:
    text = document.text or ""
    mark = wrong.problem_mark or wrong.context_mark
    index = mark.index if mark else 0
    said = wrong.problem or wrong.context or "cannot be read"
    if wrong.problem and wrong.context:
        said = f"{wrong.context}, {wrong.problem}"
    hint = None
    if text[index : index + 1] == "\t":
        hint = "indent with spaces; YAML does not take tabs"
    elif "mapping values are not allowed" in said:
        hint = "quote a text that has a colon followed by a blank, and check the indentation"
    elif text[index : index + 1] in ("@", "`", "%"):
        hint = "quote a text that begins with this character"
    return document.refuse("bad-syntax", f"Not YAML: {said}", index=index, hint=hint)


class _Tree:
    """Finds places in composed nodes."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._members: dict[int, dict[Any, tuple[Any, Any]]] = {}

    def locate(self, pointer: Pointer, key: bool) -> int:
        """The index of a node or of its key, or of the nearest ancestor there is."""
        node = named = self._root
        for part in pointer:
            found = self._below(node).get(part)
            if found is None:
                key = False
                break
            named, node = found
        index: int = (named if key else node).start_mark.index
        return index

    def _below(self, node: Any) -> dict[Any, tuple[Any, Any]]:
        known = self._members.get(id(node))
        if known is None:
            if isinstance(node, yaml.MappingNode):
                known = {name.value: (name, value) for name, value in node.value if isinstance(name.value, str)}
            else:
                items = node.value if isinstance(node, yaml.SequenceNode) else ()
                known = {index: (item, item) for index, item in enumerate(items)}
            self._members[id(node)] = known
        return known


class _Reading:
    """Turns nodes into JSON and collects what is wrong with them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._path: list[str | int] = []
        self._done: dict[int, tuple[JSON, int]] = {}
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: Any) -> JSON:
        """The JSON of a node. Aliased nodes are read once and shared, but counted each time."""
        if isinstance(node, yaml.ScalarNode):
            self._nodes += 1
            return self._scalar(node)
        if id(node) in self._done:
            value, size = self._done[id(node)]
            self._nodes += size
            if self._nodes > MAX_NODES:
                said = f"With its aliases the document has more than {MAX_NODES:,} values"
                raise self.document.refuse("too-large", said, index=node.start_mark.index)
            return value
        if id(node) in self._open:
            self._wrong("yaml-alias", "The alias stands inside of what it stands for", node)
            return None
        before = self._nodes
        self._nodes += 1
        self._open.add(id(node))
        self._tagless(node)
        value = self._mapping(node) if isinstance(node, yaml.MappingNode) else self._sequence(node)
        self._open.discard(id(node))
        self._done[id(node)] = value, self._nodes - before
        return value

    def _sequence(self, node: Any) -> JSON:
        found = []
        for index, item in enumerate(node.value):
            self._path.append(index)
            found.append(self.value(item))
            self._path.pop()
        return found

    def _mapping(self, node: Any) -> JSON:
        found: dict[str, JSON] = {}
        for name, item in node.value:
            key = self._key(name)
            if key is None:
                continue
            self._path.append(key)
            if key in found:
                self._repeated(key, name, node)
            found[key] = self.value(item)
            self._path.pop()
        return found

    def _repeated(self, key: str, name: Any, node: Any) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            return  # to look for the first place is slow in large objects
        first = next(other for other, _ in node.value if other.value == key)
        line, column = self.document.place(first.start_mark.index)
        said = f"The key {shorten(key)} stands here for a second time; first in line {line}, column {column}"
        self._wrong("duplicate-key", said, name, hint="remove or rename one of them")

    def _key(self, node: Any) -> str | None:
        """The text of a key, or None with a problem."""
        if not isinstance(node, yaml.ScalarNode):
            self._wrong("bad-key", "A key is a text, no list or object", node)
            return None
        text: str = node.value
        if node.tag == PLAIN and text == "<<":
            hint = "write the fields out, or give the shared value as a whole: key: *name"
            self._wrong("yaml-merge", "Merge keys (<<) are no JSON", node, hint=hint)
            return None
        if node.tag == PLAIN and (not text or text in WORDS or NUMBER.fullmatch(text)):
            said = f"The key {shorten(text)} is no text" if text else "The key is missing"
            self._wrong("bad-key", said, node, hint="put it in quotes")
            return None
        self._scalar(node)
        return text

    def _scalar(self, node: Any) -> JSON:
        text: str = node.value
        if node.tag != PLAIN:
            self._tagless(node)
            return text
        if not text:
            self._warn("Nothing stands here; it is read as null", node, 'write null, or "" for an empty text')
            return None
        if text[0] not in SUSPECT or (len(text) > LONGEST_WORD and text[0].isalpha()):
            return text
        if text in WORDS:
            return WORDS[text]
        number = NUMBER.fullmatch(text)
        if number is not None:
            return self._number(node, number[1] is None and number[2] is None)
        if SURPRISING.fullmatch(text):
            said = f"{shorten(text)} is read as a text here, and as something else by other YAML readers"
            self._warn(said, node, "put it in quotes")
        return text

    def _number(self, node: Any, whole: bool) -> JSON:
        text: str = node.value
        if len(text) > MAX_DIGITS:
            self._wrong("bad-number", "The number has too many digits", node)
            return 0
        return int(text) if whole else float(text)

    def _tagless(self, node: Any) -> None:
        if node.tag not in (PLAIN, QUOTED):
            hint = "leave the tag away; a quoted scalar is a text"
            self._wrong("yaml-tag", f"Tags ({node.tag}) are not taken", node, hint=hint)

    def _wrong(self, code: str, message: str, node: Any, *, hint: str | None = None) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            index = node.start_mark.index
            self.problems.append(self.document.problem(code, message, tuple(self._path), index=index, hint=hint))

    def _warn(self, message: str, node: Any, hint: str) -> None:
        if len(self.warnings) < MAX_PROBLEMS:
            pointer, index = tuple(self._path), node.start_mark.index
            found = self.document.problem(
                "ambiguous-scalar", message, pointer, index=index, hint=hint, severity="warning"
            )
            self.warnings.append(found)
