"""What operations see of bookings: samples for metrics, fields of the log, and alarms on what exists."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
import yaml

from engine import StepRegistry
from engine.telemetry.logs import ALLOWED, JsonLine
from engine.telemetry.prometheus import HELP
from steps.booking import request
from steps.bookings.lifecycle import lifecycle
from steps.bookings.repository import repository
from steps.observing import LOG_KEYS, sample
from steps.ops import breakers
from tests.booking.world import BOOKING, ROOT, Desk, asap

SECRETS = ("Rivera", "RIVERA", "+447700900123", "ana.rivera", "Example Boulevard", "55.3644", asap()["member_id"])
FAILURE = {"code": "no_vehicles_available", "retryable": True, "user_message": "No car.", "suggested_action": "RETRY"}


def samples(desk: Desk) -> dict[str, float]:
    return {"|".join((found.name, *found.labels.values())): found.value for found in sample(desk)}


def test_a_quiet_system_has_nothing_to_tell(desk: Desk) -> None:
    assert set(samples(desk).values()) == {0}


def test_outbox_open_bookings_and_outcomes_are_read(desk: Desk) -> None:
    for letter in "ABC":
        desk.execution = BOOKING[:-1] + letter
        request(asap(), desk)
    with repository(desk) as repo:
        booking = repo.load(desk.execution)
        repo.transition(booking, "no_ride", failure_code=FAILURE["code"], doc={**booking.doc, "failure": FAILURE})
        repo.need_people(repo.load(BOOKING[:-1] + "A"), "unwanted_ride")
    desk.sleep(90)
    found = samples(desk)
    assert (found["outbox_events"], found["outbox_age_seconds"]) == (5, 90)
    assert found["bookings_open|REQUESTED"] == 2
    assert found["bookings_ended_last_hour|FAILED|no_vehicles_available"] == 1
    assert (found["bookings_attention"], found["bookings_overdue"]) == (1, 0)
    desk.sleep(3600)
    found = samples(desk)
    assert found["bookings_overdue"] == 2
    assert not [name for name in found if name.startswith("bookings_ended")]


def test_people_are_called_once_more_when_an_end_is_not_the_end(desk: Desk) -> None:
    request(asap(), desk)
    with repository(desk) as repo:
        booking = repo.need_people(repo.load(BOOKING), "unwanted_ride")
        repo.transition(booking, "no_ride", doc={**booking.doc, "failure": FAILURE})
    found = samples(desk)
    assert (found["bookings_attention"], found["bookings_attention_ended"]) == (0, 0)
    desk.sleep(60)
    for _ in range(2):  # a ride turns up that nobody wants
        with repository(desk) as repo:
            repo.need_people(repo.load(BOOKING), "unwanted_ride")
    assert samples(desk)["bookings_attention_ended"] == 1
    types = "SELECT type FROM outbox WHERE type LIKE '%attention_required%'"
    assert len(desk.db.execute(types).fetchall()) == 2
    desk.sleep(86_401)
    assert samples(desk)["bookings_attention_ended"] == 0


def counters() -> set[str]:
    """The names under which the program counts, as Prometheus has them."""
    files = (file for folder in ("engine", "steps") for file in (ROOT / folder).rglob("*.py"))
    return {f"{name}_total" for file in files for name in re.findall(r'telemetry\.count\(\s*"(\w+)"', file.read_text())}


def test_alarms_name_values_of_labels_that_exist() -> None:
    text = (ROOT / "docs/alarms.yaml").read_text()
    errors = {error for found in StepRegistry.of("steps") for error in found.errors}
    known = {
        "operation": set(re.findall(r"operationId: (\w+)", (ROOT / "schemas/openapi.yaml").read_text())),
        "outcome": errors | {"ok"},
        "status": {*lifecycle().statuses, "401"},
    }
    used = re.findall(r'(\w+)!?="([^"]+)"', text)
    assert [(label, value) for label, value in used if value not in known[label]] == []
    assert len(used) > 4


def test_every_alarm_watches_something_that_is_told(desk: Desk) -> None:
    alarms = yaml.safe_load((ROOT / "docs/alarms.yaml").read_text())["alarms"]
    desk.settings["TAXI_URL"] = "http://taxi.example/v1"
    request(asap(), desk)
    with repository(desk) as repo:
        booking = repo.load(BOOKING)
        repo.transition(booking, "no_ride", doc={**booking.doc, "failure": FAILURE})
        desk.execution = BOOKING[:-1] + "B"
    request(asap(), desk)
    known = {found.name for found in (*sample(desk), *breakers(desk))} | set(HELP) | counters()
    for alarm in alarms:
        assert set(alarm) == {"name", "metric", "when", "for", "severity", "means", "do"}
        assert alarm["metric"] in known
        assert alarm["metric"] in alarm["when"]
    assert len({alarm["name"] for alarm in alarms}) == len(alarms) >= 6


def test_fields_that_may_be_logged_are_known_to_the_engine() -> None:
    assert StepRegistry.of("steps").log_keys >= LOG_KEYS


def test_no_step_logs_a_field_that_nobody_would_see() -> None:
    found = {}
    for file in (ROOT / "steps").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "log":
                found |= {word.arg: f"{file.name}:{node.lineno}" for word in node.keywords if word.arg}
    assert {name: place for name, place in found.items() if name not in LOG_KEYS | ALLOWED | {"warning"}} == {}
    assert len(found) > 4


@pytest.mark.parametrize("fault", ["F07", "F24", "F29", "F31"])
def test_no_seeded_name_number_or_address_is_in_log_event_log_or_outbox(
    fault: str, world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    here = world(fault)
    caplog.set_level("DEBUG")
    here.book(asap())
    lines = "\n".join(JsonLine().format(record) for record in caplog.records)
    assert len(lines) > 1000
    outbox = json.dumps(here.rows("SELECT * FROM outbox"))
    for place in (lines, caplog.text, here.log.read_text(), outbox):
        assert [secret for secret in SECRETS if secret in place] == []
