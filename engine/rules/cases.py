"""Test cases of a rule file as data: a context that passes, and per case what is different and which rules then fail.

now: "2026-05-04T09:00:00Z"
context: {member: {...}, ...}
cases:
- name: an expired member is refused
  phase: pre_quote
  change: {membership.status: EXPIRED}     # a new value at a dotted path; a number indexes an array
  remove: [visit]                          # paths that are taken away
  now: "..."                               # instead of the file's
  fails: [R01]                             # exactly these rules, in order; none when absent
  skips: [R14]                             # these are skipped, among others
  facts: {lead_min: 30}                    # facts that must come out so, among others
  params: {min_lead_min: 60}               # exactly these parameters are overlaid
  message: "..."                           # what the first error says
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.definition import read_document
from engine.errors import InvalidInput
from engine.rules.model import RuleDecision
from engine.rules.rule_set import RuleSet
from engine.values import JSON, dump, equal

_FIELDS: Final = frozenset({"name", "phase", "change", "remove", "now", "fails", "skips", "facts", "params", "message"})


def check_cases(rule_set: RuleSet, path_or_text: str | Path) -> list[str]:
    """Run a file of cases; one sentence for each expectation that is not met, none when all is well.

    A rule that no case makes fail on its own is one, too. Raises DefinitionError when the file cannot be read as YAML
    or JSON, KeyError and TypeError when it lacks what every file of cases has.
    """
    document = read_document(path_or_text).value
    complaints: list[str] = []
    alone: set[str] = set()
    for case in document["cases"]:
        fails = case.get("fails", [])
        alone.update(fails if len(fails) == 1 else [])
        complaints += [f"{case['name']}: {complaint}" for complaint in _check(rule_set, document, case)]
    complaints += [f"no case makes {rule.id} fail on its own" for rule in rule_set.rules if rule.id not in alone]
    return complaints


def _check(rule_set: RuleSet, document: dict[str, Any], case: dict[str, Any]) -> list[str]:
    unknown = sorted(case.keys() - _FIELDS)
    if unknown:
        return [f"unknown fields {', '.join(unknown)}"]
    try:
        context = _patched(document["context"], case.get("change", {}), case.get("remove", []))
        decision = rule_set.evaluate(case["phase"], context, case.get("now", document["now"]))
    except (LookupError, InvalidInput) as reason:
        return [str(reason)]
    return [
        f"{what} should be {dump(expected)}, but is {dump(found)}"
        for what, expected, found in _expectations(case, decision)
        if not equal(expected, found)
    ]


def _expectations(case: dict[str, Any], decision: RuleDecision) -> list[tuple[str, JSON, JSON]]:
    """(what, expected, found) for everything that the case says."""
    skipped = [result.id for result in decision.results if result.outcome == "skipped"]
    wanted = case.get("skips", [])
    facts = case.get("facts", {})
    pairs: list[tuple[str, JSON, JSON]] = [
        ("the list of failed rules", case.get("fails", []), [error.rule_id for error in decision.errors]),
        ("the list of skipped rules", wanted, [rule for rule in wanted if rule in skipped]),
        ("the facts", facts, {name: decision.facts.get(name) for name in facts}),
    ]
    if "params" in case:
        pairs.append(("the overlaid parameters", case["params"], dict(decision.params)))
    if "message" in case:
        pairs.append(("the message", case["message"], decision.errors[0].user_message if decision.errors else None))
    return pairs


def _patched(context: dict[str, JSON], change: dict[str, JSON], remove: list[str]) -> dict[str, JSON]:
    """The context with other values at some paths and without others, copied where it differs."""
    for path, value in change.items():
        context = _with(context, path.split("."), value)
    for path in remove:
        *parents, last = path.split(".")
        holder = context
        for name in parents:
            holder = holder[name]
        kept = {name: value for name, value in holder.items() if name != last}
        if len(kept) == len(holder):
            raise LookupError(f"there is no '{path}' to remove")
        context = _with(context, parents, kept)
    return context


def _with(value: Any, path: list[str], new: JSON) -> Any:
    if not path:
        return new
    step, *rest = path
    if isinstance(value, list):
        place = int(step)
        return [*value[:place], _with(value[place], rest, new), *value[place + 1 :]]
    return {**value, step: _with(value.get(step, {}), rest, new)}
