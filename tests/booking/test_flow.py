"""The whole process: examples, rejections, crashes, cancels and privacy, on the real engine and a real taxi company."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later
from steps.bookings.repository import repository
from steps.taxi_api.operations import Taxi
from tests.booking.invariants import QUERIES
from tests.booking.world import BOOKING, ROOT, World, asap, scheduled

OTHER = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PB"
SECRETS = ("Rivera", "RIVERA", "+447700900123", "ana.rivera", "Example Boulevard", "Example Tower", "55.3644")
PLANTED: dict[str, str] = yaml.safe_load(Path(__file__).with_name("planted.yaml").read_text())


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "flows/examples" / name).read_text())
    return found


def status(here: World, name: str = BOOKING) -> str:
    (row,) = here.rows("SELECT status FROM bookings WHERE booking_id = ?", name)
    return str(row["status"])


def test_the_example_is_confirmed(world: Any) -> None:
    here = world()
    outcome = here.book(asap())
    assert (outcome.status, outcome.output["status"]) == ("SUCCEEDED", "CONFIRMED")
    assert outcome.output["price"] == {"amount_minor": 3000, "currency": "GBP", "type": "FIXED"}
    assert here.events() == ["requested", "confirmed"]
    assert here.violations() == []


@pytest.mark.parametrize(
    ("fault", "status", "told", "generation", "creates"),
    [
        ("F14", "CONFIRMED", ["pending", "confirmed"], 2, 2),
        ("F15", "CONFIRMED", ["confirmed"], 1, 1),
        ("F17", "FAILED", ["pending", "failed"], 2, 2),
    ],
)
def test_a_key_that_is_answered_with_its_first_error_for_ever_is_given_up(
    fault: str, status: str, told: list[str], generation: int, creates: int, world: Any
) -> None:
    here = world(fault, plan={"contract": {"idempotency_replays_errors": True}}, TAXI_REPLAYS_ERRORS="yes")
    assert here.book(scheduled()).output["status"] == status
    assert here.events(user_facing=True) == told
    assert here.rows("SELECT MAX(generation) AS last FROM ride_attempts") == [{"last": generation}]
    assert here.sim.calls("createRide") == creates
    assert sum(ride["live"] for ride in here.sim.rides()) == int(status == "CONFIRMED")
    assert here.violations() == []


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_the_example_works_at_any_hour_of_any_day(hour: int, world: Any) -> None:
    here = world()
    here.clock.advance(hour * 3600 + 217 * 86_400)
    assert here.book(asap()).output["status"] == "CONFIRMED"


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("booking-too-much-luggage.json", ["luggage_exceeds_vehicle"]),
        ("booking-not-entitled.json", ["tier_not_entitled", "ride_allowance_exhausted"]),
        ("booking-too-far-ahead.json", ["pickup_too_far_ahead"]),
    ],
)
def test_a_request_against_the_rules_is_rejected_with_every_reason(name: str, codes: list[str], world: Any) -> None:
    here = world()
    outcome = here.book(example(name))
    failure = outcome.output["failure"]
    assert (outcome.status, outcome.output["status"]) == ("SUCCEEDED", "REJECTED")
    assert [error["code"] for error in failure["errors"]] == codes
    assert failure["code"] == (codes[0] if len(codes) == 1 else "booking_rejected")
    assert failure["user_message"]
    assert here.events() == ["requested", "rejected"]
    assert here.sim.calls("createQuotes") == 0
    assert here.violations() == []


def test_an_invalid_request_fails_the_execution_and_leaves_nothing(world: Any) -> None:
    here = world()
    outcome = here.book(example("booking-invalid.json"))
    assert (outcome.status, outcome.error) == ("FAILED", "Booking.InvalidRequest")
    assert [line.split(":")[0] for line in outcome.cause.split("; ")] == [
        "/request/airport_iata",
        "/request/lead_passenger/phone",
        "/request/pickup/time",
    ]
    assert here.rows("SELECT * FROM bookings") == []


def test_a_price_above_the_maximum_is_rejected_before_a_ride_is_asked_for(world: Any) -> None:
    here, wish = world(), asap()
    wish["request"]["price"] = {"max_amount_minor": 100, "currency": "GBP"}
    outcome = here.book(wish)
    assert (outcome.output["status"], outcome.output["failure"]["code"]) == ("REJECTED", "price_above_consented_max")
    assert here.sim.calls("createRide") == 0
    assert here.violations() == []


def test_the_same_execution_again_is_the_same_booking(world: Any) -> None:
    here = world()
    assert here.book(asap()).output == here.book(asap()).output
    assert len(here.sim.rides()) == 1


def test_a_second_ride_at_the_same_time_is_rejected(world: Any) -> None:
    here = world()
    here.book(asap())
    outcome = here.book(asap(), name=OTHER)
    assert [error["code"] for error in outcome.output["failure"]["errors"]] == [
        "duplicate_booking",
        "overlapping_booking",
    ]
    assert here.violations() == []


def test_a_failed_booking_gives_its_slot_back(world: Any) -> None:
    here = world("F24")
    here.book(asap())
    here.sim.set_plan({})
    assert here.book(asap(), name=OTHER).output["status"] == "CONFIRMED"
    assert here.violations() == []


def test_the_database_decides_when_two_requests_pass_the_rules_at_once(world: Any) -> None:
    here = world()
    here.book(asap())

    def look_early(states: dict[str, Any]) -> None:
        states["CheckEligibility"]["Arguments"]["context"] = context_of(here)  # seen before the other one was there

    outcome = here.book(asap(), name=OTHER, flow=here.edited(look_early))
    assert (outcome.output["status"], outcome.output["failure"]["code"]) == ("REJECTED", "overlapping_booking")
    assert here.violations() == []


def context_of(here: World) -> dict[str, Any]:
    """What the rules saw of the booking."""
    details = [event.get("taskScheduledEventDetails") or {} for event in here.engine.history(BOOKING)]
    asked = next(one["parameters"] for one in details if one.get("resource") == "rules.evaluate")
    context: dict[str, Any] = json.loads(asked)["context"]
    return context


@pytest.mark.parametrize("moment", ["before the call", "after the call"])
def test_a_process_that_dies_while_booking_finds_the_ride_it_made(
    moment: str, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Taxi, *given: Any) -> Any:
        if moment == "after the call":
            create(self, *given)
        raise Died

    create = Taxi.create
    here = world()

    def take_its_time(states: dict[str, Any]) -> None:
        del states["BookRide"]["TimeoutSeconds"]  # so that the step runs, and dies, in this very thread

    flow = here.edited(take_its_time)
    with monkeypatch.context() as patch:
        patch.setattr(Taxi, "create", die)
        with pytest.raises(Died):
            here.book(asap(), flow=flow)
    here.close()
    assert here.rows("SELECT outcome FROM ride_attempts WHERE op = 'CREATE'") == [{"outcome": "IN_FLIGHT"}]
    outcome = here.engine.resume(BOOKING)
    assert outcome.output["status"] == "CONFIRMED"
    assert [ride["live"] for ride in here.sim.rides()] == [True]
    assert here.violations() == []


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(("fault", "ending"), [("F10", "CONFIRMED"), ("F24", "FAILED"), ("F28", "CONFIRMED")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_may_die_at_any_commit(
    when: str, fault: str, ending: str, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, left = type(world().engine.host.store), [0]
    real = kind.commit

    def commit(self: Any, *given: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and when == "before":
            raise Died
        version = real(self, *given)
        if left[0] == 0:
            raise Died
        return version

    monkeypatch.setattr(kind, "commit", commit)
    for deaths in range(1, 100):
        here, left[0] = world(fault), deaths
        try:
            outcome = here.book(scheduled())
        except Died:
            here.close()
            outcome = here.engine.resume(BOOKING)
        assert outcome.output["status"] == ending
        assert here.violations() == []
        if left[0] > 0:  # the run had fewer commits than that
            break
    assert deaths > 8


def test_a_cancel_before_the_ride_is_asked_for_ends_the_flow(world: Any) -> None:
    here = world()
    cancel_at(here, "GetQuote")
    assert here.sim.calls("createRide") == 0
    assert status(here) == "CANCELLATION_PENDING"


def test_a_cancel_while_the_ride_is_being_confirmed_ends_the_flow(world: Any) -> None:
    here = world()
    cancel_at(here, "RideKnown")
    assert [ride["live"] for ride in here.sim.rides()] == [True]  # which the cancel flow will find by its reference
    assert status(here) == "CANCELLATION_PENDING"


def cancel_at(here: World, state: str) -> None:
    """Run the booking; the member cancels when the flow enters `state`."""

    def watch(events: list[Any]) -> None:
        if any(kind.endswith("StateEntered") and details["name"] == state for *_, kind, details in events):
            host = here.engine._host
            with repository(host) as repo:  # type: ignore[arg-type]
                repo.transition(repo.load(BOOKING), "member_cancel", actor="member")

    outcome = here.engine.run(ROOT / "flows/booking.yaml", asap(), name=BOOKING, observer=watch)
    assert outcome.status == "SUCCEEDED"


def test_a_cancel_that_fails_for_long_calls_people_and_goes_on(world: Any) -> None:
    here = world("F30", "F37")
    assert here.book(scheduled()).output["status"] == "FAILED"
    assert here.rows("SELECT attention FROM bookings") == [{"attention": 1}]
    assert here.events() == ["requested", "pending", "attention_required", "failed"]
    assert [ride["live"] for ride in here.sim.rides()] == [False]
    assert here.violations() == []


def test_no_ride_counts_while_a_second_one_lives(world: Any) -> None:
    stuck = {"op": "cancelRide", "times": 2, "fault": "status", "params": {"status": 503}}
    here = world("F35", plan={"faults": [stuck]})
    assert here.book(scheduled()).output["status"] == "CONFIRMED"
    assert here.events() == ["requested", "attention_required", "pending", "confirmed"]
    assert sorted(ride["live"] for ride in here.sim.rides()) == [False, True]
    assert here.violations() == []


def test_without_tombstones_a_booking_fails_only_when_absence_is_proven(world: Any) -> None:
    here = world("F17", plan={"contract": {"tombstones": False}}, TAXI_TOMBSTONES="no")
    outcome = here.book(asap())
    assert outcome.output["failure"]["code"] in ("supplier_unavailable", "deadline_exceeded")
    (last,) = here.rows("SELECT MAX(started_at) AS at FROM ride_attempts WHERE op = 'CREATE'")
    (ended,) = here.rows("SELECT terminal_at AS at FROM bookings")
    assert ended["at"] >= later(last["at"], 125)  # the contract's latest commit, and the lag of look-ups
    assert here.violations() == []


def test_a_taxi_company_that_comes_back_between_two_tries_is_asked_again(world: Any) -> None:
    here = world("F02")
    here.on_advance = lambda seconds: here.sim.reopen()
    assert here.book(asap()).output["status"] == "CONFIRMED"
    assert here.rows("SELECT outcome FROM ride_attempts ORDER BY attempt_id") == [
        {"outcome": "NOT_SENT"},
        {"outcome": "OK"},
    ]
    assert here.violations() == []


def test_a_ride_that_a_message_confirms_at_the_moment_of_giving_up_is_kept(world: Any) -> None:
    def hesitate(states: dict[str, Any]) -> None:
        states["AwaitRide"]["Catch"][-1]["Next"] = "Hesitate"
        states["Hesitate"] = {"Type": "Wait", "Seconds": 1, "Next": "BeginCompensation"}

    def confirm(seconds: float) -> None:
        if here.rows("SELECT 1 FROM executions WHERE state = 'Hesitate'"):
            here.change("UPDATE bookings SET status = 'CONFIRMED'")

    here = world("F30")
    here.on_advance = confirm
    outcome = here.book(scheduled(), flow=here.edited(hesitate))
    assert (outcome.status, outcome.output["status"]) == ("SUCCEEDED", "CONFIRMED")
    assert here.sim.calls("cancelRide") == here.sim.calls("cancelByReference") == 0


def test_without_a_taxi_company_the_booking_fails_with_advice_in_the_history(world: Any) -> None:
    here = world()
    here.settings["TAXI_URL"] = ""
    outcome = here.book(asap())
    assert (outcome.output["status"], outcome.output["failure"]["code"]) == ("FAILED", "service_unavailable")
    assert "TAXI_URL" in json.dumps(here.engine.history(BOOKING), default=str)
    assert here.violations() == []


def test_missing_reference_data_is_our_failure_and_not_a_rejection(world: Any, tmp_path: Path) -> None:
    here = world(REFERENCE_DIR=str(tmp_path / "nowhere"))
    outcome = here.book(asap())
    assert (outcome.output["status"], outcome.output["failure"]["code"]) == ("FAILED", "service_unavailable")
    assert here.events() == ["requested", "failed"]
    assert here.violations() == []


def test_no_personal_data_is_anywhere_in_clear(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    here = world("F07")
    caplog.set_level("DEBUG")
    outcome = here.book(asap())
    places = {
        "the log": caplog.text,
        "the event log": here.log.read_text(),
        "the output": json.dumps(outcome.output),
        "tables": json.dumps(
            [
                here.rows(f"SELECT * FROM {table}")
                for table in ("bookings", "booking_transitions", "ride_attempts", "outbox", "booking_slots")
            ]
        ),
        "the history": json.dumps(here.engine.history(BOOKING), default=str),
    }
    found = [(place, secret) for place, text in places.items() for secret in SECRETS if secret in text]
    assert found == []
    assert "Rivera" not in json.dumps(here.rows("SELECT ciphertext FROM booking_pii"))


@pytest.mark.parametrize("fault", ["F07", "F24", "F28", "F30"])
def test_every_event_is_valid_and_every_transition_is_an_edge(fault: str, world: Any) -> None:
    schema = json.loads((ROOT / "schemas/booking-event.json").read_text())
    here = world(fault)
    here.book(scheduled())
    checker = Draft202012Validator(schema, format_checker=FormatChecker())
    bodies = [json.loads(line) for line in here.log.read_text().splitlines()]
    assert [[error.message for error in checker.iter_errors(body)] for body in bodies] == [[]] * len(bodies)
    for row in here.rows("SELECT * FROM booking_transitions WHERE from_status IS NOT NULL"):
        assert row["to_status"] in lifecycle().edge(row["from_status"], row["cause"]).targets


def test_reconciling_creates_no_ride_when_none_was_asked_for(world: Any) -> None:
    here = world()
    here.settings["TAXI_URL"] = "http://127.0.0.1:9"
    flow = {
        "QueryLanguage": "JMESPath",
        "StartAt": "Accept",
        "States": {
            "Accept": {"Type": "Task", "Resource": "step:booking.request", "Next": "Reconcile"},
            "Reconcile": {"Type": "Task", "Resource": "step:taxi.reconcile", "End": True},
        },
    }
    outcome = here.book(asap(), flow=flow)
    assert outcome.error == "Taxi.ProvenAbsent"


@pytest.mark.parametrize("name", PLANTED)
def test_every_invariant_can_be_violated(name: str, world: Any) -> None:
    here = world()
    here.book(asap())
    assert here.violations() == []
    here.close()
    here.change(PLANTED[name])
    assert any(violated.startswith(name) for violated in here.violations())


def test_every_invariant_is_tried() -> None:
    others = {"I16", "I17", "I19", "I20", "I23"}
    assert {name[:3] for name in QUERIES} | others == set(PLANTED) | {"I01"}  # I01 needs a second live ride: F35
