"""The rules of the taxi booking: their cases, and what holds for every context."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.definition import read_document
from engine.rules import check_cases, load_rules

FLOWS = Path(__file__).parents[2] / "flows"
RULES = load_rules(FLOWS / "rules" / "booking.yaml")
CASES: dict[str, Any] = read_document(FLOWS / "rules" / "booking.test.yaml").value
CONTEXT: dict[str, Any] = CASES["context"]
NOW: str = CASES["now"]

OPTIONAL = {"flight", "quote"}
"""Objects that may be absent before the price is asked for: the rules that need them belong to other phases."""


RULE_FILES = {path.stem: load_rules(path) for path in (FLOWS / "rules").glob("*.yaml") if ".test" not in path.name}


@pytest.mark.parametrize("name", RULE_FILES)
def test_every_case_comes_out_as_it_says(name: str) -> None:
    assert check_cases(RULE_FILES[name], FLOWS / "rules" / f"{name}.test.yaml") == []
    assert RULE_FILES[name].warnings == ()


def test_booking_changing_and_cancelling_have_rules_with_codes_of_their_own() -> None:
    rules = [rule for name in ("booking", "modify", "cancel") for rule in RULE_FILES[name].rules]
    assert len(rules) == len({rule.code for rule in rules}) == len({rule.id for rule in rules})


@pytest.mark.parametrize(("name", "missing"), [("modify", "booking"), ("cancel", "booking"), ("cancel", "cancel")])
def test_without_its_object_nothing_is_changed_or_cancelled(name: str, missing: str) -> None:
    cases = read_document(FLOWS / "rules" / f"{name}.test.yaml").value
    rules, now = RULE_FILES[name], cases["now"]
    assert rules.evaluate(name, cases["context"], now).passed
    assert not rules.evaluate(name, {**cases["context"], missing: None}, now).passed


@pytest.mark.parametrize("name", RULES.context)
def test_without_an_object_nothing_passes_that_needs_it(name: str) -> None:
    context = {key: value for key, value in CONTEXT.items() if key != name}
    assert RULES.evaluate("pre_quote", context, NOW).passed is (name in OPTIONAL)
    if name == "quote":
        assert len(RULES.evaluate("post_quote", context, NOW).errors) == 4


@pytest.mark.parametrize("junk", [None, 0, "", "x", [], [1], {}, True])
@pytest.mark.parametrize("name", RULES.context)
def test_an_object_that_is_nonsense_never_raises_and_never_helps(name: str, junk: Any) -> None:
    for phase in RULES.rules_of:
        decision = RULES.evaluate(phase, {**CONTEXT, name: junk}, NOW)
        json.dumps(decision.to_json(), allow_nan=False)
    harmless = name in OPTIONAL or (name, junk) in [("bookings", [])]
    assert RULES.evaluate("pre_quote", {**CONTEXT, name: junk}, NOW).passed is harmless


def test_a_moment_that_is_none_passes_nothing() -> None:
    assert not RULES.evaluate("pre_quote", CONTEXT, "now").passed


SECRETS: dict[str, Any] = {
    "request": {
        "lead_passenger": {"first_name": "Ana-Secret", "phone": "+447700900123"},
        "dropoff": {"address": "10 Secret Street", "point": {"lat": 12.345678, "lon": 23.456789}, "country": "XX"},
        "notes": "secret note",
    },
    "member": {"id": "mem_secret", "blocked": "secret", "outstanding_minor": 987654},
    "visit": {"id": "vis_secret", "member_id": "mem_other_secret"},
}


def test_a_record_holds_no_personal_data() -> None:
    """Every rule fails or is skipped here, so every reason is written."""
    for blocked in (True, False):
        context = {**SECRETS, "member": {**SECRETS["member"], "blocked": blocked}, "lounge": {"code": "L"}}
        for phase in RULES.rules_of:
            record = json.dumps(RULES.evaluate(phase, context, NOW).to_json()).lower()
            for secret in ("secret", "447700900123", "987654", "12.345678", "23.456789"):
                assert secret not in record


@pytest.mark.parametrize("name", ["tiers", "vehicles", "airports", "lounges"])
def test_reference_data_is_keyed_by_its_own_code(name: str) -> None:
    rows = read_document(FLOWS / "reference" / f"{name}.yaml").value
    assert all(key in (row.get("code"), row.get("iata")) for key, row in rows.items())


def test_demo_data_fits_together() -> None:
    data = {path.stem: read_document(path) for path in (FLOWS / "reference").glob("*.yaml")}
    assert [document.warnings for document in data.values() if document.warnings] == []
    rows = {name: document.value for name, document in data.items()}
    assert {row["membership"]["tier"] for row in rows["members"].values()} <= rows["tiers"].keys()
    assert {row["member_id"] for row in rows["visits"].values()} <= rows["members"].keys()
    assert {row["lounge_code"] for row in rows["visits"].values()} <= rows["lounges"].keys()
    assert {row["airport_iata"] for row in rows["lounges"].values()} <= rows["airports"].keys()
    assert {name for row in rows["tiers"].values() for name in row["vehicle_classes"]} <= rows["vehicles"].keys()
    assert all(key == row["number"] for key, row in rows["flights"].items())


MEMBERS = {
    "mem_demo_prestige": [],
    "mem_demo_plus": [],
    "mem_demo_standard": ["R05", "R06", "R35", "R52"],
    "mem_demo_expired": ["R01", "R02"],
    "mem_demo_blocked": ["R03"],
    "mem_demo_exhausted": ["R06"],
    "mem_demo_owing": ["R04"],
}


@pytest.mark.parametrize("member_id", MEMBERS)
def test_demo_members_show_what_they_are_for(member_id: str) -> None:
    row = read_document(FLOWS / "reference" / "members.yaml").value[member_id]
    tiers = read_document(FLOWS / "reference" / "tiers.yaml").value
    context = {
        **CONTEXT,
        "member": row["member"],
        "membership": row["membership"],
        "tier": tiers[row["membership"]["tier"]],
        "usage": {**row["usage"], "attempts_10m": 1},
        "visit": {**CONTEXT["visit"], "member_id": member_id},
        "request": {**CONTEXT["request"], "vehicle_class": "ELECTRIC"},
    }
    failed = [error.rule_id for error in RULES.evaluate("pre_quote", context, NOW).errors]
    assert failed == MEMBERS[member_id]
