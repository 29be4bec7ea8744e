"""Rule file to RuleSet, or all of its problems with line and column."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any, Final

from engine.definition import Document, read_document
from engine.errors import DefinitionError, ExpressionSyntaxError
from engine.query.jmespath.compiler import Compiled, Path, compile_text
from engine.query.jmespath.language import written
from engine.query.jmespath.syntax import similar
from engine.rules.model import Message, Overlay, Rule
from engine.rules.rule_set import RuleSet
from engine.values import JSON, canonical, type_name

_FILE: Final = {
    "version": "number|string",
    "description": "string",
    "context": "array",
    "recorded": "array",
    "phases": "array",
    "params": "object",
    "overlays": "array",
    "facts": "object",
    "rules": "array",
}
_OVERLAY: Final = {"dimension": "string", "key": "string", "values": "object"}
_RULE: Final = {
    "id": "string",
    "code": "string",
    "phase": "string",
    "http": "number",
    "when": "string",
    "assert": "string",
    "stop": "boolean",
    "pointer": "string",
    "message": "string",
}
_OPTIONAL: Final = frozenset({"description", "recorded", "params", "overlays", "facts", "when", "stop", "pointer"})

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
Pointer = tuple[str | int, ...]

RESERVED: Final = ("params", "facts", "now", "states")


def load_rules(path_or_text: str | FilePath) -> RuleSet:
    """Load a rule file, or its text. Raises DefinitionError with all its problems."""
    return _Loader(read_document(path_or_text)).load()


class _Loader:
    """Checks one document from top to bottom and keeps every problem found."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems = list(document.warnings)
        self.context: tuple[str, ...] = ()
        self.params: dict[str, JSON] = {}
        self.facts: dict[str, Compiled] = {}
        self.named_facts: list[str] = []
        self.phases: tuple[str, ...] = ()

    def load(self) -> RuleSet:
        self._fields(self.document.value, (), _FILE)
        self._refuse_if_wrong()
        value = self.document.value
        self.context = self._names(value["context"], ("context",), taken=RESERVED)
        self.phases = self._names(value["phases"], ("phases",))
        self.params = value.get("params", {})
        recorded = tuple(self._recorded(value.get("recorded", [])))
        overlays = tuple(self._overlays(value.get("overlays", [])))
        self._facts(value.get("facts", {}))
        rules = tuple(self._rules(value["rules"]))
        self._refuse_if_wrong()
        return RuleSet(
            version=value["version"],
            digest=hashlib.sha256(canonical(value).encode()).hexdigest(),
            context=self.context,
            recorded=recorded,
            params=self.params,
            overlays=overlays,
            facts=self.facts,
            facts_of={phase: self._needed(rule for rule in rules if rule.phase == phase) for phase in self.phases},
            rules_of={phase: tuple(rule for rule in rules if rule.phase == phase) for phase in self.phases},
            warnings=tuple(self.problems),
        )

    def _problem(self, code: str, message: str, pointer: Pointer, **place: Any) -> None:
        self.problems.append(self.document.problem(code, message, pointer, **place))

    def _refuse_if_wrong(self) -> None:
        if any(problem.severity == "error" for problem in self.problems):
            raise DefinitionError(self.problems)

    def _fields(self, value: JSON, pointer: Pointer, fields: dict[str, str]) -> bool:
        """Whether an object has its fields, each of its type, and no other."""
        if not self._is(value, pointer, "object"):
            return False
        sound = True
        for name in value:
            if name not in fields:
                self._problem(
                    "unknown-field",
                    f"there is no field '{name}' here",
                    (*pointer, name),
                    key=True,
                    hint=similar(name, fields),
                )
            else:
                sound &= self._is(value[name], (*pointer, name), fields[name])
        for name in fields.keys() - _OPTIONAL - value.keys():
            self._problem("missing-field", f"the field '{name}' is missing", pointer)
            sound = False
        return sound

    def _is(self, value: JSON, pointer: Pointer, types: str) -> bool:
        found = type_name(value)
        if found not in types.split("|"):
            self._problem("wrong-type", f"this must be of type {types.replace('|', ' or ')}, not {found}", pointer)
            return False
        return True

    def _names(self, values: list[JSON], pointer: Pointer, taken: Iterable[str] = ()) -> tuple[str, ...]:
        names: list[str] = []
        for place, name in enumerate(values):
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                self._problem("bad-name", "a name is made of letters, digits and '_'", (*pointer, place))
            elif name in taken or name in names:
                self._problem("bad-name", f"the name '{name}' is taken", (*pointer, place))
            else:
                names.append(name)
        return tuple(names)

    def _recorded(self, values: list[JSON]) -> Iterable[Path]:
        for place, text in enumerate(values):
            pointer = ("recorded", place)
            if self._is(text, pointer, "string") and (found := self._expression(text, pointer)):
                yield from found.paths

    def _overlays(self, overlays: list[JSON]) -> Iterable[Overlay]:
        for place, overlay in enumerate(overlays):
            pointer = ("overlays", place)
            if not self._fields(overlay, pointer, _OVERLAY):
                continue
            key = self._expression(overlay["key"], (*pointer, "key"), without=("params", "facts"))
            for value, changes in overlay["values"].items():
                self._changes(changes, (*pointer, "values", value))
            if key:
                yield Overlay(overlay["dimension"], key, overlay["values"])

    def _changes(self, changes: JSON, pointer: Pointer) -> None:
        if not self._is(changes, pointer, "object"):
            return
        for name, value in changes.items():
            if name not in self.params:
                self._problem(
                    "unknown-param",
                    f"there is no parameter '{name}'",
                    (*pointer, name),
                    key=True,
                    hint=similar(name, self.params),
                )
            else:
                self._is(value, (*pointer, name), type_name(self.params[name]))

    def _facts(self, facts: dict[str, JSON]) -> None:
        for name, text in facts.items():
            pointer = ("facts", name)
            if not _NAME.fullmatch(name):
                self._problem("bad-name", "a name is made of letters, digits and '_'", pointer, key=True)
            elif self._is(text, pointer, "string") and (found := self._expression(text, pointer)):
                self.facts[name] = found
            self.named_facts.append(name)

    def _rules(self, rules: list[JSON]) -> Iterable[Rule]:
        seen: dict[tuple[str, str], str] = {}
        for place, rule in enumerate(rules):
            pointer = ("rules", place)
            if not self._fields(rule, pointer, _RULE):
                continue
            for name in ("id", "code"):
                if (name, rule[name]) in seen:
                    self._problem("duplicate-rule", f"another rule has the {name} '{rule[name]}'", (*pointer, name))
                seen[name, rule[name]] = rule["id"]
            made = self._rule(rule, pointer)
            if made:
                yield made

    def _rule(self, rule: dict[str, Any], pointer: Pointer) -> Rule | None:
        if rule["phase"] not in self.phases:
            self._problem(
                "unknown-phase",
                f"there is no phase '{rule['phase']}'",
                (*pointer, "phase"),
                hint=similar(rule["phase"], self.phases),
            )
        if rule["http"] not in range(400, 600):
            self._problem("bad-status", "the status of a refusal is from 400 to 599", (*pointer, "http"))
        if not rule.get("pointer", "/").startswith("/"):
            self._problem("bad-pointer", "a JSON pointer begins with '/'", (*pointer, "pointer"))
        when = self._expression(rule["when"], (*pointer, "when")) if "when" in rule else None
        claim = self._expression(rule["assert"], (*pointer, "assert"))
        message = self._message(rule["message"], (*pointer, "message"))
        if claim is None:
            return None
        stop = rule.get("stop", False)
        return Rule(
            rule["id"], rule["code"], rule["phase"], rule["http"], when, claim, stop, rule.get("pointer"), message
        )

    def _message(self, text: str, pointer: Pointer) -> Message:
        texts: list[str] = []
        values: list[Compiled] = []
        end = 0
        for place in _PLACE.finditer(text):
            found = self._expression(place[1], pointer, offset=place.start(1))
            if found:
                texts.append(text[end : place.start()])
                values.append(found)
                end = place.end()
        texts.append(text[end:])
        for rest in texts:
            if "{" in rest or "}" in rest:
                self._problem("bad-message", "a brace without its partner", pointer)
                break
        return Message(tuple(texts), tuple(values))

    def _expression(self, text: str, pointer: Pointer, offset: int = 0, without: Iterable[str] = ()) -> Compiled | None:
        """Compile, and check every name that is read."""
        try:
            compiled = compile_text(text)
        except ExpressionSyntaxError as mistake:
            self._problem("bad-expression", mistake.message, pointer, offset=offset + mistake.offset, hint=mistake.hint)
            return None
        for path, start in compiled.paths.items():
            wrong = self._unknown(path, without)
            if wrong:
                self._problem("unknown-name", wrong[0], pointer, offset=offset + start, hint=wrong[1])
        return compiled

    def _unknown(self, path: Path, without: Iterable[str]) -> tuple[str, str | None] | None:
        """What is wrong with a path that is read, and a hint."""
        if not path:
            return "everything at once cannot be read here", "name what is read"
        known = {*self.context, *RESERVED[:3]} - {*without}
        name = str(path[0])
        if name not in known:
            return f"there is nothing named '{name}'", similar(name, known) or "a text stands between single quotes"
        table: Iterable[str] | None = {"params": self.params, "facts": self.named_facts}.get(name)
        if table is None or len(path) == 1 or str(path[1]) in table:
            return None
        return f"there is no '{written(path[:2])}' up to here", similar(str(path[1]), table)

    def _needed(self, rules: Iterable[Rule]) -> tuple[str, ...]:
        """The facts that rules read, directly or through other facts, in the order of the file."""
        needed: set[str] = set()
        for rule in rules:
            for expression in (rule.when, rule.claim, *rule.message.values):
                needed |= self._read_by(expression)
        for name in reversed(self.facts):
            if name in needed:
                needed |= self._read_by(self.facts[name])
        return tuple(name for name in self.facts if name in needed)

    def _read_by(self, expression: Compiled | None) -> set[str]:
        if expression is None:
            return set()
        whole = set(self.facts) if ("facts",) in expression.paths else set()
        return whole | {str(path[1]) for path in expression.paths if path[0] == "facts" and len(path) > 1}
