"""The request on its way in: what is corrected, what is refused, and what is kept where."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import StepError
from steps.booking import request
from steps.bookings import requests
from steps.bookings.identifiers import BOOKING_ID, booking_id, member_ref, reference
from tests.booking.world import BOOKING, Desk, asap

CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("requests.yaml").read_text())
SECRETS = ("Ana", "Rivera", "+447700900123", "ana.rivera@example.com", "Example Boulevard", "Example Tower")


def changed(wish: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    *path, last = pointer.strip("/").split("/")
    holder = wish
    for key in path:
        holder = holder.setdefault(key, {})
    if value == "(absent)":
        holder.pop(last, None)
    else:
        holder[last] = value
    return wish


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["because"])
def test_a_wrong_request_is_refused_and_nothing_is_written(case: dict[str, Any], desk: Desk) -> None:
    wish = changed(asap(), case["at"], case["value"])
    with pytest.raises(StepError) as caught:
        request(wish, desk)
    assert (caught.value.error, caught.value.cause) == ("Booking.InvalidRequest", case["because"])
    assert desk.db.execute("SELECT COUNT(*) FROM bookings").fetchone() == (0,)


@pytest.mark.parametrize("case", CASES["corrected"], ids=lambda case: case["at"])
def test_a_careless_request_is_corrected(case: dict[str, Any]) -> None:
    wish = changed(asap(), case["at"], case["value"])
    found: Any = {"request": requests.normalise(wish["request"])}
    for key in case["at"].strip("/").split("/"):
        found = found[key]
    assert found == case["becomes"]
    assert requests.problems(requests.normalise(wish["request"])) == []


def test_all_problems_are_told_at_once_and_no_value_is_repeated(desk: Desk) -> None:
    wish = changed(changed(asap(), "/request/lead_passenger/phone", "0770 SECRET"), "/request/airport_iata", "Dubai")
    with pytest.raises(StepError) as caught:
        request(wish, desk)
    assert str(caught.value.cause).count(";") == 1
    assert "SECRET" not in str(caught.value.cause)


@pytest.mark.parametrize("value", [None, [], "text", 7, {"request": None}, {"member_id": "m"}])
def test_what_is_no_request_at_all_is_refused(value: Any, desk: Desk) -> None:
    with pytest.raises(StepError) as caught:
        request(value if isinstance(value, dict) else {"member_id": "m", "request": value}, desk)
    assert caught.value.error == "Booking.InvalidRequest"


def test_personal_fields_are_split_off_and_come_back() -> None:
    whole = requests.complete(requests.normalise(asap()["request"]), datetime(2026, 5, 4, tzinfo=UTC))
    rest, personal = requests.split(whole)
    assert [secret for secret in SECRETS if secret in json.dumps(rest)] == []
    assert [secret for secret in SECRETS if secret not in json.dumps(personal)] == []
    assert requests.merged(rest, personal) == whole


def test_a_car_as_soon_as_possible_is_asked_for_now(desk: Desk) -> None:
    request(asap(), desk)
    assert desk.db.execute("SELECT pickup_time, window_end FROM bookings").fetchone() == (
        "2026-05-04T08:00:00.000Z",
        "2026-05-04T09:30:00.000Z",
    )


def test_identifiers_have_their_forms(desk: Desk) -> None:
    made = booking_id("run-1", "key", desk.now())
    assert BOOKING_ID.fullmatch(made)
    assert made == booking_id("run-1", "key", desk.now())
    assert made != booking_id("run-2", "key", desk.now())
    assert booking_id(BOOKING, "key", desk.now()) == BOOKING
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{6}", reference(BOOKING))
    assert member_ref("m", "one key") != member_ref("m", "another key")


def test_a_reference_in_use_is_not_given_again(desk: Desk) -> None:
    request(asap(), desk)
    desk.execution = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PB"
    desk.db.execute("UPDATE bookings SET reference = ?", (reference(desk.execution),))
    request(asap(), desk)
    found = [row[0] for row in desk.db.execute("SELECT reference FROM bookings ORDER BY booking_id")]
    assert found == [reference(desk.execution), reference(desk.execution, 1)]


def test_without_a_key_the_demonstration_key_is_used_and_said(desk: Desk) -> None:
    del desk.settings["MEMBER_REF_KEY"]
    request(asap(), desk)
    assert any("MEMBER_REF_KEY" in line for line in desk.logged)
