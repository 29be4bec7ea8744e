"""Every fault, over real HTTP: what the client sees and what is true afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from steps.simulator.faults import KINDS, Stage

Case = dict[str, Any]
CASES: list[Case] = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8"))
PLAYED_ELSEWHERE = {"refuse", "black_hole", "webhook_first"}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_fault(case: Case, taxi: Callable[..., Any]) -> None:
    client = taxi({**case.get("plan", {}), "faults": case["faults"]})
    for call in case["calls"]:
        _make(client, call)
    assert sum(ride["live"] for ride in client.sim.rides()) == case["live"]


def _make(client: Any, call: Case) -> None:
    arguments = call.get("with", {})
    if call["do"] == "advance":
        client.sim.advance(**arguments)
        return
    if call["do"] == "drive":
        client.sim.advance_ride(client.ride_id(), **arguments)
        return
    started = time.monotonic()
    if "raises" in call:
        if call["do"] == "create":
            arguments = {"quote_id": client.quote_id(), **arguments}
        with pytest.raises(getattr(httpx, call["raises"])), client.impatient():
            getattr(client, call["do"])(**arguments)
        return
    response = getattr(client, call["do"])(**arguments)
    assert time.monotonic() - started >= call.get("at_least_s", 0)
    _check(response, call, client)


def _check(response: httpx.Response, call: Case, client: Any) -> None:
    if "status" in call:
        assert response.status_code == call["status"], response.text
    for name, value in call.get("headers", {}).items():
        assert response.headers[name] == value
    if "not_json" in call:
        with pytest.raises(ValueError, match=r"\w"):
            response.json()
        return
    body = response.json()
    seen = {
        "code": body.get("code"),
        "executed": body.get("executed"),
        "rides": len(body.get("rides", [])),
        "quotes": len(body.get("quotes", [])),
        "is": body.get("status"),
        "quoted": body.get("quote", {}).get("price", {}).get("amount_minor"),
        "price": (body.get("price") or {}).get("amount_minor"),
        "fee": (body.get("fee") or {}).get("amount_minor"),
        "names_the_ride": body.get("ride_id") in {ride["ride_ref"] for ride in client.sim.rides()},
    }
    assert {name: seen[name] for name in seen.keys() & call.keys()} == {n: call[n] for n in seen.keys() & call.keys()}
    assert call.get("lacks") not in body
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "code"} <= body.keys()


def test_every_fault_of_a_call_has_a_case() -> None:
    played = {entry["fault"] for case in CASES for entry in case["faults"]}
    calls = {name for name, kind in KINDS.items() if kind.stage is not Stage.WEBHOOK}
    assert calls - played == PLAYED_ELSEWHERE


def test_every_fault_says_what_it_does() -> None:
    assert [name for name, kind in KINDS.items() if not kind.doc] == []
