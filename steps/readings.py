"""Steps that read bookings for their member. Each names the member in its SQL: somebody else's booking is not there."""

from __future__ import annotations

import json
from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import requests
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import parse, stamp
from steps.bookings.owners import NOT_FOUND, member_ref, owned
from steps.bookings.repository import repository
from steps.bookings.resource import cancellation_policy, render
from steps.bookings.shapes import STORE_ERRORS
from steps.bookings.sql import statements
from steps.rules import UNREADABLE, rules_of
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.operations import Taxi

FILE = "readings.sql"
FIRST, LAST = "0000", "9999"
UNDECIDED = ("REQUESTED", "PENDING_CONFIRMATION", "COMPENSATING", "CANCELLATION_PENDING")
MOVING = ("DRIVER_ASSIGNED", "DRIVER_EN_ROUTE", "DRIVER_ARRIVED", "IN_PROGRESS")
CANCELLING = ("member_cancel", "member_cancel_before_dispatch")
TOLD = ("status", "previous_status", "version", "terminal", "driver", "price", "failure", "not_after")
"""What a member is told of an event; the rest of it is for the neighbours."""
MOST_EVENTS = 100
STALE_S = 60
POLL_UNDECIDED_S, POLL_MOVING_S, POLL_S = 2, 5, 60
OWN_FIELDS = {"booking_id": {"type": "string", "maxLength": 64}, "member_id": {"type": "string", "maxLength": 64}}
OWN = {"type": "object", "required": ["booking_id", "member_id"], "properties": OWN_FIELDS}
READ_ERRORS = {"Db.Unavailable": STORE_ERRORS["Db.Unavailable"], **NOT_FOUND}


