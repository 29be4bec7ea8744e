"""The relay: every event reaches the log, in order per booking, at least once; a failing log changes nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine import StepError
from steps.booking import request
from steps.bookings.repository import repository
from steps.bus.log import append
from steps.relay import LEASE_S, main, publish, relay
from tests.booking.world import BOOKING, NOT_UNIQUE, Desk, asap

FAILURE = {"code": "internal_error", "retryable": True, "user_message": "Sorry.", "suggested_action": "RETRY"}


@pytest.fixture
def log(desk: Desk, tmp_path: Path) -> Path:
    desk.settings["EVENT_LOG"] = str(tmp_path / "events.jsonl")
    return tmp_path / "events.jsonl"


def book(desk: Desk, number: int = 0) -> str:
    desk.execution = f"{BOOKING[:-3]}{number:03d}"
    request(asap(), desk)
    with repository(desk) as repo:
        repo.transition(repo.load(desk.execution), "ride_outcome_unknown")
    return desk.execution


def lines(log: Path) -> list[tuple[str, str]]:
    bodies = [json.loads(line) for line in log.read_text().splitlines() if line]
    return [(body["subject"], body["sequence"]) for body in bodies]


def waiting(desk: Desk) -> list[tuple[Any, ...]]:
    query = "SELECT seq, attempts, last_error FROM outbox WHERE published_at IS NULL ORDER BY booking_id, seq"
    return desk.db.execute(query).fetchall()


def test_events_are_written_in_the_order_of_their_booking(desk: Desk, log: Path) -> None:
    names = [book(desk, number) for number in range(7)]
    relay(desk)
    found = lines(log)
    assert len(found) == 2 * len(names)
    assert all([seq for name, seq in found if name == one] == ["0000000001", "0000000002"] for one in names)
    assert waiting(desk) == []
    assert publish(desk) == 0


def test_what_was_written_but_not_marked_is_written_again_with_the_same_id(desk: Desk, log: Path) -> None:
    book(desk)
    relay(desk)
    desk.db.execute("UPDATE outbox SET published_at = NULL")  # the process ended between writing and marking
    desk.sleep(LEASE_S)
    relay(desk)
    ids = [json.loads(line)["id"] for line in log.read_text().splitlines()]
    assert ids == ids[:2] * 2


def test_many_relays_publish_each_event_once_and_in_order(desk: Desk, log: Path) -> None:
    names = [book(desk, number) for number in range(12)]
    others = [Desk(desk.url, desk.settings) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(relay, others))
    for other in others:
        other.close()
    found = lines(log)
    assert sorted(found) == sorted((name, f"{seq:010d}") for name in names for seq in (1, 2))
    assert all([seq for name, seq in found if name == one] == ["0000000001", "0000000002"] for one in names)


def test_events_that_a_relay_died_with_are_left_to_the_others_in_the_end(desk: Desk, log: Path) -> None:
    book(desk)

    class Died(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steps.relay._settle", die)
        with pytest.raises(Died):
            relay(desk)
    relay(desk)
    assert lines(log) == [(BOOKING[:-3] + "000", "0000000001")]
    desk.sleep(LEASE_S)
    relay(desk)
    assert [seq for _, seq in lines(log)] == ["0000000001", "0000000001", "0000000002"]


def test_moments_of_publishing_never_run_backwards(desk: Desk, log: Path) -> None:
    book(desk)
    relay(desk)
    with repository(desk) as repo:
        repo.need_people(repo.load(desk.execution), "unwanted_ride")
    moments = "SELECT published_at FROM outbox ORDER BY seq"
    assert desk.db.execute(moments).fetchall()[2] == (None,)
    desk.db.execute("UPDATE outbox SET next_attempt_at = '2026-05-01T00:00:00.000Z'")
    desk.sleep(-60)  # the clock of another relay is behind
    relay(desk)
    assert len(set(desk.db.execute(moments).fetchall())) == 1


def test_a_log_that_cannot_be_written_keeps_events_queued_and_says_so_once(desk: Desk, log: Path) -> None:
    log.mkdir()
    book(desk)
    relay(desk)
    relay(desk)
    assert waiting(desk) == [(1, 1, "IsADirectoryError: Is a directory"), (2, 0, None)]
    assert [line for line in desk.logged if "queued" in line] == ["events stay queued: the event bus cannot take them"]
    log.rmdir()
    desk.sleep(300)
    relay(desk)
    assert [seq for _, seq in lines(log)] == ["0000000001", "0000000002"]
    assert waiting(desk) == []


def test_a_line_torn_by_a_crash_is_closed_first(log: Path) -> None:
    log.write_text('{"torn": ')
    append(str(log), ['{"whole": 1}', '{"whole": 2}'])
    assert log.read_text() == '{"torn": \n{"whole": 1}\n{"whole": 2}\n'


def test_a_full_outbox_takes_on_no_booking(desk: Desk) -> None:
    desk.settings["OUTBOX_LIMIT"] = "2"
    book(desk, 1)
    with pytest.raises(StepError) as caught:
        book(desk, 2)
    assert caught.value.error == "Outbox.Full"
    assert desk.db.execute("SELECT COUNT(*) FROM bookings").fetchone() == (1,)


def test_the_relay_also_runs_by_itself(
    desk: Desk, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    book(desk)
    monkeypatch.setenv("EVENT_LOG", str(log))
    assert main(["--store", desk.url]) == 0
    assert capsys.readouterr().out == "published 2 events, 0 left\n"
    assert main(["--store", desk.url.removeprefix("sqlite:///")]) == 0
    assert main(["--store", str(tmp_path / "missing.db")]) == 2
    assert len(lines(log)) == 2


def test_the_relay_by_itself_says_what_is_left(
    desk: Desk, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.mkdir()
    book(desk)
    monkeypatch.setenv("EVENT_LOG", str(log))
    assert main(["--store", desk.url]) == 1
    assert capsys.readouterr().out == "published 0 events, 2 left\n"


def test_one_booking_cannot_end_twice_even_by_hand(desk: Desk, log: Path) -> None:
    book(desk)
    query = "INSERT INTO outbox SELECT event_id || ?, booking_id, seq + ?, type, 1, 1, envelope, created_at, 0, "
    query += "created_at, NULL, NULL FROM outbox WHERE seq = 2"
    desk.db.execute(query, ("x", 1))
    with pytest.raises(NOT_UNIQUE):
        desk.db.execute(query, ("y", 2))
