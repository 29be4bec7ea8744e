"""Bookings in the database: a change is one edge, one version, one transition, at most one event, all or nothing."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from engine import StepError
from engine.errors import StoreUnavailable
from engine.stores import open_store
from steps.booking import request
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.repository import Repository, repository
from steps.bookings.resource import render
from steps.bookings.sql import migrations
from steps.slot import reserve
from steps.tables import SchemaTooNew, migrate
from tests.booking.world import BOOKING, NOT_UNIQUE, ROOT, Desk, asap

EVENT = Draft202012Validator(
    json.loads((ROOT / "schemas/booking-event.json").read_text()), format_checker=FormatChecker()
)
RESOURCE = Draft202012Validator(json.loads((ROOT / "schemas/booking.json").read_text()))
EDGES = [(edge, to) for edge in lifecycle().edges.values() for to in edge.targets]
TIER = {"code": "PRESTIGE", "ride_allowance": 5, "max_active_bookings": 2, "overage_allowed": False}
FAILURE = {"code": "no_vehicles_available", "retryable": True, "user_message": "No car.", "suggested_action": "RETRY"}


def new(desk: Desk) -> None:
    request(asap(), desk)


def rows(desk: Desk, table: str) -> int:
    return int(desk.db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def force(desk: Desk, repo: Repository, status: str) -> Booking:
    """The booking as if it had come to that status, with everything that later statuses need."""
    ended = "2026-05-04T08:00:00.000Z" if status in lifecycle().terminal else None
    desk.db.execute(
        "UPDATE bookings SET status = ?, terminal_at = ?, ride_ref = 'gtx_1', ride_provider = 'globaltaxi', "
        "price_minor = 3000, price_currency = 'GBP'",
        (status, ended),
    )
    booking = repo.load(BOOKING)
    return replace(booking, doc={**booking.doc, "failure": FAILURE, "airport_timezone": "Asia/Dubai"})


def test_a_new_booking_is_a_row_a_transition_an_event_and_a_personal_part(desk: Desk) -> None:
    new(desk)
    assert [rows(desk, table) for table in ("bookings", "booking_transitions", "outbox", "booking_pii")] == [1, 1, 1, 1]
    with repository(desk) as repo:
        booking = repo.load(BOOKING)
    assert (booking.status, booking.version, booking.attention) == ("REQUESTED", 1, 0)
    assert "Rivera" not in json.dumps(booking.doc)


@pytest.mark.parametrize(("edge", "to"), EDGES, ids=lambda value: getattr(value, "trigger", value))
def test_every_edge_can_be_taken_and_emits_a_valid_event(edge: Any, to: str, desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        before = force(desk, repo, edge.source)
        after = repo.transition(before, edge.trigger, to=to if len(edge.targets) > 1 else None)
    assert (after.status, after.version) == (to, 2)
    assert (after.terminal_at is not None) == (to in lifecycle().terminal)
    envelopes = [json.loads(row[0]) for row in desk.db.execute("SELECT envelope FROM outbox ORDER BY seq")]
    assert [list(EVENT.iter_errors(body)) for body in envelopes] == [[]] * len(envelopes)
    names = [body["type"] for body in envelopes[1:]]
    assert names == ([f"com.example.lounge.{edge.event}.v1"] if edge.event else [])
    assert list(RESOURCE.iter_errors(render(after))) == []


def test_a_change_since_the_booking_was_read_is_a_conflict_and_writes_nothing(desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        stale = repo.load(BOOKING)
        repo.transition(stale, "compensate")
    with pytest.raises(StepError) as caught, repository(desk) as repo:
        repo.transition(stale, "no_ride", doc={**stale.doc, "failure": FAILURE})
    assert caught.value.error == "Db.Conflict"
    assert rows(desk, "booking_transitions") == 2


def test_a_change_is_all_or_nothing(desk: Desk) -> None:
    def die() -> None:
        with repository(desk) as repo:
            repo.transition(repo.load(BOOKING), "no_ride", doc={**repo.load(BOOKING).doc, "failure": FAILURE})
            raise RuntimeError("the process ends here")

    new(desk)
    with pytest.raises(RuntimeError):
        die()
    with repository(desk) as repo:
        assert repo.load(BOOKING).status == "REQUESTED"
    assert (rows(desk, "booking_transitions"), rows(desk, "outbox")) == (1, 1)


def test_an_ended_booking_never_changes_again(desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        ended = repo.transition(repo.load(BOOKING), "no_ride", doc={**repo.load(BOOKING).doc, "failure": FAILURE})
        for trigger in {trigger for _, trigger in lifecycle().edges}:
            with pytest.raises(StepError) as caught:
                repo.transition(ended, trigger)
            assert caught.value.error == "Booking.WrongState"


def test_a_booking_that_is_being_cancelled_says_so(desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        cancelling = repo.transition(repo.load(BOOKING), "member_cancel", actor="member")
        with pytest.raises(StepError) as caught:
            repo.transition(cancelling, "ride_confirmed")
    assert caught.value.error == "Booking.CancelRequested"


def test_the_database_refuses_a_second_terminal_event(desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        booking = repo.transition(repo.load(BOOKING), "no_ride", doc={**repo.load(BOOKING).doc, "failure": FAILURE})
        with pytest.raises(NOT_UNIQUE, match=r"(?i)unique"):
            repo.emit(booking, "booking.failed", "REQUESTED")


def test_people_are_called_once(desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        repo.need_people(repo.load(BOOKING), "unwanted_ride")
    with repository(desk) as repo:
        repo.need_people(repo.load(BOOKING), "unwanted_ride")
        assert repo.load(BOOKING).attention == 1
    assert rows(desk, "outbox") == 2


def test_a_database_that_cannot_be_used_has_a_name(desk: Desk) -> None:
    new(desk)
    with pytest.raises(StepError) as caught, repository(desk):
        raise StoreUnavailable("the server is gone")
    assert caught.value.error == "Db.Unavailable"


def test_tables_of_a_newer_version_are_left_alone(desk: Desk) -> None:
    desk.db.execute("UPDATE booking_schema SET version = 99")
    with pytest.raises(SchemaTooNew):
        migrate(desk)


def test_tables_are_brought_up_to_date_once(desk: Desk) -> None:
    migrate(desk)
    assert desk.db.execute("SELECT version FROM booking_schema").fetchall() == [(len(migrations("sqlite")),)]


def test_tables_of_the_first_version_are_brought_up_to_date_and_encrypted(desk: Desk) -> None:
    with desk.transaction() as db:
        made = re.findall(r"CREATE TABLE (\w+)", str(migrations(db.dialect)))
        for table in made:
            db.execute(f"DROP TABLE IF EXISTS {table}" + (" CASCADE" if db.dialect == "postgresql" else ""))
        if db.dialect == "postgresql":
            db.execute("DROP TYPE text_span")
        for statement in migrations(db.dialect)[0]:
            db.execute(statement)
        db.execute("UPDATE booking_schema SET version = 1")
        db.execute(
            "INSERT INTO bookings (booking_id, reference, member_ref, status, version, airport_iata, lounge_code, "
            "pickup_time, window_end, doc, created_at, updated_at) VALUES "
            f"('{BOOKING}', 'ABCDEF', 'mref_1', 'REQUESTED', 1, 'DXB', 'L1', 'a', 'b', '{{}}', 'a', 'a')"
        )
        db.execute(f"INSERT INTO booking_slots VALUES ('{BOOKING}', 'mref_1', '2026', 'a', 'b')")
        personal = json.dumps({"member_id": "m", "request": {"notes": "ring twice"}})
        db.execute("INSERT INTO booking_pii VALUES (?, 'none', ?, 'c', NULL)", (BOOKING, personal))
    migrate(desk)
    assert desk.db.execute("SELECT active FROM booking_slots").fetchall() == [(1,)]
    ((key, text),) = desk.db.execute("SELECT key_id, ciphertext FROM booking_pii").fetchall()
    assert (key, "ring" in text) == (BOOKING, False)
    with repository(desk) as repo:
        assert repo.personal(BOOKING)["request"] == {"notes": "ring twice"}


def test_the_database_refuses_overlapping_rides_of_a_member(desk: Desk) -> None:
    new(desk)
    for number in range(4):
        desk.execution = f"{BOOKING[:-1]}{number}"
        request(asap(), desk)
    insert = (
        "INSERT INTO booking_slots (booking_id, member_ref, period, starts_at, ends_at) VALUES (?, ?, '2026', ?, ?)"
    )

    def take(number: int, member: str, start: str, end: str) -> None:
        times = (f"2026-05-04T{start}:00.000Z", f"2026-05-04T{end}:00.000Z")
        desk.db.execute(insert, (f"{BOOKING[:-1]}{number}", member, *times))

    take(0, "mref_a", "10:00", "11:30")
    take(1, "mref_a", "11:30", "13:00")  # begins as the other ends
    take(2, "mref_b", "10:00", "11:30")
    with pytest.raises(NOT_UNIQUE, match="booking_slots_overlap"):
        take(3, "mref_a", "11:29", "11:31")
    desk.db.execute("UPDATE booking_slots SET active = 0 WHERE member_ref = 'mref_a'")
    take(3, "mref_a", "11:29", "11:31")
    with pytest.raises(NOT_UNIQUE, match="booking_slots_overlap"):
        desk.db.execute("UPDATE booking_slots SET active = 1 WHERE member_ref = 'mref_a'")


def test_an_ended_ride_frees_its_time_and_counts_on(desk: Desk) -> None:
    new(desk)
    reserve({"booking_id": BOOKING, "tier": TIER, "usage": {"period": "2026"}}, desk)
    with repository(desk) as repo:
        confirmed = repo.transition(repo.load(BOOKING), "ride_confirmed", ride_ref="gtx_1", ride_provider="globaltaxi")
        repo.transition(confirmed, "ride_completed")
    assert desk.db.execute("SELECT active FROM booking_slots").fetchall() == [(0,)]
    desk.execution = BOOKING[:-1] + "B"
    new(desk)
    again = reserve({"booking_id": desk.execution, "tier": TIER, "usage": {"period": "2026"}}, desk)
    assert again["rides_left"] == 3


def test_two_transactions_that_meet_end_in_a_conflict_not_in_a_deadlock(desk: Desk) -> None:
    new(desk)
    with repository(desk) as repo:
        repo.update(repo.load(BOOKING), attention=1)
        if repo.db.dialect == "sqlite":
            return  # writers take turns there
        with closing(open_store(desk.url)) as other, other.transaction() as db:
            late = Repository(db, repo.now, {})
            with pytest.raises(StepError) as caught:
                late.update(late.load(BOOKING), attention=1)
            assert caught.value.error == "Db.Conflict"