@step("booking.read", input=OWN, output="booking.json", errors=READ_ERRORS)
def read(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The member's booking as it is now, with `poll_after_s`: when it is worth asking again."""
    with repository(ctx) as repo:
        booking = owned(repo, payload["booking_id"], payload["member_id"], ctx)
    return {**render(booking), "poll_after_s": poll_after_s(booking)}


@step(
    "booking.list",
    input={
        "type": "object",
        "required": ["member_id", "limit"],
        "properties": {
            "member_id": {"type": "string", "maxLength": 64},
            "status": {"type": ["string", "null"]},
            "from": {"type": ["string", "null"]},
            "to": {"type": ["string", "null"]},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
            "after": {"type": ["object", "null"]},
        },
    },
    output={"type": "object", "required": ["bookings", "next"]},
    errors={"Db.Unavailable": STORE_ERRORS["Db.Unavailable"]},
)
def list_bookings(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The member's bookings, the youngest first: `{bookings, next}`; `next` is the place to go on after, or null.

    `from` and `to` bound the pickup time. `after` is a `next` of before.
    """
    after, limit = payload.get("after") or {}, payload["limit"]
    with repository(ctx) as repo:
        rows = statements(FILE)["own_bookings"].rows(
            repo.db,
            member_ref=member_ref(payload["member_id"], ctx),
            any_status=int(payload.get("status") is None),
            status=payload.get("status") or "",
            since=_bound(payload.get("from"), FIRST),
            until=_bound(payload.get("to"), LAST),
            first=int(not after),
            created_at=after.get("created_at", ""),
            booking_id=after.get("booking_id", ""),
            limit=limit + 1,
        )
    found = [Booking.of(row) for row in rows]
    more = len(found) > limit
    found = found[:limit]
    last = {"created_at": found[-1].created_at, "booking_id": found[-1].booking_id} if more else None
    return {"bookings": [render(booking) for booking in found], "next": last}


@step(
    "booking.normalise",
    input={"type": "object", "required": ["body"]},
    output={"type": ["object", "array", "string", "number", "boolean", "null"]},
    errors={"Booking.InvalidRequest": "the request names another member than the one who sends it"},
)
def normalise(payload: dict[str, Any], ctx: StepContext) -> Any:
    """A request as it will be checked: texts trimmed, codes in capitals, points rounded.

    What `engine run` takes, `{member_id, request, request_id}`, is taken for its request if the member is the caller.
    """
    body = payload["body"]
    if isinstance(body, dict) and "request" in body and set(body) <= {"member_id", "request", "request_id"}:
        if body.get("member_id", payload.get("caller")) != payload.get("caller"):
            raise StepError("Booking.InvalidRequest", "/member_id: is not the member who sends this")
        body = body["request"]
    return requests.normalise(body)


def poll_after_s(booking: Booking) -> int | None:
    """Seconds until something may have changed; None once nothing will."""
    if booking.terminal_at is not None:
        return None
    if booking.status in UNDECIDED:
        return POLL_UNDECIDED_S
    return POLL_MOVING_S if booking.status in MOVING else POLL_S


def _bound(text: str | None, default: str) -> str:
    return stamp(parse(text)) if text else default


@step(
    "booking.fee",
    input=OWN,
    output={"type": "object", "required": ["booking_id", "policy"]},
    errors={**READ_ERRORS, **UNREADABLE, "Booking.NotCancellable": "the booking cannot be cancelled as it is now"},
)
def fee(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Whether the member may cancel the booking as it is now, and the policy it was booked under."""
    with repository(ctx) as repo:
        booking = owned(repo, payload["booking_id"], payload["member_id"], ctx)
    if not any((booking.status, trigger) in lifecycle().edges for trigger in CANCELLING):
        raise StepError("Booking.NotCancellable", f"a booking that is {booking.status} cannot be cancelled")
    # The rules may allow less. Whether the fee is accepted, the member has not been asked yet.
    asked = {"booking": {"status": booking.status}, "cancel": {"fee_minor": 0, "accepted_fee_minor": 0}}
    decision = rules_of(ctx, "cancel").evaluate("cancel", asked, stamp(ctx.now()))
    if not decision.passed:
        raise StepError("Booking.NotCancellable", decision.errors[0].user_message)
    return {"booking_id": booking.booking_id, "policy": cancellation_policy(booking)}


@step(
    "booking.track",
    input=OWN,
    output={"type": "object", "required": ["status", "updated_at", "stale"]},
    errors={
        **READ_ERRORS,
        **ERRORS,
        "Booking.TrackingNotAvailable": "there is no driver yet, or the ride is over",
    },
)
def track(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Where the driver is: `{status, position, eta, updated_at, stale, poll_after_s}`. Kept nowhere."""
    with repository(ctx) as repo:
        booking = owned(repo, payload["booking_id"], payload["member_id"], ctx)
    if booking.status not in MOVING or booking.ride_ref is None:
        raise StepError("Booking.TrackingNotAvailable", f"a booking that is {booking.status} has nothing to track")
    found = Taxi(ctx).track(booking.ride_ref)
    age = (ctx.now() - parse(found["updated_at"])).total_seconds()
    return {
        "status": booking.status,
        "position": found.get("position"),
        "eta": found.get("eta"),
        "updated_at": found["updated_at"],
        "stale": found.get("position") is None or age > STALE_S,
        "poll_after_s": poll_after_s(booking),
    }


@step(
    "booking.events",
    input={**OWN, "properties": {**OWN_FIELDS, "after": {"type": "integer", "minimum": 0}}},
    output={"type": "object", "required": ["events", "over"]},
    errors=READ_ERRORS,
)
def events(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """What has happened to the booking since event `after`: `{events: [{id, event, data}], over}`."""
    with repository(ctx) as repo:
        booking = owned(repo, payload["booking_id"], payload["member_id"], ctx)
        rows = statements(FILE)["events_after"].rows(
            repo.db, booking_id=booking.booking_id, after=payload.get("after", 0), limit=MOST_EVENTS
        )
    found = [_event(row) for row in rows]
    return {"events": found, "over": booking.terminal_at is not None and len(found) < MOST_EVENTS}


def _event(row: dict[str, Any]) -> dict[str, Any]:
    body = json.loads(row["envelope"])
    data = {key: body["data"][key] for key in TOLD if body["data"].get(key) is not None}
    # Type is `prefix.booking.name.v1`: the prefix is the deployment's, the version the event's.
    name = ".".join(body["type"].split(".")[-3:-1])
    return {"id": row["seq"], "event": name, "data": {**data, "time": body["time"]}}
