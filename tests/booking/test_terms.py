"""The terms that a ride is offered under: the taxi company's, else the house's, which are a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from steps.bookings import reference, terms
from tests.booking.test_cancel import booking, in_three_hours
from tests.booking.test_track import one_look, track
from tests.booking.world import BOOKING, ROOT

SILENT = {"pricing": {"offers_terms": False}}
QUOTE = {"amount_minor": 3001, "currency": "GBP"}
FROM_AIRPORT = {"direction": "FROM_AIRPORT"}


def house(folder: Path, *changes: tuple[str, str]) -> Path:
    """A copy of the reference data, with the house's terms changed."""
    copy = folder / "reference"
    shutil.copytree(ROOT / "flows/reference", copy)
    file = copy / "cancellation.yaml"
    for old, new in changes:
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    return copy


def test_what_an_offer_does_not_say_the_house_says() -> None:
    found = terms.complete(QUOTE, FROM_AIRPORT, ROOT / "flows/reference")
    assert [(term["kind"], term["fee"]["amount_minor"]) for term in found["cancellation"]] == [
        ("TIME_BEFORE_PICKUP", 0),
        ("BEFORE_DRIVER_EN_ROUTE", 1501),
        ("ALWAYS", 3001),
    ]
    assert (found["free_waiting_min"], found["no_show_fee"]["amount_minor"]) == (60, 3001)
    assert terms.complete(QUOTE, {"direction": "TO_AIRPORT"}, ROOT / "flows/reference")["free_waiting_min"] == 15


def test_what_an_offer_says_holds() -> None:
    own = {"cancellation": [{"kind": "BEFORE_DRIVER_EN_ROUTE", "fee": {"amount_minor": 7, "currency": "GBP"}}]}
    found = terms.complete({**QUOTE, **own, "free_waiting_min": 0}, FROM_AIRPORT, ROOT / "flows/reference")
    assert (found["cancellation"], found["free_waiting_min"]) == (own["cancellation"], 0)


@pytest.mark.parametrize(
    ("old", "new", "because"),
    [
        ("minutes: 120, ", "", "FREE_IN_GOOD_TIME: 'minutes' is a required property"),
        ("fee_pct: 50", "fee_pct: 150", "150 is greater than the maximum of 100"),
        ("kind: ALWAYS", "kind: NEVER", "'NEVER' is not one of"),
    ],
)
def test_a_mistake_in_the_file_is_told(old: str, new: str, because: str, tmp_path: Path) -> None:
    with pytest.raises(reference.Missing, match=r"cancellation\.yaml: ") as caught:
        terms.complete(QUOTE, FROM_AIRPORT, house(tmp_path, (old, new)))
    assert because in str(caught.value)


def test_a_booking_keeps_the_terms_that_it_was_offered_under(world: Any, tmp_path: Path) -> None:
    folder = house(tmp_path, ("fee_pct: 50", "fee_pct: 25"), ("minutes: 120", "minutes: 60"))
    here = world(plan=SILENT, REFERENCE_DIR=str(folder))
    made = here.book(in_three_hours()).output
    price = made["price"]["amount_minor"]
    (folder / "cancellation.yaml").unlink()
    assert [(term["until"], term["fee"]["amount_minor"]) for term in made["cancellation_policy"]] == [
        ("2026-05-04T10:00:00.000Z", 0),
        ("DRIVER_EN_ROUTE", price // 4),
        (None, price),
    ]
    assert made["ride"]["free_waiting_min"] == 60
    again = here.engine.run(
        ROOT / "flows/http/get-booking.yaml", {"member_id": "mem_demo_prestige", "booking_id": BOOKING}
    )
    assert again.output["cancellation_policy"] == made["cancellation_policy"]


def test_without_the_house_s_terms_no_price_is_given(world: Any, tmp_path: Path) -> None:
    folder = house(tmp_path)
    (folder / "cancellation.yaml").write_text("{}: [")
    made = world(plan=SILENT, REFERENCE_DIR=str(folder)).book(in_three_hours()).output
    assert (made["status"], made["failure"]["code"]) == ("FAILED", "service_unavailable")


def test_who_does_not_turn_up_pays_as_the_house_says(world: Any) -> None:
    here = world(plan=SILENT)
    here.book(in_three_hours())
    price = booking(here)["price_minor"]
    for status in ("DRIVER_ARRIVED", "NO_SHOW"):
        here.sim.advance_ride(f"{BOOKING}-r1", status)
        ride = here.sim.simulation.supplier.rides.values()
        for one in ride:
            one.cancellation_fee_minor = None
        track(here, one_look(), name=f"look-{status}")
    doc = json.loads(booking(here)["doc"])
    assert booking(here)["status"] == "NO_SHOW"
    assert doc["cancellation"]["fee"] == {"amount_minor": price, "currency": "GBP"}
    assert here.violations() == []
