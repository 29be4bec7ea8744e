"""The list of events, as the AsyncAPI document has it, is the one that bookings emit."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from steps.bookings.lifecycle import lifecycle
from tests.booking.world import ROOT

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "schemas/asyncapi.yaml").read_text())
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
KINDS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "steps/bookings/events.yaml").read_text())


def test_the_document_lists_every_event_and_no_other() -> None:
    names = {message["name"].removeprefix("com.example.lounge.").removesuffix(".v1") for message in MESSAGES.values()}
    assert names == {*KINDS, "member.erased"}
    assert set(DOCUMENT["channels"]["bookingEvents"]["messages"]) == set(MESSAGES)


def test_every_edge_emits_an_event_of_the_list() -> None:
    cycle = lifecycle()
    assert {edge.event for edge in cycle.edges.values() if edge.event} | {cycle.initial_event} <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_the_document_says_what_is_for_members_and_what_ends_a_booking(name: str) -> None:
    message = MESSAGES[name.removeprefix("booking.")]
    ends = {edge.event for edge in lifecycle().edges.values() if set(edge.targets) <= lifecycle().terminal}
    assert message["x-user-facing"] == ("template" in KINDS[name])
    assert message["x-terminal"] == (name in ends)
    assert message["summary"]


def test_the_schemas_that_the_document_names_exist_and_are_schemas() -> None:
    for file in {message["payload"]["$ref"] for message in MESSAGES.values()}:
        Draft202012Validator.check_schema(json.loads((ROOT / "schemas" / file).read_text()))
