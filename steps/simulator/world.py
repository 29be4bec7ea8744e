"""Faults in the company's decision: there is no car, the price has risen, the ride waits, somebody was quicker.

Each function gets the supplier, the call and the parameters, may change the world first, and answers with Terms for
the call (or raises the Refusal itself). So the ground truth is always true: what a client is told happened, did
happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steps.simulator.contract import LIFE, Refusal
from steps.simulator.faults import CALLS, Stage, fault
from steps.simulator.supplier import AS_USUAL, LifeStep, Supplier, Terms

Params = Mapping[str, Any]
_CREATE = ("createRide",)
_CANCEL = ("cancelRide",)


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call before it is carried out; None where it does not apply."""

    op: str
    now: float
    client_reference: str | None = None
    ride_id: str | None = None


@fault("token_expired", Stage.WORLD, CALLS)
def token_expired(supplier: Supplier, call: Call, params: Params) -> Terms:
    """401: the access token ran out."""
    raise Refusal("token_expired")


@fault("forbidden", Stage.WORLD, CALLS)
def forbidden(supplier: Supplier, call: Call, params: Params) -> Terms:
    """403."""
    raise Refusal("forbidden")


@fault("empty_quotes", Stage.WORLD, ("createQuotes",))
def empty_quotes(supplier: Supplier, call: Call, params: Params) -> Terms:
    """No cover: an empty list."""
    return Terms(no_cover=True)


@fault("no_vehicles", Stage.WORLD, _CREATE)
def no_vehicles(supplier: Supplier, call: Call, params: Params) -> Terms:
    """409 no_vehicles_available."""
    return Terms(refusal="no_vehicles_available")


@fault("quote_expired", Stage.WORLD, _CREATE)
def quote_expired(supplier: Supplier, call: Call, params: Params) -> Terms:
    """409 quote_expired with a new quote at the same price."""
    return Terms(refusal="quote_expired")


@fault("price_changed", Stage.WORLD, _CREATE, percent=10.0)
def price_changed(supplier: Supplier, call: Call, params: Params) -> Terms:
    """409 price_changed with a new quote; later quotes for that route have the new price as well."""
    return Terms(price_percent=params["percent"])


@fault("invalid_request", Stage.WORLD, _CREATE)
def invalid_request(supplier: Supplier, call: Call, params: Params) -> Terms:
    """422."""
    return Terms(refusal="invalid_request")


@fault("duplicate_client_reference", Stage.WORLD, _CREATE)
def duplicate_client_reference(supplier: Supplier, call: Call, params: Params) -> Terms:
    """409 with the ride's id; the ride is there."""
    return Terms(says_duplicate=True)


@fault("two_live_rides", Stage.WORLD, _CREATE, copies=2)
def two_live_rides(supplier: Supplier, call: Call, params: Params) -> Terms:
    """A broken supplier: one create, several rides."""
    return Terms(copies=params["copies"])


@fault("pending_then_confirmed", Stage.WORLD, _CREATE, after_s=5.0)
def pending_then_confirmed(supplier: Supplier, call: Call, params: Params) -> Terms:
    """202 PENDING; CONFIRMED ``after_s`` later."""
    return Terms("PENDING", (LifeStep(params["after_s"], "CONFIRMED"),))


@fault("pending_then_no_vehicles", Stage.WORLD, _CREATE, after_s=5.0)
def pending_then_no_vehicles(supplier: Supplier, call: Call, params: Params) -> Terms:
    """202 PENDING; NO_VEHICLES ``after_s`` later."""
    return Terms("PENDING", (LifeStep(params["after_s"], "NO_VEHICLES"),))


@fault("pending_then_failed", Stage.WORLD, _CREATE, after_s=5.0)
def pending_then_failed(supplier: Supplier, call: Call, params: Params) -> Terms:
    """202 PENDING; FAILED ``after_s`` later."""
    return Terms("PENDING", (LifeStep(params["after_s"], "FAILED"),))


@fault("pending_forever", Stage.WORLD, _CREATE)
def pending_forever(supplier: Supplier, call: Call, params: Params) -> Terms:
    """202 PENDING, and nothing ever after."""
    return Terms("PENDING")


@fault("life", Stage.WORLD, _CREATE, status="CONFIRMED", steps=[])
def life(supplier: Supplier, call: Call, params: Params) -> Terms:
    """The ride lives through ``steps``: a list of {after_s, to, reason, redispatching}, each after the one before."""
    return Terms(params["status"], tuple(LifeStep(**step) for step in params["steps"]))


@fault("read_lag", Stage.WORLD, ("findRides",), seconds=5.0)
def read_lag(supplier: Supplier, call: Call, params: Params) -> Terms:
    """Look-ups do not see rides younger than ``seconds``."""
    return Terms(lag_s=params["seconds"])


@fault("cancel_ride_in_progress", Stage.WORLD, _CANCEL)
def cancel_ride_in_progress(supplier: Supplier, call: Call, params: Params) -> Terms:
    """The passenger got in just before: 409 ride_in_progress."""
    ride = supplier.get(call.ride_id or "")
    while ride.status in LIFE[:5]:
        ride.move(ride.next_status(), call.now)
    return AS_USUAL


@fault("cancel_too_late", Stage.WORLD, _CANCEL)
def cancel_too_late(supplier: Supplier, call: Call, params: Params) -> Terms:
    """The ride is over: 409 too_late."""
    ride = supplier.get(call.ride_id or "")
    while ride.live:
        ride.move(ride.next_status(), call.now)
    return AS_USUAL


@fault("cancel_fee_changed", Stage.WORLD, _CANCEL, add_minor=1000)
def cancel_fee_changed(supplier: Supplier, call: Call, params: Params) -> Terms:
    """The fee rose by ``add_minor`` since it was shown: 409 fee_changed if the client named a highest fee."""
    supplier.get(call.ride_id or "").extra_fee_minor += params["add_minor"]
    return AS_USUAL


@fault("cancel_already_cancelled", Stage.WORLD, _CANCEL)
def cancel_already_cancelled(supplier: Supplier, call: Call, params: Params) -> Terms:
    """An earlier cancellation had gone through: 200 with its fee."""
    supplier.get(call.ride_id or "").cancel("MEMBER_REQUEST", call.now)
    return AS_USUAL
