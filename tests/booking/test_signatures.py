"""Who sent a message: signatures as data, and the very bytes that the simulator sends."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from steps.simulator.mailbox import Envelope
from steps.simulator.rides import RideEvent
from steps.webhooks import messages
from steps.webhooks.signatures import BadSignature, profiles, sign, verify

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("signatures.yaml").read_text())
NOW = 1777892530
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = (
    b'{"type":"ride.status_changed","timestamp":"2026-05-04T11:02:10Z","data":{"ride_id":"gtx_7H2K9",'
    b'"client_reference":"bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA-r1","sequence":3,"status":"DRIVER_EN_ROUTE"}}'
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_signature(case: dict[str, Any]) -> None:
    profile = profiles()[case["profile"]]
    name = case.get("webhook_id", "wh_1") * case.get("times", 1)
    signature = sign(profile, case.get("signed_with", SECRET), name, NOW, BODY)
    if "version" in case:
        signature = signature.replace("v1", case["version"])
    headers = {profile["signature"]: case.get("before", "") + signature}
    headers |= {profile[part]: value for part, value in (("id", name), ("timestamp", str(NOW))) if part in profile}
    for header, value in case.get("headers", {}).items():
        headers.pop(header) if value is None else headers.update({header: value})
    body, secrets = case.get("body", BODY.decode()).encode(), case.get("secrets", [SECRET])
    if "id" not in case:
        with pytest.raises(BadSignature):
            verify(profile, secrets, headers, body, NOW + case.get("late_s", 0))
        return
    found = verify(profile, secrets, headers, body, NOW + case.get("late_s", 0))
    assert found == (hashlib.sha256(BODY).hexdigest() if case["id"] == "of the body" else case["id"])


def test_what_the_simulator_sends_is_verified_and_read() -> None:
    event = RideEvent("ride.status_changed", NOW, "gtx_1", "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA-r1", 2, "DRIVER_ASSIGNED")
    headers, body = Envelope("wh_1", event, NOW).headers_and_body(SECRET, NOW)
    lower = {name.lower(): value for name, value in headers.items()}
    assert verify(profiles()["standard-webhooks"], [SECRET], lower, body, NOW) == "wh_1"
    message = messages.read(event.body())
    assert (message.ride_ref, message.sequence, message.status) == ("gtx_1", 2, "DRIVER_ASSIGNED")
    assert message.occurred_at == "2026-05-04T11:02:10.000Z"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), []),
        ((), "text"),
        (("data",), None),
        (("type",), ""),
        (("timestamp",), "yesterday"),
        (("timestamp",), 5),
        (("data", "sequence"), "3"),
        (("data", "sequence"), True),
        (("data", "sequence"), -1),
        (("data", "sequence"), 2**60),
        (("data", "ride_id"), None),
        (("data", "client_reference"), "x" * 65),
        (("data", "status"), "DRIVER\nEN_ROUTE"),
    ],
)
def test_a_message_without_the_fields_of_the_contract_is_unreadable(path: tuple[str, ...], value: Any) -> None:
    whole: Any = json.loads(BODY)
    if not path:
        whole = value
    else:
        holder = whole
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
    with pytest.raises(messages.Unreadable):
        messages.read(whole)


def test_nothing_that_is_not_of_the_contract_is_kept() -> None:
    whole = json.loads(BODY)
    whole["passenger"] = {"first_name": "Ana"}
    whole["data"]["driver"] = {"phone": "+447700900123"}
    assert "Ana" not in str(messages.read(whole).as_dict())
    assert "447700" not in str(messages.read(whole).as_dict())


@pytest.mark.parametrize(
    ("reason", "kept"), [("DRIVER_CANCELLED", "DRIVER_CANCELLED"), ("Ana Rivera did not come", None), (7, None)]
)
def test_a_reason_is_kept_when_it_is_a_code(reason: Any, kept: str | None) -> None:
    whole = json.loads(BODY)
    whole["data"] |= {"reason": reason, "redispatching": True, "driver": {"first_name": "Dora"}}
    assert messages.read(whole).reason == messages.read(messages.known_fields(whole)).reason == kept
    assert messages.read(messages.known_fields(whole)) == messages.read(whole)
    assert set(messages.known_fields(whole)["data"]) <= set(messages.FIELDS_OF_DATA)


@pytest.mark.parametrize("body", [None, [], "text", {"data": None}, {"data": []}])
def test_what_is_no_message_is_not_stored_at_all(body: Any) -> None:
    assert messages.known_fields(body) is None
