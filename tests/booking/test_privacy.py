"""Personal data: sealed before it is stored, unreadable once forgotten, gone when its time is over."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from engine import StepError
from steps.booking import request
from steps.bookings import identifiers, keys
from steps.bookings.following import masked
from steps.bookings.keys import Keyring, Sealed, WrongKeys
from steps.bookings.owners import member_ref
from steps.bookings.personal import Vault, opened, seal_input
from steps.bookings.repository import repository
from steps.privacy import erase, prune
from tests.booking.world import BOOKING, ROOT, Desk, asap, scheduled

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(3)]
FAILURE = {"code": "internal_error", "retryable": True, "user_message": "Sorry.", "suggested_action": "RETRY"}
SECRETS = ("Rivera", "RIVERA", "+447700900123", "ana.rivera", "Example Boulevard", "55.3644", "mem_demo")
WORDS = "My mother is in hospital"
EVENT = Draft202012Validator(
    json.loads((ROOT / "schemas/member-event.json").read_text()), format_checker=FormatChecker()
)


def vault(desk: Desk) -> Vault:
    return Vault(desk.db, "2026-05-04T08:00:00.000Z", desk.settings)


def ended(desk: Desk, name: str = BOOKING) -> str:
    desk.execution = name
    request(asap(), desk)
    with repository(desk) as repo:
        booking = repo.load(name)
        repo.transition(booking, "no_ride", doc={**booking.doc, "failure": FAILURE})
    return name


def whole_database(desk: Desk) -> str:
    """Everything that is in the database, as text."""
    if desk.db.execute("SELECT 1 AS one") and desk.url.startswith("sqlite"):
        tables = desk.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    else:
        tables = desk.db.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    assert len(tables) > 10
    return repr([desk.db.execute(f"SELECT * FROM {table}").fetchall() for (table,) in tables])


# -- sealing -------------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_only_as_what_it_is_and_whose_it_is(desk: Desk) -> None:
    with desk.transaction():
        here = vault(desk)
        text = here.seal("one", "reply", {"name": "Ana"})
        other = here.seal("two", "reply", {"name": "Ana"})
        assert "Ana" not in text
        assert text != other
        assert text == here.seal("one", "reply", {"name": "Ana"})
        assert here.open("one", "reply", text) == {"name": "Ana"}
        changed = ("B" if text[0] == "A" else "A") + text[1:]
        for owner, purpose, data in [("one", "personal", text), ("two", "reply", text), ("one", "reply", changed)]:
            with pytest.raises(Sealed):
                here.open(owner, purpose, data)
        here.destroy("one")
        with pytest.raises(Sealed):
            here.open("one", "reply", text)


def test_a_reply_comes_back_to_the_letter(desk: Desk) -> None:
    reply = '{"booking_id": "x",\n "price": 1.0, "name": "Zoë \\ud83d"}'
    with desk.transaction():
        assert vault(desk).open("one", "reply", vault(desk).seal("one", "reply", reply)) == reply


def test_an_input_is_sealed_once_and_always_the_same(desk: Desk) -> None:
    wish = {**asap(), "request_id": "req_1"}
    with desk.transaction():
        sealed = seal_input(vault(desk), BOOKING, wish, desk.settings)
        assert not any(secret in json.dumps(sealed) for secret in SECRETS)
        assert sealed["request_id"] == "req_1"
        assert seal_input(vault(desk), BOOKING, wish, desk.settings) == sealed
        assert seal_input(vault(desk), BOOKING, sealed, desk.settings) == sealed
        assert opened(vault(desk), sealed, "request") == wish


@pytest.mark.parametrize(
    "trick", [{"sealed": "x"}, {"sealed": "x", "data": "y", "notes": "Rivera"}, {"sealed": 1, "data": 2}]
)
def test_a_request_that_pretends_to_be_sealed_is_sealed(trick: dict[str, Any], desk: Desk) -> None:
    with desk.transaction():
        sealed = seal_input(vault(desk), BOOKING, {"member_id": "m", "request": trick}, desk.settings)
        assert opened(vault(desk), sealed, "request")["request"] == trick


@pytest.mark.parametrize("data", ["", "?", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_a_forged_seal_is_an_invalid_request(data: str, desk: Desk) -> None:
    with desk.transaction():
        vault(desk).seal("someone", "request", {})
    for owner in ("someone", "nobody"):
        with pytest.raises(StepError) as caught:
            request({"member_id": "m", "request": {"sealed": owner, "data": data}}, desk)
        assert caught.value.error == "Booking.InvalidRequest"


def test_the_key_of_a_sealed_request_becomes_the_bookings(desk: Desk) -> None:
    desk.execution = "run-by-hand"
    with desk.transaction():
        sealed = seal_input(vault(desk), "run-by-hand", asap(), desk.settings)
    booking_id = request(sealed, desk)["booking_id"]
    assert desk.db.execute("SELECT owner, booking_id FROM data_keys").fetchall() == [("run-by-hand", booking_id)]
    with repository(desk) as repo:
        assert repo.personal(booking_id)["member_id"] == asap()["member_id"]
        assert repo.personal(booking_id)["request"]["lead_passenger"]["last_name"] == "Rivera"


def test_nothing_personal_is_stored_in_clear(world: Any) -> None:
    here = world()
    booked = here.book(asap()).output
    assert booked["status"] == "CONFIRMED"
    here.engine.run(ROOT / "flows/webhook.yaml", talkative(booked["ride"]["ride_ref"]), name="webhook-1")
    said = {"member_id": asap()["member_id"], "booking_id": BOOKING, "reason": WORDS, "accept_fee": booked["price"]}
    assert here.engine.run(ROOT / "flows/cancel.yaml", said, name="cancel-1").output["status"] == "CANCELLED"
    desk = Desk(here.url)
    found = whole_database(desk)
    with repository(desk) as repo:
        assert repo.personal(BOOKING)["cancellation_reason"] == WORDS
    desk.close()
    assert [secret for secret in (*SECRETS, WORDS, "Dora") if secret in found + here.log.read_text()] == []
    assert "wh_talkative" in found


def test_no_number_of_a_driver_is_stored(world: Any) -> None:
    steps = [{"after_s": 10, "to": "DRIVER_ASSIGNED"}]
    here = world("F38", plan={"faults": [{"op": "createRide", "fault": "life", "params": {"steps": steps}}]})
    here.book(scheduled())
    here.clock.advance(10)
    wish = {"member_id": scheduled()["member_id"], "booking_id": BOOKING, "changes": {"passengers": {"adults": 2}}}
    assert here.engine.run(ROOT / "flows/modify.yaml", wish, name="modify-1").status == "SUCCEEDED"
    refused = {"reason": None, "accept_fee": {"amount_minor": 4000, "currency": "GBP"}, **wish, "changes": None}
    assert here.engine.run(ROOT / "flows/cancel.yaml", refused, name="cancel-1").error == "Booking.NotCancellable"
    (ride,) = here.rows("SELECT doc FROM bookings")
    assert json.loads(ride["doc"])["ride"]["driver"]["phone"].startswith("+44•")
    desk = Desk(here.url)
    found = whole_database(desk) + here.log.read_text()
    desk.close()
    assert "+447700900" not in found


@pytest.mark.parametrize(("phone", "shown"), [("+447700900123", "+44••••••••23"), ("+44770090", "•" * 9), ("12", "••")])
def test_a_number_is_shown_in_part_or_not_at_all(phone: str, shown: str) -> None:
    assert masked(phone) == shown
    assert masked(shown) == shown


def talkative(ride_ref: str) -> dict[str, Any]:
    """A message of a taxi company that tells more than it should."""
    data = {"ride_id": ride_ref, "client_reference": f"{BOOKING}-r1", "sequence": 9, "status": "DRIVER_ASSIGNED"}
    data |= {"reason": "Ms Rivera did not come", "driver": {"first_name": "Dora"}, "vehicle": "+447700900123"}
    payload = {"type": "ride.status_changed", "timestamp": "2026-05-04T08:00:10Z", "data": data, "passenger": "Rivera"}
    return {"provider": "globaltaxi", "webhook_id": "wh_talkative", "payload": payload}


# -- pseudonyms ----------------------------------------------------------------------------------------------------


def test_a_pseudonym_stands_for_the_member_only_with_its_proof(desk: Desk) -> None:
    ref = member_ref("mem_1", desk)
    stands = identifiers.provable_ref("mem_1", "key-for-tests")
    assert member_ref(stands, desk) == ref
    assert identifiers.provable_ref(stands, "key-for-tests") == stands
    forged = [ref, f"{ref}.{'0' * 16}", identifiers.provable_ref("mem_1", "another key"), stands.upper()]
    assert ref not in [member_ref(text, desk) for text in forged]


# -- the deployment's keys -----------------------------------------------------------------------------------------


def test_data_keys_move_to_the_present_key_of_the_deployment(desk: Desk) -> None:
    desk.settings["PERSONAL_DATA_KEYS"] = f"2025:{KEYS[0]}"
    ended(desk)
    desk.settings["PERSONAL_DATA_KEYS"] = f"2026:{KEYS[1]}, 2025:{KEYS[0]}"
    assert prune({}, desk)["pruned"]["rewrapped"] == 1
    assert prune({}, desk)["pruned"]["rewrapped"] == 0
    desk.settings["PERSONAL_DATA_KEYS"] = f"2026:{KEYS[1]}"
    with repository(desk) as repo:
        assert repo.personal(BOOKING)["request"]["lead_passenger"]["first_name"] == "Ana"
    for wrong in (f"2027:{KEYS[1]}", f"2026:{KEYS[2]}"):
        desk.settings["PERSONAL_DATA_KEYS"] = wrong
        with pytest.raises(WrongKeys), repository(desk) as repo:
            repo.personal(BOOKING)


@pytest.mark.parametrize("text", ["nonsense", "a:AAAA", f"a:{KEYS[0]},a:{KEYS[1]}", f" :{KEYS[0]}", f"a b:{KEYS[0]}"])
def test_keys_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(WrongKeys, match="NAME:BASE64"):
        Keyring(text)


def test_random_keys_differ_and_wrap_to_themselves() -> None:
    ring, key = Keyring(None), keys.new_data_key()
    assert ring.unwrap("demo", ring.wrap(key)) == key != keys.new_data_key()
    assert Keyring("demo").keys == ring.keys
    assert len(os.fsencode(ring.wrap(key))) < 120


def test_missing_keys_are_told_and_demo_keys_are_not(desk: Desk) -> None:
    request(asap(), desk)
    assert any("PERSONAL_DATA_KEYS" in line for line in desk.logged)
    desk.logged.clear()
    desk.settings["PERSONAL_DATA_KEYS"] = "demo"
    desk.execution = BOOKING[:-1] + "B"
    request(asap(), desk)
    assert desk.logged == []


# -- forgetting ----------------------------------------------------------------------------------------------------


def test_a_member_is_forgotten_and_all_who_hold_copies_are_told(desk: Desk) -> None:
    names = [ended(desk, BOOKING[:-1] + letter) for letter in "AB"]
    with desk.transaction() as db:
        reply = vault(desk).seal(names[0], "reply", "Dear Ana")
        db.execute(
            "INSERT INTO idempotency_keys VALUES ('s', 'k', 'f', 'DONE', ?, 200, ?, 'a', 'b', '2099')",
            (names[0], reply),
        )
    answer = erase({"member_id": asap()["member_id"], "request_id": "req_9"}, desk)
    assert answer == {
        "member_ref": member_ref(asap()["member_id"], desk),
        "erased": 2,
        "erased_at": "2026-05-04T08:00:00.000Z",
    }
    assert desk.db.execute("SELECT COUNT(*) FROM data_keys").fetchone() == (0,)
    assert desk.db.execute("SELECT body FROM idempotency_keys").fetchone() == (None,)
    assert [tuple(row) for row in desk.db.execute("SELECT ciphertext, erased_at FROM booking_pii").fetchall()] == [
        (None, "2026-05-04T08:00:00.000Z")
    ] * 2
    with repository(desk) as repo:
        assert repo.personal(names[0]) == {}
        assert repo.load(names[0]).status == "FAILED"
    ((text,),) = desk.db.execute("SELECT envelope FROM outbox WHERE type LIKE '%member.erased.v1'").fetchall()
    event = json.loads(text)
    assert list(EVENT.iter_errors(event)) == []
    assert event["data"]["bookings"] == names
    assert (event["causationid"], event["subject"]) == ("req_9", answer["member_ref"])


def test_a_member_is_forgotten_again_without_another_event(desk: Desk) -> None:
    ended(desk)
    erase({"member_id": asap()["member_id"]}, desk)
    assert erase({"member_id": asap()["member_id"]}, desk)["erased"] == 0
    assert desk.db.execute("SELECT COUNT(*) FROM outbox WHERE type LIKE '%erased%'").fetchone() == (1,)


def test_a_member_with_an_open_ride_is_not_forgotten(desk: Desk) -> None:
    ended(desk)
    desk.execution = BOOKING[:-1] + "B"
    request(asap(), desk)
    for member, error in [(asap()["member_id"], "Member.RideOpen"), ("somebody", "Member.Unknown")]:
        with pytest.raises(StepError) as caught:
            erase({"member_id": member}, desk)
        assert caught.value.error == error
    with repository(desk) as repo:
        assert repo.personal(BOOKING) != {}


def test_the_flow_forgets_a_member(world: Any) -> None:
    here = world("F24")
    assert here.book(asap()).output["status"] == "FAILED"
    outcome = here.engine.run(ROOT / "flows/erasure.yaml", {"member_id": asap()["member_id"], "request_id": "r"})
    assert outcome.output["erased"] == 1
    (name,) = [found.name for found in here.engine.list() if found.flow == "erasure"]
    assert asap()["member_id"] not in str(here.engine.history(name))
    events = [json.loads(line)["type"] for line in here.log.read_text().splitlines()]
    assert events[-1] == "com.example.lounge.member.erased.v1"


# -- retention -----------------------------------------------------------------------------------------------------


def counts(desk: Desk) -> dict[str, int]:
    tables = ("bookings", "booking_transitions", "outbox", "ride_attempts", "webhook_inbox", "idempotency_keys")
    tables += ("data_keys", "booking_slots")
    return {table: desk.db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}


def test_everything_goes_when_its_time_is_over_and_not_before(desk: Desk) -> None:
    ended(desk)
    with desk.transaction() as db:
        vault(desk).seal("never-a-booking", "request", {})
        db.execute(
            "INSERT INTO idempotency_keys VALUES ('s', 'k', 'f', 'DONE', NULL, 200, NULL, 'a', 'b', '2026-05-06')"
        )
        db.execute(
            "INSERT INTO webhook_inbox (provider, webhook_id, type, occurred_at, received_at, state, payload) "
            "VALUES ('p', 'w', 't', 'x', '2026-05-04T08:00:00.000Z', 'APPLIED', '{}')"
        )
        db.execute(
            "INSERT INTO ride_attempts (attempt_id, booking_id, generation, op, client_reference, started_at, outcome) "
            "VALUES ('a', ?, 1, 'CREATE', 'c', '2026-05-04T08:00:00.000Z', 'OK')",
            (BOOKING,),
        )
        db.execute("UPDATE outbox SET published_at = created_at")
    before = counts(desk)
    assert prune({}, desk) == {"pruned": dict.fromkeys(prune({}, desk)["pruned"], 0), "more": False}
    assert counts(desk) == before

    def after(days: float) -> dict[str, int]:
        desk.sleep(days * 86_400)
        return {kind: count for kind, count in prune({}, desk)["pruned"].items() if count}

    assert after(2.1) == {"unused_keys": 1, "replies": 1}
    assert after(12) == {"events": 1}  # the terminal one stays
    assert after(80) == {"personal": 1, "webhooks": 1, "attempts": 1}
    assert after(2400) == {}
    assert set(after(100)) == {"bookings"}
    assert set(counts(desk).values()) == {0}


def test_how_long_is_kept_is_a_setting(desk: Desk) -> None:
    ended(desk)
    desk.settings["RETENTION_BOOKINGS_DAYS"] = "1"
    desk.sleep(86_401)
    assert prune({}, desk)["pruned"]["bookings"] > 0
    assert counts(desk)["bookings"] == 0


def test_an_open_booking_is_never_deleted(desk: Desk) -> None:
    request(asap(), desk)
    desk.db.execute("UPDATE outbox SET published_at = created_at")
    desk.sleep(86_400 * 10_000)
    prune({}, desk)
    assert (counts(desk)["bookings"], counts(desk)["outbox"]) == (1, 1)
