"""A document becomes a state machine: the walk over machines and states, with the rules that concern them.

The states read their own fields (`engine.states`), through `ObjectFields`; here is what stands around them: names,
query languages, nested machines, and the checks of `graph`, `rules` and `lint` once everything is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import engine.states  # noqa: F401  registers the state types
from engine.definition import graph, lint, rules
from engine.definition.document import Document, Pointer
from engine.definition.fields import ObjectFields
from engine.definition.languages import Unavailable, find_language
from engine.definition.reading import Reading, Scope
from engine.definition.wording import describe, shorten
from engine.errors import Problem
from engine.machine import STATE_TYPES, State, StateMachine
from engine.query import LANGUAGES, QueryLanguage
from engine.values import JSON

MAX_NAME: Final = 80
"""Longest name of a state (AWS)."""

Steps = Mapping[str, Iterable[str]]
"""Step names to the error names each step declares."""


def read_machine(document: Document, steps: Steps | None, kind: str) -> tuple[StateMachine | None, list[Problem]]:
    """The machine of a document, and every problem in the order of the text.

    There is no machine where the document has none; where a problem is an error, the machine must not be run.
    """
    reading = Reading(document, steps, kind)
    machine = None
    try:
        machine = _Parser(reading).machine(document.value)
        lint.check(reading)
    except RecursionError:
        reading.problem("too-deep", "Nested too deeply to be read", ())
    return machine, reading.in_order()


class _Parser:
    """Reads the machines of one document."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.language: QueryLanguage = find_language("JSONPath")

    def machine(self, value: JSON) -> StateMachine | None:
        """The outermost machine."""
        if not isinstance(value, dict):
            self.reading.problem("wrong-type", f"A state machine is an object, not {describe(value)}", ())
            return None
        scope, fields = self._open(value, (), None)
        self.language = self._language(fields, self.language)
        version = fields.text("Version")
        timeout = fields.integer("TimeoutSeconds", minimum=1)
        return self._states(scope, fields, version=version or "1.0", timeout=timeout, source=value)

    def nested(self, value: JSON, pointer: Pointer, parent: Scope) -> StateMachine | None:
        """A branch, or an item processor. Its states have the outermost machine's language (AWS)."""
        if not isinstance(value, dict):
            self.reading.problem("wrong-type", f"A state machine is an object, not {describe(value)}", pointer)
            return None
        scope, fields = self._open(value, pointer, parent)
        around, express = self.reading.express, rules.check_processor(fields.object("ProcessorConfig"), self.reading)
        self.reading.express = around or express
        machine = self._states(scope, fields, source=value)
        self.reading.express = around
        return machine

    def _open(self, value: dict[str, JSON], pointer: Pointer, parent: Scope | None) -> tuple[Scope, ObjectFields]:
        states = value.get("States")
        names = dict.fromkeys(states if isinstance(states, dict) else ()).keys()
        scope = Scope(self.reading, names, parent, self.nested)
        return scope, ObjectFields(value, pointer, self.language, scope)

    def _states(
        self,
        scope: Scope,
        fields: ObjectFields,
        *,
        version: str = "1.0",
        timeout: int | None = None,
        source: JSON,
    ) -> StateMachine:
        """The machine of an object whose other fields are read."""
        comment = fields.text("Comment")
        start_at = fields.text("StartAt", required=True)
        self._names(scope, (*fields.pointer, "States"))
        states: dict[str, State] = {}
        for name, entry in self._entries(fields):
            state = self._state(scope, name, entry, (*fields.pointer, "States", name))
            if state is not None:
                states[name] = state
        fields.done()
        scope.ends.update(scope.names - states.keys())
        graph.check(scope, fields.pointer, start_at)
        return StateMachine(
            start_at or "",
            states,
            comment=comment,
            query_language=self.language.name,
            timeout=timeout,
            version=version,
            source=source,
        )

    def _entries(self, fields: ObjectFields) -> list[tuple[str, dict[str, JSON]]]:
        """Names and objects of the states."""
        found = fields.object("States", required=True)
        if found is None:
            return []
        states = fields.raw("States")
        if not states:
            fields.problem("empty-value", "States must not be empty", "States")
        for name, entry in states.items():
            if not isinstance(entry, dict):
                fields.problem("wrong-type", f"A state is an object, not {describe(entry)}", "States", name)
        return [(name, entry) for name, entry in states.items() if isinstance(entry, dict)]

    def _names(self, scope: Scope, pointer: Pointer) -> None:
        """Names of states: present, not too long, given once in the whole tree."""
        known, document = self.reading.names, self.reading.document
        for name in scope.names:
            where = (*pointer, name)
            if not name or len(name) > MAX_NAME:
                said = f"The name of a state has 1 to {MAX_NAME} characters, this one {len(name)}"
                self.reading.problem("bad-name", said, where)
            first = known.setdefault(name, where)
            if first != where:
                place = document.position(first, key=True)
                also = f"line {place[0]}" if place else Problem("", "", first).location
                said = f"The name {shorten(name)} is taken: there is one in {also}"
                hint = "names are unique over nested machines too"
                self.reading.problem("duplicate-state", said, where, hint=hint)

    def _state(self, scope: Scope, name: str, value: dict[str, JSON], pointer: Pointer) -> State | None:
        given = value.get("Type")
        known = STATE_TYPES.get(given) if isinstance(given, str) else None
        supported = known.SCHEMA.keys() if known is not None else None
        fields = ObjectFields(value, pointer, self.language, scope, supported)
        fields.language = self._language(fields, self.language)
        scope.state, scope.state_type, scope.depth = name, known.TYPE if known is not None else "", len(pointer)
        if known is None:
            self._no_type(fields)
            scope.targets[name] = graph.guess_targets(value, pointer)
            return None
        comment = fields.text("Comment")
        fields.raw("Type")
        state = known(name, fields)
        fields.done()
        state.name, state.comment = name, comment
        state.blind = not state.looks()
        state.entered, state.exited = f"{given}StateEntered", f"{given}StateExited"
        if state.end or not scope.targets[name]:
            scope.ends.add(name)
        rules.check_state(state, fields, self.reading)
        return state

    def _no_type(self, fields: ObjectFields) -> None:
        if fields.text("Type", required=True) is not None:
            fields.one_of("Type", tuple(STATE_TYPES))

    def _language(self, fields: ObjectFields, outer: QueryLanguage) -> QueryLanguage:
        """The language that a machine or a state names, else the one around it."""
        name = fields.one_of("QueryLanguage", tuple(LANGUAGES))
        if name is None and isinstance(fields.raw("QueryLanguage"), str):
            return find_language("JSONata")  # AWS reads the rest so, whatever the wrong word was
        if name is None or name == outer.name:
            return self._available(fields, outer) if name else outer
        if name == "JSONPath" and fields.pointer:
            said = f"A state cannot have JSONPath where the machine has {outer.name}"
            fields.problem("language-downgrade", said, "QueryLanguage", hint=f"remove it, or write {outer.name}")
            return outer
        return self._available(fields, find_language(name))

    def _available(self, fields: ObjectFields, language: QueryLanguage) -> QueryLanguage:
        """Report a language that this engine lacks, once."""
        if isinstance(language, Unavailable) and language.name not in self.reading.unsupported:
            self.reading.unsupported.add(language.name)
            said = f"{language.name} is not available here"
            fields.problem("unsupported-language", said, "QueryLanguage", hint=language.remedy)
        return language
