"""What the rules get to see, and what the slot allows."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from engine import StepError
from steps.booking import request
from steps.bookings.moments import stamp
from steps.context import load, open_at
from steps.rules import evaluate
from steps.slot import release, reserve
from tests.booking.world import BOOKING, ROOT, Desk, asap

OTHER = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PB"
TIER = {"code": "PRESTIGE", "ride_allowance": 2, "max_active_bookings": 2, "overage_allowed": False}
USAGE = {"period": "2026", "rides_elsewhere": 0}


def take_on(desk: Desk, name: str = BOOKING, **changes: Any) -> str:
    wish = asap()
    wish["request"] |= changes
    desk.execution = name
    request(wish, desk)
    return name


def context(desk: Desk, name: str = BOOKING) -> dict[str, Any]:
    found: dict[str, Any] = load({"booking_id": name}, desk)
    return found


def error(call: Callable[[], Any]) -> tuple[str | None, str | None]:
    with pytest.raises(StepError) as caught:
        call()
    return caught.value.error, caught.value.cause


def from_london(visit: str | None = None) -> dict[str, Any]:
    lounge = {"kind": "SAME_AIRPORT", "lounge_code": "LHR-T5-01"} | ({"visit_id": visit} if visit else {})
    flight = {"number": "BA286", "date": "2026-05-04"}
    return {"airport_iata": "LHR", "lounge_context": lounge, "flight": flight}


def test_a_visit_and_a_flight_get_their_moments(desk: Desk) -> None:
    take_on(desk, **from_london("vis_demo_prestige"))
    seen = context(desk)
    assert seen["visit"]["checked_in_at"] == "2026-05-04T07:30:00.000Z"
    assert seen["visit"]["member_id"] == seen["member"]["id"]
    assert seen["flight"]["estimated_arrival"] == "2026-05-04T10:30:00.000Z"  # 11:30 in London, in summer
    assert seen["lounge"]["open_now"] is True


def test_a_visit_of_somebody_else_is_not_the_members(desk: Desk) -> None:
    take_on(desk, **from_london("vis_demo_plus"))
    assert context(desk)["visit"]["member_id"] != context(desk)["member"]["id"]


def test_what_is_not_known_is_null_for_the_rules_to_judge(desk: Desk) -> None:
    lounge = {"kind": "SAME_AIRPORT", "lounge_code": "ZZZ-T1-01", "visit_id": "vis_unknown"}
    take_on(desk, airport_iata="ZZZ", lounge_context=lounge, flight={"number": "EK999", "date": "2026-05-04"})
    seen = context(desk)
    assert [seen[name] for name in ("airport", "lounge", "visit", "flight")] == [None] * 4
    assert seen["area"] == {"dropoff_in_service": False}


def test_a_place_outside_the_area_is_not_served(desk: Desk) -> None:
    far = {"point": {"lat": 24.0, "lon": 51.0}, "country": "AE"}
    take_on(desk, dropoff=far)
    assert context(desk)["area"] == {"dropoff_in_service": False}


def test_no_personal_data_is_in_the_context(desk: Desk) -> None:
    take_on(desk)
    text = json.dumps(context(desk))
    assert [secret for secret in ("mem_demo_prestige", "Rivera", "Boulevard", "+4477") if secret in text] == []


def test_without_flight_data_rides_go_on_and_without_members_they_do_not(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    shutil.copytree(ROOT / "flows/reference", folder)
    desk.settings["REFERENCE_DIR"] = str(folder)
    take_on(desk, **from_london())
    (folder / "flights.yaml").unlink()
    assert context(desk)["flight"] is None
    (folder / "members.yaml").write_text("not: [valid")
    assert error(lambda: context(desk)) == ("Context.Unavailable", "members.yaml is not valid YAML")
    (folder / "members.yaml").write_text("[a, list]")
    assert error(lambda: context(desk)) == ("Context.Unavailable", "members.yaml must hold objects by id")
    (folder / "members.yaml").write_text("somebody_else: {}")
    assert error(lambda: context(desk))[0] == "Context.Unavailable"


@pytest.mark.parametrize(
    ("table", "old", "new", "because"),
    [
        ("airports", "service_area", "area", "the reference data has no 'service_area' where it is needed"),
        ("lounges", "hours", "times", "the reference data has no 'hours' where it is needed"),
        ("members", "membership", "card", "the reference data has no 'membership' where it is needed"),
        ("tiers", "ride_allowance: 10", "period: WEEK", "tiers.yaml: a period is one of YEAR, MONTH"),
        ("tiers", "PRESTIGE", "GOLD", "tiers.yaml does not have what this booking needs"),
        ("lounges", '"05:00"', "5", "the reference data has a field of another form than is needed"),
    ],
)
def test_a_gap_in_the_reference_data_is_named_and_logged(
    table: str, old: str, new: str, because: str, desk: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "reference"
    shutil.copytree(ROOT / "flows/reference", folder)
    file = folder / f"{table}.yaml"
    file.write_text(file.read_text().replace(old, new))
    desk.settings["REFERENCE_DIR"] = str(folder)
    take_on(desk, **from_london())
    assert error(lambda: context(desk)) == ("Context.Unavailable", because)
    (line,) = [line for line in desk.logged if line.startswith(f"what the rules look at cannot be had: {because}")]
    assert line.endswith(because) or re.search(r" \([a-z]+\.py, line \d+\)$", line), "where it was looked for"


@pytest.mark.parametrize(
    ("opens", "closes", "moment", "expected"),
    [
        ("05:00", "22:00", time(5, 0), True),
        ("05:00", "22:00", time(22, 0), False),
        ("05:00", "22:00", time(4, 59, 59), False),
        ("00:00", "24:00", time(23, 59, 59), True),
        ("22:00", "06:00", time(23, 0), True),
        ("22:00", "06:00", time(5, 59), True),
        ("22:00", "06:00", time(12, 0), False),
    ],
)
def test_opening_hours(opens: str, closes: str, moment: time, expected: bool) -> None:
    assert open_at({"open": opens, "close": closes}, moment) is expected


def test_rides_elsewhere_and_slots_here_make_the_usage(desk: Desk) -> None:
    take_on(desk)
    reserve({"booking_id": BOOKING, "tier": TIER, "usage": USAGE}, desk)
    take_on(desk, OTHER)
    seen = context(desk, OTHER)
    assert seen["usage"] == {"period": "2026", "rides_elsewhere": 3, "rides_in_period": 4, "attempts_10m": 2}
    assert [ride["booking_id"] for ride in seen["bookings"]] == [BOOKING]
    assert context(desk)["bookings"] == []


def test_the_slot_says_what_is_taken(desk: Desk) -> None:
    def slot(name: str, **changes: Any) -> Any:
        return reserve({"booking_id": name, "tier": {**TIER, **changes}, "usage": USAGE}, desk)

    take_on(desk)
    assert slot(BOOKING) == {"tier": "PRESTIGE", "rides_left": 1}
    assert slot(BOOKING) == {"tier": "PRESTIGE", "rides_left": 1}
    assert error(lambda: slot(take_on(desk, OTHER)))[0] == "Slot.Conflict"
    desk.moment = desk.moment.replace(hour=12)
    third = take_on(desk, OTHER[:-1] + "C")
    assert error(lambda: slot(third, max_active_bookings=1))[0] == "Slot.TooManyOpen"
    assert error(lambda: slot(third, ride_allowance=1))[0] == "Slot.AllowanceExhausted"
    assert error(lambda: slot(third, ride_allowance=1, overage_allowed=True))[0] == "Slot.AllowanceExhausted"
    fourth = take_on(desk, OTHER[:-1] + "D", accept_overage=True)
    assert slot(fourth, ride_allowance=1, overage_allowed=True)["rides_left"] == 0
    assert release({"booking_id": BOOKING}, desk) == {"released": True}
    assert release({"booking_id": BOOKING}, desk) == {"released": False}


def test_rules_that_cannot_be_had_are_not_a_rejection(desk: Desk, tmp_path: Path) -> None:
    payload = {"booking_id": take_on(desk), "phase": "pre_quote", "context": context(desk)}
    assert evaluate(payload, desk)["failed"] == 0
    assert error(lambda: evaluate({**payload, "phase": "dessert"}, desk))[0] == "Rules.Unavailable"
    desk.settings["RULES_FILE"] = str(tmp_path / "rules.yaml")
    assert error(lambda: evaluate(payload, desk))[0] == "Rules.Unavailable"
    (tmp_path / "rules.yaml").write_text("rules: 7")
    assert error(lambda: evaluate(payload, desk))[0] == "Rules.Unavailable"


def test_rules_with_a_mistake_leave_those_before_them_in_force(desk: Desk, tmp_path: Path) -> None:
    payload, file = (
        {"booking_id": take_on(desk), "phase": "pre_quote", "context": context(desk)},
        tmp_path / "rules.yaml",
    )
    desk.settings["RULES_FILE"] = str(file)
    good = (ROOT / "flows/rules/booking.yaml").read_text()
    file.write_text(good)
    passed = evaluate(payload, desk)["passed"]
    for text in (good.replace("assert:", "assert: (", 1), good.replace("assert:", "asert:", 1)):
        file.write_text(text)
        os.utime(file, ns=(len(text), len(text)))
        desk.logged.clear()
        assert [evaluate(payload, desk)["passed"] for _ in range(2)] == [passed] * 2
        assert desk.logged == ["rules cannot be loaded: those before them stay in force"]
    file.unlink()
    assert evaluate(payload, desk)["passed"] == passed


def test_a_rule_that_raises_an_error_fails_and_somebody_hears_of_it(desk: Desk, tmp_path: Path) -> None:
    good = (ROOT / "flows/rules/booking.yaml").read_text()
    rule = "\n- {id: R99, code: odd, phase: pre_quote, http: 422, assert: 'floor(member.id) > `1`', message: Odd.}\n"
    (tmp_path / "rules.yaml").write_text(good + rule)
    desk.settings["RULES_FILE"] = str(tmp_path / "rules.yaml")
    payload = {"booking_id": take_on(desk), "phase": "pre_quote", "context": context(desk)}
    assert error(lambda: evaluate(payload, desk)) == ("Rules.Rejected", "R99 odd: Odd.")
    assert desk.logged[-1] == "a rule raised an error, and counts as failed"


def test_the_decision_is_kept_with_the_booking_and_sets_the_length_of_its_slot(desk: Desk, tmp_path: Path) -> None:
    rules = (ROOT / "flows/rules/booking.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(rules.replace("trip_block_min: 90", "trip_block_min: 30"))
    desk.settings["RULES_FILE"] = str(tmp_path / "rules.yaml")
    evaluate({"booking_id": take_on(desk), "phase": "pre_quote", "context": context(desk)}, desk)
    doc, ends = desk.db.execute("SELECT doc, window_end FROM bookings").fetchone()
    assert json.loads(doc)["decisions"]["pre_quote"]["passed"] is True
    assert ends == stamp(desk.moment.replace(minute=30))
