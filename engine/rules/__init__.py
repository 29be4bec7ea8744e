"""Rule sets as data: parameters with overlays, facts, and rules that fail closed.

A rule passes only when its assertion is exactly true; null, a missing object and an error all fail it. A decision
records every rule of its phase. The package knows nothing of what the rules are about.
"""

from __future__ import annotations

from engine.rules.cases import check_cases
from engine.rules.loading import load_rules
from engine.rules.model import Rule, RuleDecision, RuleError, RuleResult
from engine.rules.rule_set import RuleSet

__all__ = ["Rule", "RuleDecision", "RuleError", "RuleResult", "RuleSet", "check_cases", "load_rules"]
