"""What a rule file becomes, and what comes of evaluating it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine.query.jmespath.compiler import Compiled
from engine.values import JSON


@dataclass(frozen=True, slots=True)
class Overlay:
    """Parameters that differ by one dimension: `values` by what `key` gives for a context."""

    dimension: str
    key: Compiled
    values: Mapping[str, Mapping[str, JSON]]


@dataclass(frozen=True, slots=True)
class Message:
    """A text with places: `texts` has one piece more than `values`."""

    texts: tuple[str, ...]
    values: tuple[Compiled, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `http` is the status that a refusal suggests; `pointer` the part of the request it is about."""

    id: str
    code: str
    phase: str
    http: int
    when: Compiled | None
    claim: Compiled
    stop: bool
    pointer: str | None
    message: Message


class RuleResult(NamedTuple):
    """What became of one rule; `why` says with which values it failed or was skipped."""

    id: str
    code: str
    outcome: Literal["passed", "failed", "skipped"]
    why: str | None = None


class RuleError(NamedTuple):
    """A failed rule as the one who asked may see it."""

    code: str
    rule_id: str
    pointer: str | None
    http: int
    user_message: str


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """The record of one evaluation.

    `version` and `digest` name the rule set; `params` holds the parameters that overlays changed, `overlays` the
    dimensions that did; `fact_errors` says why a fact is null; `raised` names the rules that failed because their
    expression did.
    """

    version: JSON
    digest: str
    phase: str
    passed: bool
    params: Mapping[str, JSON]
    overlays: Mapping[str, str]
    facts: Mapping[str, JSON]
    fact_errors: Mapping[str, str]
    results: tuple[RuleResult, ...]
    errors: tuple[RuleError, ...]
    raised: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        """The record as JSON; the rule set is `{"version", "digest"}`."""
        return {
            "rule_set": {"version": self.version, "digest": self.digest},
            "phase": self.phase,
            "passed": self.passed,
            "params": dict(self.params),
            "overlays": dict(self.overlays),
            "facts": dict(self.facts),
            "fact_errors": dict(self.fact_errors),
            "results": [result._asdict() for result in self.results],
            "errors": [error._asdict() for error in self.errors],
        }
