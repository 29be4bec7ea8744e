"""The runner of cases says what is not as expected, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules import check_cases, load_rules
from engine.values import dump

RULES = load_rules(
    dump(
        {
            "version": 1,
            "context": ["a"],
            "phases": ["check"],
            "params": {"max": 5},
            "overlays": [{"dimension": "kind", "key": "a.kind", "values": {"big": {"max": 9}}}],
            "facts": {"n": "a.n"},
            "rules": [
                {
                    "id": "R1",
                    "code": "too_many",
                    "phase": "check",
                    "http": 422,
                    "when": "exists(a.n)",
                    "assert": "facts.n <= params.max",
                    "message": "Up to {params.max}.",
                }
            ],
        }
    )
)
FAILS: dict[str, Any] = {"name": "fails", "change": {"a.n": 6}, "fails": ["R1"]}


def complaints(*cases: dict[str, Any], alone: bool = True) -> list[str]:
    """What is said about the cases; each is of the phase "check", and one in which R1 fails comes first."""
    document = {
        "now": "2026-05-04T09:10:00Z",
        "context": {"a": {"n": 5, "kind": "small", "list": [{"x": 1}]}},
        "cases": [{"phase": "check", **case} for case in ([FAILS, *cases] if alone else cases)],
    }
    return check_cases(RULES, dump(document))


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ({}, None),
        ({"facts": {"n": 5}, "params": {}}, None),
        ({"change": {"a.n": 6}, "fails": ["R1"], "message": "Up to 5."}, None),
        ({"change": {"a.n": 9, "a.kind": "big"}, "params": {"max": 9}}, None),
        ({"remove": ["a.n"], "skips": ["R1"]}, None),
        ({"remove": ["a"], "skips": ["R1"]}, None),
        ({"change": {"a.list.0.x": 2, "b.c": 1}}, None),
        ({"change": {"a.n": 6}}, 'the list of failed rules should be [], but is ["R1"]'),
        ({"fails": ["R1"]}, 'the list of failed rules should be ["R1"], but is []'),
        ({"skips": ["R1"]}, 'the list of skipped rules should be ["R1"], but is []'),
        ({"facts": {"n": 6}}, 'the facts should be {"n":6}, but is {"n":5}'),
        ({"params": {"max": 9}}, 'the overlaid parameters should be {"max":9}, but is {}'),
        ({"message": "No."}, 'the message should be "No.", but is null'),
        ({"remove": ["a.zz"]}, "there is no 'a.zz' to remove"),
        ({"remove": ["zz.a"]}, "'zz'"),
        ({"phase": "other"}, "The rules have no phase 'other'; there are: check."),
        ({"expects": 1, "also": 2}, "unknown fields also, expects"),
    ],
)
def test_a_case_is_checked(case: dict[str, Any], complaint: str | None) -> None:
    assert complaints({"name": "it", **case}) == ([] if complaint is None else [f"it: {complaint}"])


def test_a_case_may_have_a_moment_of_its_own() -> None:
    assert complaints({"name": "it", "now": "2027-01-01T00:00:00Z"}) == []


def test_a_rule_that_never_fails_on_its_own_is_named() -> None:
    assert complaints({"name": "it"}, alone=False) == ["no case makes R1 fail on its own"]
