"""Events of a booking: CloudEvents 1.0 envelopes, schemas/booking-event.json. They carry no contact details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

from engine import traceparent
from steps.bookings.booking import Booking
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import local, parse, stamp

NAMESPACE = UUID("2d34fabb-c980-57d5-8f22-2a3c53ff9c0e")
DATA_SCHEMA = "https://api.example/schemas/booking-event/v1"
MEMBER_SCHEMA = "https://api.example/schemas/member-event/v1"
LATEST_NEWS = timedelta(hours=1)
"""A message about a pickup that is now or past is still worth sending for this long."""


def envelope(
    booking: Booking,
    name: str,
    seq: int,
    previous: str | None,
    now: str,
    settings: Mapping[str, str],
    cause: str | None = None,
) -> dict[str, Any]:
    """The event `name` about `booking` as it is after the change; the same booking and seq always give the same id.

    `cause`: the request or message that led to it; the request for the booking itself where there is none other.
    """
    body = _frame(booking.booking_id, name, seq, now, settings)
    if cause or booking.doc.get("request_id"):
        body["causationid"] = cause or booking.doc["request_id"]
    body["data"] = _data(booking, name, previous, body["id"], now)
    return body


def arrival(booking: Booking, seq: int, eta: str, now: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The event that the driver comes at another time. It is stored nowhere, so its id is random; it has the place of
    the last event that is stored, and an end."""
    body = _frame(booking.booking_id, "booking.eta_updated", seq, now, settings)
    body["id"] = str(uuid4())
    body["data"] = _data(booking, "booking.eta_updated", booking.status, body["id"], now)
    notification = body["data"]["notification"]
    notification["params"]["eta_local"] = local(eta, booking.doc.get("airport_timezone"))[:16]
    body["expirytime"] = notification["not_after"]
    return body


def member_erased(
    member_ref: str, seq: int, bookings: Sequence[str], request_id: str | None, now: str, settings: Mapping[str, str]
) -> dict[str, Any]:
    """The event that a member's personal data is gone: schemas/member-event.json. For all who hold copies."""
    body = _frame(member_ref, "member.erased", seq, now, settings)
    body["dataschema"] = MEMBER_SCHEMA
    if request_id:
        body["causationid"] = request_id
    contacts = [contact_ref(booking) for booking in bookings]
    body["data"] = {"member_ref": member_ref, "bookings": list(bookings), "contact_refs": contacts, "erased_at": now}
    return body


def contact_ref(booking_id: str) -> str:
    """Resolved to an address by whoever may read the personal data; worthless to others."""
    return "ctc_" + booking_id.removeprefix("bkg_")


def _frame(subject: str, name: str, seq: int, now: str, settings: Mapping[str, str]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid5(NAMESPACE, f"{subject}/{seq}")),
        "source": settings.get("EVENT_SOURCE") or "/booking-orchestrator/local",
        "type": f"{settings.get('EVENT_PREFIX') or 'com.example.lounge'}.{name}.v1",
        "subject": subject,
        "time": now,
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "sequence": f"{seq:010d}",
        "partitionkey": subject,
        "correlationid": subject,
        "traceparent": traceparent(subject),
    }


def _data(booking: Booking, name: str, previous: str | None, event_id: str, now: str) -> dict[str, Any]:
    kind = _kinds()[name]
    if "unless_by_member" in kind and (booking.doc.get("cancellation") or {}).get("by") != "MEMBER":
        kind = {**kind, **kind["unless_by_member"]}
    data: dict[str, Any] = {
        "booking_id": booking.booking_id,
        "reference": booking.reference,
        "version": booking.version,
        "status": booking.status,
        "previous_status": previous,
        # attention_required is about a booking that may have ended: only the edge's own event closes the series.
        "terminal": booking.status in lifecycle().terminal and previous != booking.status,
        "user_facing": "template" in kind,
        "member_ref": booking.member_ref,
        "airport_iata": booking.airport_iata,
        "lounge_code": booking.lounge_code,
        "pickup_time": booking.pickup_time,
        "vehicle_class": booking.request["vehicle_class"],
    }
    optional = {part: booking.doc.get(part) for part in ("airport_timezone", "dropoff_area", *kind.get("carries", ()))}
    if "price" in optional:
        optional["price"] = booking.price
    if "ride" in optional:
        optional["ride"] = {"provider": booking.ride_provider, "ride_ref": booking.ride_ref}
    if failure := optional.get("failure"):
        optional["failure"] = {key: failure[key] for key in FAILURE}
    data.update({key: value for key, value in optional.items() if value is not None})
    if "template" in kind:
        data["notification"] = _notification(booking, kind, event_id, now)
    return data


FAILURE = ("code", "retryable", "user_message", "suggested_action")


def _notification(booking: Booking, kind: Mapping[str, Any], event_id: str, now: str) -> dict[str, Any]:
    zone = booking.doc.get("airport_timezone")
    params = {"reference": booking.reference, "pickup_local": local(booking.pickup_time, zone)[:16]}
    terminal = booking.request["pickup"].get("terminal")
    if terminal:
        params["terminal"] = terminal
    notification = {
        "template": kind["template"],
        "channels": kind["channels"],
        "locale": booking.doc.get("locale") or "en-GB",
        "params": params,
        "dedupe_key": event_id,
        "contact_ref": contact_ref(booking.booking_id),
        "priority": kind.get("priority", "NORMAL"),
    }
    if "not_after_min" in kind:
        start = parse(booking.pickup_time if kind["not_after_from"] == "pickup" else now)
        limit = start + timedelta(minutes=kind["not_after_min"])
        notification["not_after"] = stamp(max(limit, parse(now) + LATEST_NEWS) if start == limit else limit)
    return notification


@cache
def _kinds() -> dict[str, dict[str, Any]]:
    import yaml

    kinds: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("events.yaml").read_text(encoding="utf-8")
    )
    return kinds
