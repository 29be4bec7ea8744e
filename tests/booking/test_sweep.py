"""The sweep picks up what fell by the wayside, and doing it twice changes nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steps.observing import sample
from steps.privacy import prune
from steps.simulator.rides import token
from steps.simulator.supplier import Order
from steps.sweep import find, free
from tests.booking.listening import SECRET, listening
from tests.booking.test_cancel import booking, cancel, in_three_hours
from tests.booking.test_track import plan_of
from tests.booking.world import BOOKING, ROOT, START, Desk, World, scheduled

NUMBERS = itertools.count(1)
HOUR = 3600


def sweep(here: World) -> Any:
    """One round."""
    outcome = here.engine.run(ROOT / "flows/sweep.yaml", {}, name=f"sweep-{next(NUMBERS)}")
    assert outcome.status == "SUCCEEDED", outcome.cause
    return outcome.output


class Lost(BaseException):
    """The flow ends here, and nobody takes it up again."""


def lose_at(state: str) -> Any:
    """An observer that breaks a flow off when it enters a state."""

    def watch(events: list[Any]) -> None:
        if any(kind.endswith("StateEntered") and details["name"] == state for *_, kind, details in events):
            raise Lost

    return watch


def book_until(here: World, state: str) -> None:
    with pytest.raises(Lost):
        here.engine.run(ROOT / "flows/booking.yaml", scheduled(), name=BOOKING, observer=lose_at(state))


def test_a_round_with_nothing_to_do(world: Any) -> None:
    here = world()
    assert sweep(here) == {"freed": {"slots": 0, "keys": 0, "messages": 0}}


@pytest.mark.parametrize(
    ("state", "fault"),
    [("LoadContext", "F01"), ("BookRide", "F01"), ("RideKnown", "F01"), ("ReconcileRide", "F07"), ("AwaitRide", "F30")],
)
def test_a_booking_whose_flow_was_lost_ends_without_a_ride(state: str, fault: str, world: Any) -> None:
    here = world(fault)
    book_until(here, state)
    sweep(here)
    assert booking(here)["terminal_at"] is None  # its own flow may still be at it
    here.clock.advance(HOUR)
    sweep(here)
    sweep(here)
    assert (booking(here)["status"], booking(here)["failure_code"]) == ("FAILED", "deadline_exceeded")
    assert here.events(user_facing=True)[-1] == "failed"
    assert not any(ride["live"] for ride in here.sim.rides())
    assert here.rows("SELECT 1 FROM booking_slots") == []
    assert here.violations() == []


def test_a_booking_that_cannot_be_given_up_calls_people_and_is_tried_again(world: Any) -> None:
    here = world("F30", plan={"faults": [{"op": "cancel*", "times": 1, "fault": "status", "params": {"status": 503}}]})
    book_until(here, "AwaitRide")
    here.clock.advance(HOUR)
    sweep(here)
    assert (booking(here)["status"], booking(here)["attention"]) == ("COMPENSATING", 1)
    here.clock.advance(HOUR)
    sweep(here)
    assert booking(here)["status"] == "FAILED"
    assert here.violations() == []


@pytest.mark.parametrize(("fault", "status"), [(None, "CANCELLED"), ("F38", "IN_PROGRESS")])
def test_a_cancellation_whose_flow_was_lost_is_finished(fault: str | None, status: str, world: Any) -> None:
    here = world(*([fault] if fault else []))
    here.book(in_three_hours())
    wish = {"member_id": "mem_demo_prestige", "booking_id": BOOKING, "reason": None, "accept_fee": None}
    with pytest.raises(Lost):
        here.engine.run(ROOT / "flows/cancel.yaml", wish, name="lost", observer=lose_at("CancelRide"))
    assert booking(here)["status"] == "CANCELLATION_PENDING"
    here.clock.advance(HOUR)
    sweep(here)
    sweep(here)
    assert booking(here)["status"] == status
    assert here.violations() == []


def test_a_ride_that_turns_up_after_all_is_cancelled(world: Any) -> None:
    here = world("F17", plan={"contract": {"tombstones": False, "dedupes_creates": False}}, TAXI_TOMBSTONES="no")
    assert here.book(scheduled()).output["status"] == "FAILED"
    here.sim.set_plan({"contract": {"tombstones": False, "dedupes_creates": False}})
    late(here)
    (watch,) = here.rows("SELECT * FROM orphan_watch")
    assert watch["closed_at"] is None
    for minutes in (1, 4, 10, 45, 5 * 60, 18 * 60 + 1):
        here.clock.advance(minutes * 60)
        sweep(here)
    (watch,) = here.rows("SELECT * FROM orphan_watch")
    assert (watch["result"], watch["closed_at"] is not None) == ("CANCELLED", True)
    assert not any(ride["live"] for ride in here.sim.rides())
    assert booking(here)["attention"] == 1
    assert here.sim.calls("findRides") > 0
    assert here.violations() == []


def told_of(here: World, reference: str, sequence: int) -> None:
    """A message that a driver was found for the ride of a reference."""
    ride = next(ride for ride in here.sim.rides() if ride["client_reference"] == reference)
    data = {"ride_id": ride["ride_ref"], "client_reference": reference, "sequence": sequence}
    payload = {"type": "ride.status_changed", "timestamp": START, "data": {**data, "status": "DRIVER_ASSIGNED"}}
    message = {"provider": "globaltaxi", "webhook_id": f"wh_{reference}_{sequence}", "payload": payload}
    here.engine.run(ROOT / "flows/webhook.yaml", message, name=f"webhook-{reference}-{sequence}")


def test_a_ride_that_is_told_of_after_its_watch_was_closed_is_cancelled(world: Any) -> None:
    here = world("F17", plan={"contract": {"tombstones": False, "dedupes_creates": False}}, TAXI_TOMBSTONES="no")
    assert here.book(scheduled()).output["status"] == "FAILED"
    here.clock.advance(25 * HOUR)
    sweep(here)
    (watch,) = here.rows("SELECT * FROM orphan_watch")
    assert watch["closed_at"] is not None
    here.sim.set_plan({"contract": {"tombstones": False, "dedupes_creates": False}})
    late(here)
    told_of(here, f"{BOOKING}-r1", 2)
    sweep(here)
    (again,) = here.rows("SELECT * FROM orphan_watch")
    assert (again["closed_at"], again["result"]) == (None, "CANCELLED")
    assert again["deadline_at"] > watch["deadline_at"]
    assert not any(ride["live"] for ride in here.sim.rides())
    here.clock.advance(25 * HOUR)
    sweep(here)
    assert here.rows("SELECT 1 FROM orphan_watch WHERE closed_at IS NULL") == []
    assert (booking(here)["status"], booking(here)["attention"]) == ("FAILED", 1)
    assert here.violations() == []


def test_a_ride_of_an_earlier_generation_that_is_told_of_is_cancelled(world: Any) -> None:
    here = world()
    here.book(scheduled())
    here.change(f"UPDATE bookings SET ride_generation = 2, ride_ref = 'gtx_another' WHERE booking_id = '{BOOKING}'")
    told_of(here, f"{BOOKING}-r1", 9)
    sweep(here)
    assert here.rows("SELECT client_reference, result FROM orphan_watch") == [
        {"client_reference": f"{BOOKING}-r1", "result": "CANCELLED"}
    ]
    assert not any(ride["live"] for ride in here.sim.rides())
    assert booking(here)["attention"] == 1


@pytest.mark.parametrize("told", [True, False], ids=["by a message", "by the first look"])
def test_a_second_ride_for_one_reference_is_found_and_cancelled(told: bool, world: Any) -> None:
    """The answer to the create tells of one alone."""
    plan: dict[str, Any] = {"faults": [{"op": "createRide", "fault": "two_live_rides"}]}
    with listening() as door:
        plan |= {"webhook": {"url": door.url, "secret": SECRET}} if told else {}
        here = door.world = world(plan=plan, TAXI_WEBHOOK_SECRET=SECRET)
        assert here.book(scheduled()).output["status"] == "CONFIRMED"
        here.clock.advance(1)
        door.deliver()
        assert len(here.rows("SELECT 1 FROM orphan_watch")) == int(told)
    here.clock.advance(0 if told else 130)
    sweep(here)
    sweep(here)
    assert sorted(ride["live"] for ride in here.sim.rides()) == [False, True]
    (live,) = [ride["ride_ref"] for ride in here.sim.rides() if ride["live"]]
    assert (booking(here)["status"], booking(here)["ride_ref"], booking(here)["attention"]) == ("CONFIRMED", live, 1)
    assert here.violations() == []


def late(here: World) -> None:
    """The taxi company makes the ride now that it was asked for long ago."""
    supplier, now = here.sim.simulation.supplier, here.clock.now()
    name, quote = next(iter(supplier.quotes.items()))
    supplier.quotes[name] = replace(quote, expires_at=now + 1)
    supplier.create(Order("late", f"{BOOKING}-r1", name, None, None, {}), now)


def test_a_ride_that_nobody_follows_is_followed(world: Any) -> None:
    here = world(plan=plan_of({"life": ["DRIVER_ASSIGNED", "DRIVER_EN_ROUTE", "PASSENGER_ON_BOARD", "COMPLETED"]}))
    here.book(scheduled())
    for _ in range(5):
        here.clock.advance(130)
        sweep(here)
    assert booking(here)["status"] == "COMPLETED"
    assert here.rows("SELECT * FROM ride_looks") == []
    assert here.violations() == []


def test_keys_slots_and_messages_that_nobody_needs_are_freed(world: Any) -> None:
    here = world("F24")
    here.book(scheduled())
    now, old, soon = "2026-05-04T08:00:00.000Z", "2026-05-04T06:00:00.000Z", "2026-05-04T09:00:00.000Z"
    key = "INSERT INTO idempotency_keys (scope, idem_key, fingerprint, state, booking_id, locked_until, created_at,"
    key += f" expires_at) VALUES ('a', '{{}}', 'f', 'IN_PROGRESS', {{}}, '{{}}', '{now}', '2026-05-06T08:00:00.000Z');"
    keys = [("k1", "NULL", old), ("k2", f"'{BOOKING}'", old), ("k3", "NULL", soon)]
    message = f"('globaltaxi', 'w1', 'x', 'y', 1, 't', '{old}', '{old}', 'UNMATCHED', '{{}}', 5, '{now}')"
    slot = f"(booking_id, member_ref, period, starts_at, ends_at) VALUES ('{BOOKING}', 'm', '2026', '{now}', '{now}')"
    here.change("".join(key.format(*row) for row in keys))
    here.change(f"INSERT INTO booking_slots {slot}; INSERT INTO webhook_inbox VALUES {message}")
    assert sweep(here) == {"freed": {"slots": 1, "keys": 1, "messages": 1}}
    assert [row["idem_key"] for row in here.rows("SELECT idem_key FROM idempotency_keys ORDER BY 1")] == ["k2", "k3"]
    assert here.rows("SELECT state FROM webhook_inbox") == [{"state": "IGNORED"}]
    assert here.violations() == []


def come_early(here: World) -> None:
    """A message about a ride that nobody has asked for yet."""
    ride_id = "gtx_" + token(42, "ride", f"{BOOKING}-r1", 0)  # as the simulator will call it
    data = {"ride_id": ride_id, "client_reference": f"{BOOKING}-r1", "sequence": 9, "status": "CONFIRMED"}
    payload = {"type": "ride.status_changed", "timestamp": "2026-05-04T08:00:00Z", "data": data}
    message = {"provider": "globaltaxi", "webhook_id": "wh_early", "payload": payload}
    here.engine.run(ROOT / "flows/webhook.yaml", message, name="webhook-early")
    assert here.rows("SELECT state FROM webhook_inbox") == [{"state": "UNMATCHED"}]


def test_a_message_proves_a_ride_that_look_ups_do_not_show(world: Any) -> None:
    plan = [
        {"op": "createRide", "fault": "timeout_after_commit"},
        {"op": "findRides", "fault": "status", "params": {"status": 500}},
    ]
    here = world(plan={"faults": plan})
    come_early(here)
    assert here.book(scheduled()).output["status"] == "CONFIRMED"
    assert here.events(user_facing=True) == ["confirmed"]
    assert here.sim.calls("createRide") == 1
    assert here.violations() == []


def test_a_message_about_a_ride_that_there_is_not_proves_nothing(world: Any) -> None:
    here = world("F06")
    come_early(here)
    assert here.book(scheduled()).output["status"] == "CONFIRMED"
    assert (here.sim.calls("createRide"), here.sim.calls("getRide") > 0) == (2, True)
    assert here.violations() == []


def test_a_message_that_came_before_its_booking_is_taken_up_again(world: Any) -> None:
    here = world(plan=plan_of({"life": ["DRIVER_ASSIGNED"]}))
    come_early(here)
    here.book(scheduled())
    here.clock.advance(90)
    sweep(here)
    finish(here)
    assert here.rows("SELECT state FROM webhook_inbox") == [{"state": "APPLIED"}]
    assert booking(here)["status"] == "DRIVER_ASSIGNED"


def minutes_of_tries(here: World, minutes: tuple[int, ...]) -> list[int]:
    """In which of these minutes a round of the sweep takes up a message."""
    tries, count, past = [], "SELECT COUNT(*) AS tries FROM executions WHERE flow = 'webhook'", 0
    (before,) = here.rows(count)
    for minute in minutes:
        here.clock.advance(60 * (minute - past))
        sweep(here)
        finish(here)
        (after,) = here.rows(count)
        tries += [minute] * (after["tries"] - before["tries"])
        before, past = after, minute
    return tries


def test_a_message_about_nothing_of_ours_is_taken_up_five_times_in_its_hour(world: Any) -> None:
    here = world()
    come_early(here)
    assert minutes_of_tries(here, (1, 2, 3, 5, 7, 14, 15, 30, 31, 59, 63)) == [1, 3, 7, 15, 31]
    assert here.rows("SELECT state FROM webhook_inbox") == [{"state": "IGNORED"}]


def test_a_message_that_cannot_be_dealt_with_waits_longer_after_each_try(world: Any) -> None:
    """Its booking is known, but the ride can be read only later."""
    here = world(plan=plan_of({"life": ["DRIVER_ASSIGNED"]}))
    come_early(here)
    here.book(scheduled())
    away = {"fault": "status", "params": {"status": 503}}
    here.sim.set_plan({"faults": [{"op": op, **away} for op in ("getRide", "findRides")]})
    assert minutes_of_tries(here, (1, 2, 3)) == [1, 3]
    here.sim.set_plan({})
    assert minutes_of_tries(here, (3, 4, 5)) == [4]
    assert here.rows("SELECT state FROM webhook_inbox") == [{"state": "APPLIED"}]


def test_a_completed_ride_gets_its_points_once(world: Any) -> None:
    here = world(plan=plan_of({"life": ["PASSENGER_ON_BOARD", "COMPLETED"]}))
    here.book(scheduled())
    here.clock.advance(200)
    sweep(here)  # nobody followed it: the sweep does
    assert booking(here)["status"] == "COMPLETED"
    for _ in range(3):
        here.clock.advance(60)
        sweep(here)
        finish(here)
    # 30.00 GBP at four points for each pound
    assert here.rows("SELECT points, basis_minor FROM loyalty_accruals") == [{"points": 120, "basis_minor": 3000}]
    again = here.engine.run(ROOT / "flows/loyalty.yaml", {"booking_id": BOOKING}, name="again")
    assert again.output == {"booking_id": BOOKING, "points": 120}
    assert here.violations() == []


def finish(here: World) -> None:
    """Drive on what was started beside."""
    for name in here.engine.unfinished():
        if not name.startswith("track-"):
            here.engine.resume(name)


def test_of_two_rides_the_one_with_the_passenger_on_board_is_the_booking_s(world: Any) -> None:
    boards = {"op": "cancelRide", "nth": 1, "fault": "cancel_ride_in_progress"}
    here = world(plan={"faults": [{"op": "createRide", "fault": "two_live_rides"}, boards]})
    assert here.book(scheduled()).output["status"] == "CONFIRMED"
    before = booking(here)["ride_ref"]
    here.clock.advance(130)
    for _ in range(3):
        sweep(here)
        here.clock.advance(130)
    (live,) = [ride for ride in here.sim.rides() if ride["live"]]
    after = booking(here)
    assert live["status"] == "PASSENGER_ON_BOARD"
    assert (after["ride_ref"], after["status"], after["attention"]) == (live["ride_ref"], "IN_PROGRESS", 1)
    assert after["ride_ref"] != before
    assert here.violations() == []


def test_a_passenger_in_the_second_ride_of_a_cancelled_booking_is_for_people(world: Any) -> None:
    """The taxi company made two rides and refuses to cancel the second one: nothing of ours can undo that."""
    boards = {"op": "cancelRide", "nth": 2, "fault": "cancel_ride_in_progress"}
    here = world(plan={"faults": [{"op": "createRide", "fault": "two_live_rides"}, boards]})
    assert here.book(in_three_hours()).output["status"] == "CONFIRMED"
    assert cancel(here).output["status"] == "CANCELLED"
    before = len(here.events())
    here.clock.advance(130)
    for _ in range(3):
        sweep(here)
        here.clock.advance(130)
    assert [ride["status"] for ride in here.sim.rides() if ride["live"]] == ["PASSENGER_ON_BOARD"]
    assert (booking(here)["status"], booking(here)["attention"]) == ("CANCELLED", 1)
    assert here.events()[before:] == ["attention_required"]
    assert {row["result"] for row in here.rows("SELECT result FROM orphan_watch")} == {"ALIVE"}


OLD = (
    "INSERT INTO bookings (booking_id, reference, member_ref, airport_iata, lounge_code, pickup_time, window_end, "
    "status, version, ride_generation, doc, created_at, updated_at, terminal_at) "
    "SELECT 'b' || ?, 'r', 'm', 'DXB', 'L', '2026', '2026', 'FAILED', 2, 1, '{}', '2026', '2026', '2026-01-01'",
    "INSERT INTO outbox SELECT 'e' || ?, 'b' || ?, 2, 't', 1, 1, '{}', '2026', 0, '2026', '2026-01-01', NULL",
    "INSERT INTO orphan_watch SELECT 'r' || ?, 'b' || ?, '2026', '2026', '2026', '2026', NULL",
    "INSERT INTO booking_slots (booking_id, member_ref, period, starts_at, ends_at) "
    "SELECT 'b' || ?, 'm', 'p', 's', 'e'",
    "INSERT INTO webhook_inbox (provider, webhook_id, type, occurred_at, received_at, state, payload) "
    "SELECT 'p', ?, 't', '2026', '2026-05-03', 'APPLIED', '{}'",
)
"""Rows of a booking that failed long ago, each of which is kept for longer."""


def test_a_round_does_not_read_again_what_is_kept_for_years(tmp_path: Path) -> None:
    desk, work = Desk(f"sqlite:///{tmp_path}/old.db"), list[int]()
    for numbers in (range(2), range(2, 1000)):
        with desk.transaction() as db:
            for sql in OLD:
                db.executemany(sql, [(number,) * sql.count("?") for number in numbers])
        work.append(0)

        def count() -> int:
            work[-1] += 1
            return 0

        db.set_progress_handler(count, 10)
        free({}, desk), find({}, desk), prune({}, desk), list(sample(desk))
        db.set_progress_handler(None, 0)
    desk.close()
    assert work[1] < 2 * work[0], work  # in steps of SQLite's machine, of which reading one row takes several
