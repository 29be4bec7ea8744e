"""A rule set and its evaluation: overlays, then facts, then rules. A function of its arguments only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import InvalidInput, Problem
from engine.query import UNSET
from engine.query.jmespath.compiler import Compiled, Path
from engine.query.jmespath.evaluation import EvaluationError
from engine.query.jmespath.language import written
from engine.rules.model import Message, Overlay, Rule, RuleDecision, RuleError, RuleResult
from engine.values import JSON, dump, type_name

MAX_SHOWN: Final = 100
"""Longest value that a reason quotes, in characters."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A loaded rule file.

    `context` names the objects its expressions may read, `recorded` the paths in them whose values a record may show;
    `facts_of` names the facts that each phase needs, in order, and `rules_of` has its rules.
    """

    version: JSON
    digest: str
    context: tuple[str, ...]
    recorded: tuple[Path, ...]
    params: Mapping[str, JSON]
    overlays: tuple[Overlay, ...]
    facts: Mapping[str, Compiled]
    facts_of: Mapping[str, tuple[str, ...]]
    rules_of: Mapping[str, tuple[Rule, ...]]
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, phase by phase."""
        return tuple(rule for rules in self.rules_of.values() for rule in rules)

    def evaluate(self, phase: str, context: Mapping[str, JSON], now: str) -> RuleDecision:
        """Decide. `context` holds the declared objects, others are ignored; `now` is RFC 3339.

        Raises InvalidInput for a phase that the file does not have, and nothing else: what cannot be evaluated fails.
        """
        if phase not in self.rules_of:
            raise InvalidInput(f"The rules have no phase '{phase}'; there are: {', '.join(self.rules_of)}.")
        return _Evaluation(self, context, now).decide(phase)


class _RuleScope:
    """What rule expressions see: variables, and nothing of a state."""

    input: JSON = None
    result: JSON = UNSET
    error_output: JSON = UNSET
    context: JSON = None

    def __init__(self, variables: Mapping[str, JSON]) -> None:
        self.variables = variables


class _Evaluation:
    """One evaluation of a rule set."""

    def __init__(self, rule_set: RuleSet, context: Mapping[str, JSON], now: str) -> None:
        self.rule_set = rule_set
        self.facts: dict[str, JSON] = {}
        self.fact_errors: dict[str, str] = {}
        self.raised: list[str] = []
        variables = {name: context.get(name) for name in rule_set.context}
        self.scope = _RuleScope(variables)
        self.params, self.overlays = self._overlaid()
        variables |= {"now": now, "facts": self.facts, "params": {**rule_set.params, **self.params}}

    def decide(self, phase: str) -> RuleDecision:
        """All facts and rules of the phase, in order."""
        for name in self.rule_set.facts_of[phase]:
            self.facts[name], error = self._value(self.rule_set.facts[name])
            if error is not None:
                self.fact_errors[name] = error
        results, errors = self._results(self.rule_set.rules_of[phase])
        return RuleDecision(
            version=self.rule_set.version,
            digest=self.rule_set.digest,
            phase=phase,
            passed=not errors,
            params=self.params,
            overlays=self.overlays,
            facts=self.facts,
            fact_errors=self.fact_errors,
            results=tuple(results),
            errors=tuple(errors),
            raised=tuple(self.raised),
        )

    def _overlaid(self) -> tuple[dict[str, JSON], dict[str, str]]:
        """The parameters that overlays change, and the value of each dimension that changes some."""
        params: dict[str, JSON] = {}
        dimensions: dict[str, str] = {}
        for overlay in self.rule_set.overlays:
            value, _ = self._value(overlay.key)
            if isinstance(value, str) and value in overlay.values:
                dimensions[overlay.dimension] = value
                for name, change in overlay.values[value].items():
                    params[name] = _merged(params.get(name, self.rule_set.params[name]), change)
        return params, dimensions

    def _results(self, rules: tuple[Rule, ...]) -> tuple[list[RuleResult], list[RuleError]]:
        results: list[RuleResult] = []
        errors: list[RuleError] = []
        stopped: str | None = None
        for rule in rules:
            result = self._result(rule) if stopped is None else RuleResult(rule.id, rule.code, "skipped", stopped)
            results.append(result)
            if result.outcome == "failed":
                errors.append(RuleError(rule.code, rule.id, rule.pointer, rule.http, self._text(rule.message)))
                stopped = f"{rule.id} failed and stops the evaluation" if rule.stop else None
        return results, errors

    def _result(self, rule: Rule) -> RuleResult:
        if rule.when is not None:
            value, error = self._value(rule.when)
            if value is not True:
                return RuleResult(rule.id, rule.code, "skipped", self._why(rule.when, value, error))
        value, error = self._value(rule.claim)
        if value is True:
            return RuleResult(rule.id, rule.code, "passed")
        if error is not None:
            self.raised.append(rule.id)
        return RuleResult(rule.id, rule.code, "failed", self._why(rule.claim, value, error))

    def _value(self, expression: Compiled) -> tuple[JSON, str | None]:
        """The value, or null and the reason why there is none."""
        try:
            return expression.evaluate(self.scope), None
        except EvaluationError as reason:
            return None, str(reason)

    def _why(self, expression: Compiled, value: JSON, error: str | None) -> str:
        """`facts.lead_min is 30, params.min_lead_min is 45`: what the expression read, and what went wrong in it."""
        read = [(path, self._read(path)) for path in sorted(expression.paths, key=expression.paths.__getitem__)]
        reasons = [self._shown(path, found) for path, found in read]
        if error is not None:
            reasons.append(error)
        elif value is not False and all(found is not None for _, found in read):
            reasons.append(f"the result is of type {type_name(value)}")
        return ", ".join(reasons)

    def _read(self, path: Path) -> JSON:
        value: Any = self.scope.variables
        for step in path:
            value = _member(value, step)
        return value

    def _shown(self, path: Path, value: JSON) -> str:
        """One value in words; those of the context are shown only where the rule file allows it."""
        name = written(path)
        if value is None:
            error = self.fact_errors.get(str(path[1])) if path[0] == "facts" and len(path) > 1 else None
            return f"{name} is missing ({error})" if error else f"{name} is missing"
        if path[0] not in ("facts", "params", "now") and path not in self.rule_set.recorded:
            return f"{name} is given"
        text = dump(value)
        return f"{name} is {text}" if len(text) <= MAX_SHOWN else f"{name} is a long {type_name(value)}"

    def _text(self, message: Message) -> str:
        text = message.texts[0]
        for expression, following in zip(message.values, message.texts[1:], strict=True):
            value, _ = self._value(expression)
            text += _words(value) + following
        return text


def _merged(old: JSON, new: JSON) -> JSON:
    """`new` over `old`: objects field by field, everything else as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    return new


def _member(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value.get(step) if isinstance(value, dict) else None


def _words(value: JSON) -> str:
    """A value inside a sentence for people; a dash when there is none."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return value if isinstance(value, str) else dump(value)
