"""How a rule set decides: fail closed, overlays, facts, stops, reasons, messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import InvalidInput
from engine.rules import RuleDecision, RuleResult, load_rules
from engine.values import dump

NOW = "2026-05-04T09:10:00Z"


def rule(claim: str, **more: Any) -> dict[str, Any]:
    return {"id": "A1", "code": "wrong", "phase": "check", "http": 422, "assert": claim, "message": "No.", **more}


def decide(rules: list[dict[str, Any]], context: dict[str, Any], **more: Any) -> RuleDecision:
    document = {"version": 1, "context": ["a", "b"], "phases": ["check"], "rules": rules, **more}
    return load_rules(dump(document)).evaluate("check", context, NOW)


def only(claim: str, context: dict[str, Any], when: str | None = None, **more: Any) -> RuleResult:
    fields = {} if when is None else {"when": when}
    return decide([rule(claim, **fields)], context, **more).results[0]


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(True, "passed"), (False, "failed"), (None, "failed"), (1, "failed"), ("true", "failed"), ([True], "failed")],
)
def test_only_exactly_true_passes(value: Any, outcome: str) -> None:
    assert only("a.value", {"a": {"value": value}}).outcome == outcome


@pytest.mark.parametrize("context", [{}, {"a": None}, {"a": 5}, {"a": {}}])
def test_a_missing_object_fails(context: dict[str, Any]) -> None:
    assert only("a.value >= `0`", context).outcome == "failed"


def test_an_error_fails_with_its_reason() -> None:
    result = only("divide(`1`, a.n) > `0`", {"a": {"n": 0}})
    assert result == RuleResult("A1", "wrong", "failed", "a.n is given, divide(): division by zero.")


@pytest.mark.parametrize("guard", [False, None, 1, "true"])
def test_a_guard_that_is_not_exactly_true_skips(guard: Any) -> None:
    assert only("a.never", {"a": {"guard": guard}}, when="a.guard").outcome == "skipped"


def test_a_guard_that_fails_skips_with_its_reason() -> None:
    result = only("a.never", {}, when="a.text < 'b' || divide(`1`, `0`)")
    assert (result.outcome, result.why) == ("skipped", "a.text is missing, divide(): division by zero.")


def test_a_guard_that_is_true_lets_the_rule_decide() -> None:
    assert only("a.good", {"a": {"good": True}}, when="exists(a)").outcome == "passed"


def test_reasons_show_facts_params_and_what_may_be_recorded() -> None:
    result = only(
        "facts.lead >= params.min && a.code == b.code",
        {"a": {"code": "X", "lead": 30}, "b": {"code": "secret"}},
        params={"min": 45},
        facts={"lead": "a.lead"},
        recorded=["a.code"],
    )
    assert result.why == 'facts.lead is 30, params.min is 45, a.code is "X", b.code is given'


def test_reasons_show_no_long_values_and_index_lists() -> None:
    context = {"a": {"list": ["x" * 200], "n": [1, 2]}}
    recorded = ["a.list", "a.n[1]", "a.n[5]", "a.list[0].x"]
    result = only("a.list == a.n[1] && a.n[5] && a.list[0].x", context, recorded=recorded)
    assert result.why == "a.list is a long array, a.n[1] is 2, a.n[5] is missing, a.list[0].x is missing"


def test_a_result_that_is_no_boolean_is_said() -> None:
    assert only("a.n", {"a": {"n": 5}}, recorded=["a.n"]).why == "a.n is 5, the result is of type number"


def test_a_fact_that_fails_is_null_and_the_record_says_why() -> None:
    facts = {"bad": "divide(`1`, `0`)", "after": "add(facts.bad, `1`)", "none": "a.missing"}
    claims = [rule("facts.after == `1` && facts.none && facts.bad")]
    decision = decide(claims, {}, facts=facts)
    assert decision.facts == {"bad": None, "after": None, "none": None}
    assert decision.fact_errors == {"bad": "divide(): division by zero."}
    assert decision.results[0].why == (
        "facts.after is missing, facts.none is missing, facts.bad is missing (divide(): division by zero.)"
    )


def test_facts_see_now_params_and_earlier_facts() -> None:
    facts = {"later": "add_minutes(now, params.lead)", "gap": "minutes_between(now, facts.later)"}
    decision = decide([rule("facts.gap == params.lead")], {}, facts=facts, params={"lead": 5})
    assert decision.passed
    assert decision.facts == {"later": "2026-05-04T09:15:00Z", "gap": 5}


def test_all_rules_are_evaluated_unless_a_failed_one_stops() -> None:
    def three(stop: bool) -> list[str]:
        rules = [
            rule("a.no", id="R1", code="one"),
            rule("a.no", id="R2", code="two", stop=stop),
            rule("a.no", id="R3", code="three"),
            rule("a.no", id="R4", code="four"),
        ]
        decision = decide(rules, {})
        assert [error.rule_id for error in decision.errors] == (["R1", "R2"] if stop else ["R1", "R2", "R3", "R4"])
        return [f"{result.id} {result.outcome} {result.why}" for result in decision.results[2:]]

    assert three(True) == [f"R{n} skipped R2 failed and stops the evaluation" for n in (3, 4)]
    assert three(False) == [f"R{n} failed a.no is missing" for n in (3, 4)]


def test_a_rule_that_passes_does_not_stop() -> None:
    rules = [rule("a", id="R1", code="one", stop=True), rule("a", id="R2", code="two")]
    assert [result.outcome for result in decide(rules, {"a": True}).results] == ["passed", "passed"]


OVERLAYS = [
    {"dimension": "country", "key": "a.country", "values": {"NO": {"n": 2, "deep": {"x": 2}}, "SE": {"n": 3}}},
    {"dimension": "tier", "key": "a.tier", "values": {"GOLD": {"n": 9, "deep": {"y": 9}, "list": []}}},
]
PARAMS = {"n": 1, "deep": {"x": 1, "y": 1}, "list": [1], "other": True}


@pytest.mark.parametrize(
    ("context", "params", "overlays"),
    [
        ({}, {}, {}),
        ({"country": "GB", "tier": 5}, {}, {}),
        ({"country": "NO"}, {"n": 2, "deep": {"x": 2, "y": 1}}, {"country": "NO"}),
        (
            {"country": "NO", "tier": "GOLD"},
            {"n": 9, "deep": {"x": 2, "y": 9}, "list": []},
            {"country": "NO", "tier": "GOLD"},
        ),
        ({"country": "SE", "tier": "none"}, {"n": 3}, {"country": "SE"}),
    ],
)
def test_overlays_are_merged_in_the_order_of_the_file(
    context: dict[str, Any], params: dict[str, Any], overlays: dict[str, str]
) -> None:
    decision = decide([rule("params.n == `1`")], {"a": context}, params=PARAMS, overlays=OVERLAYS)
    assert (decision.params, decision.overlays) == (params, overlays)
    assert decision.passed is ("n" not in params)


def test_an_overlay_whose_key_fails_changes_nothing() -> None:
    overlays = [{"dimension": "d", "key": "divide(`1`, `0`)", "values": {"x": {"n": 2}}}]
    assert decide([rule("params.n == `1`")], {}, params=PARAMS, overlays=overlays).passed


def test_the_values_that_were_given_are_not_changed() -> None:
    document = {"version": 1, "context": ["a"], "phases": ["check"], "rules": [rule("a")], "params": PARAMS}
    rules = load_rules(dump({**document, "overlays": OVERLAYS}))
    before = dump(dict(rules.params))
    rules.evaluate("check", {"a": {"country": "NO", "tier": "GOLD"}}, NOW)
    assert dump(dict(rules.params)) == before


def test_messages_are_filled_from_context_params_and_facts() -> None:
    message = "{a.name}: {params.min} of {facts.n}, {a.list}, {a.flag}, {a.none}; {if(a.flag, 'yes', 'no')}{a.half}"
    context = {"a": {"name": "Ann", "list": ["x", 1], "flag": True, "half": 0.5}}
    decision = decide([rule("a.no", message=message)], context, params={"min": 5}, facts={"n": "`7`"})
    assert decision.errors[0].user_message == "Ann: 5 of 7, x, 1, true, -; yes0.5"


def test_a_context_object_that_is_not_declared_is_not_seen() -> None:
    decision = decide([rule("exists(a) && exists(now)")], {"a": 1, "params": {}, "now": None, "z": 1})
    assert decision.passed


def test_an_unknown_phase_is_refused() -> None:
    rules = load_rules(dump({"version": 1, "context": [], "phases": ["check"], "rules": []}))
    assert rules.evaluate("check", {}, NOW).passed
    with pytest.raises(InvalidInput, match="no phase 'other'; there are: check"):
        rules.evaluate("other", {}, NOW)


def test_the_record_is_json() -> None:
    decision = decide([rule("a.no", pointer="/a"), rule("b", id="B", code="b")], {"b": True}, facts={"f": "now"})
    record = decision.to_json()
    digest = record["rule_set"].pop("digest")
    assert len(digest) == 64
    assert json.loads(json.dumps(record)) == {
        "rule_set": {"version": 1},
        "phase": "check",
        "passed": False,
        "params": {},
        "overlays": {},
        "facts": {},
        "fact_errors": {},
        "results": [
            {"id": "A1", "code": "wrong", "outcome": "failed", "why": "a.no is missing"},
            {"id": "B", "code": "b", "outcome": "passed", "why": None},
        ],
        "errors": [{"code": "wrong", "rule_id": "A1", "pointer": "/a", "http": 422, "user_message": "No."}],
    }
