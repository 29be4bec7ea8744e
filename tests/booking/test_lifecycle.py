"""The lifecycle: every edge leads where the table says, and there is no other."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from steps.bookings.lifecycle import ImpossibleTransition, Lifecycle, lifecycle

TABLE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "steps/bookings/lifecycle.yaml").read_text())
CYCLE = lifecycle()
TRIGGERS = sorted({row["trigger"] for row in TABLE["transitions"]})
IMPOSSIBLE = [(status, on) for status in sorted(CYCLE.statuses) for on in TRIGGERS if (status, on) not in CYCLE.edges]


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("row", TABLE["transitions"], ids=lambda row: f"{row['trigger']}-{row['to']}")
def test_an_edge_leads_to_its_status_and_emits_its_event(row: dict[str, Any]) -> None:
    for source in as_list(row["from"]):
        for target in as_list(row["to"]):
            wanted = source if target == "SAME" else target
            to = wanted if isinstance(row["to"], list) else None
            assert CYCLE.target(source, row["trigger"], to) == wanted
            assert CYCLE.edge(source, row["trigger"]).event == (None if row["emit"] == "-" else row["emit"])


@pytest.mark.parametrize(("status", "trigger"), IMPOSSIBLE)
def test_what_is_not_in_the_table_is_impossible(status: str, trigger: str) -> None:
    with pytest.raises(ImpossibleTransition):
        CYCLE.target(status, trigger)


def test_the_table_has_fourteen_statuses_five_of_them_terminal() -> None:
    assert len(CYCLE.statuses) == 14
    assert {"REJECTED", "FAILED", "CANCELLED", "NO_SHOW", "COMPLETED"} == CYCLE.terminal
    assert len(CYCLE.edges) + len(IMPOSSIBLE) == len(CYCLE.statuses) * len(TRIGGERS)


def test_an_edge_with_a_choice_needs_the_choice() -> None:
    with pytest.raises(ImpossibleTransition):
        CYCLE.target("CANCELLATION_PENDING", "cancel_refused")
    with pytest.raises(ImpossibleTransition):
        CYCLE.target("CANCELLATION_PENDING", "cancel_refused", "FAILED")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"from": "FAILED", "trigger": "again", "to": "REQUESTED", "emit": "-"}, "terminal"),
        ({"from": "CONFIRMED", "trigger": "vanish", "to": "FAILED", "emit": "-"}, "without an event"),
        ({"from": "REQUESTED", "trigger": "rules_failed", "to": "FAILED", "emit": "booking.failed"}, "two edges"),
        ({"from": "REQUESTED", "trigger": "doze", "to": "ASLEEP", "emit": "-"}, "ASLEEP"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(change: dict[str, Any], complaint: str) -> None:
    table = deepcopy(TABLE)
    table["transitions"].append(change)
    with pytest.raises(ValueError, match=complaint):
        Lifecycle(table)


def test_a_status_that_nothing_leads_to_is_refused() -> None:
    table = deepcopy(TABLE)
    table["states"]["LOST"] = {}
    table["transitions"].append({"from": "LOST", "trigger": "found", "to": "REQUESTED", "emit": "-"})
    with pytest.raises(ValueError, match="LOST"):
        Lifecycle(table)
