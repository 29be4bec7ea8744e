"""What a newcomer tries: a pickup at a time, and settings and replies that are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steps.bookings.moments import parse
from steps.examples import scheduled
from steps.taxi_api.errors import CODE

ROOT = Path(__file__).resolve().parents[2]


def test_the_scheduled_example_has_its_pickup_that_many_minutes_ahead() -> None:
    now = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
    request = scheduled(60, now)["request"]
    assert isinstance(request, dict)
    assert (request["pickup"]["type"], parse(request["pickup"]["time"])) == ("SCHEDULED", now.replace(hour=10))


@pytest.mark.parametrize(
    ("edit", "status"), [(None, "CONFIRMED"), (("min_lead_min: 45", "min_lead_min: 90"), "REJECTED")]
)
def test_the_lead_time_rule_decides_on_the_scheduled_example(
    tmp_path: Path, edit: tuple[str, str] | None, status: str
) -> None:
    rules = (ROOT / "flows" / "rules" / "booking.yaml").read_text(encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(rules.replace(*edit) if edit else rules, encoding="utf-8")
    (tmp_path / "input.json").write_text(json.dumps(scheduled(60, datetime.now(UTC))), encoding="utf-8")
    engine = [sys.executable, "-m", "engine.cli", "run", "flows/booking.yaml", "--input", str(tmp_path / "input.json")]
    command = [
        sys.executable,
        "-m",
        "steps.simulator",
        "--",
        *engine,
        "--store",
        f"sqlite:///{tmp_path}/b.db",
        "--json",
    ]
    environment = os.environ | {"RULES_FILE": str(tmp_path / "rules.yaml"), "EVENT_LOG": str(tmp_path / "e.jsonl")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(done.stdout)["output"]["status"] == status, done.stderr


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2026-W48-2T10Z", "20261124T100000Z", "soon"]
)
def test_a_text_that_is_no_moment_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"moment|date and time"):
        parse(text)


def test_lower_case_is_rfc_3339_too() -> None:
    assert parse("2026-05-04t10:00:00z") == datetime(2026, 5, 4, 10, tzinfo=UTC)


@pytest.mark.parametrize(("code", "fits"), [("quote_expired", True), ("Ana Rivera", False), ("x" * 65, False)])
def test_only_codes_of_the_contract_are_shown(code: str, fits: bool) -> None:
    assert bool(CODE.fullmatch(code)) == fits
