"""Steps of a supplier's message: check who sent it, keep it once, find its booking, take the booking where the ride is.

A message is a hint: what counts is the ride itself, which is read anew. Only when it cannot be read, and the message is
the next one of its ride, the message is taken at its word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine import StepContext, StepError, step
from steps.bookings import following
from steps.bookings.attempts import Attempts
from steps.bookings.booking import PROVIDER, Booking
from steps.bookings.moments import later
from steps.bookings.repository import Repository, repository
from steps.bookings.settings import number
from steps.bookings.shapes import STORE_ERRORS
from steps.bookings.sql import statements
from steps.taxi_api.rides import FELL_THROUGH
from steps.webhooks import messages, signatures

FILE = "messages.sql"
REFERENCE = re.compile(r"(bkg_[0-7][0-9A-HJKMNP-TV-Z]{25})-r([1-9][0-9]{0,2})")
INBOX_LIMIT = 10_000
LEFT_S, UNMATCHED_S = 1200, 60
"""When the sweep looks at a message: after its own flow has given up; when nothing matched it."""
SENDERS: dict[str, dict[str, Any]] = {
    PROVIDER: {"profile": "standard-webhooks", "secrets": ("TAXI_WEBHOOK_SECRET", "TAXI_WEBHOOK_SECRET_NEXT")}
}
"""By provider: the profile of signatures, and the settings with the secrets; two are active while one is changed."""
OURS = ("PENDING_CONFIRMATION", "COMPENSATING", "CANCELLATION_PENDING")
MESSAGE = {
    "type": "object",
    "required": ["provider", "webhook_id"],
    "properties": {
        "provider": {"type": "string", "maxLength": 40},
        "webhook_id": {"type": "string", "minLength": 1, "maxLength": signatures.LONGEST_ID},
    },
}
STORED = {name: STORE_ERRORS[name] for name in ("Db.Unavailable", "Db.Conflict")}


@step(
    "webhook.verify",
    input={
        "type": "object",
        "required": ["provider", "headers", "body"],
        "properties": {
            "provider": {"type": "string", "maxLength": 40},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {"type": "string"},
        },
    },
    output=MESSAGE,
    errors={
        "Webhook.Unauthorized": "nobody we know has signed this, or not now",
        "Webhook.UnknownProvider": "there is no such sender of messages",
        "Webhook.InboxFull": "too many messages wait: the sender will come again",
        "Db.Unavailable": STORE_ERRORS["Db.Unavailable"],
    },
)
def verify(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Check the signature of a message as it came: `{provider, headers, body}`, header names in lower case.

    A provider's profile may be changed by the setting WEBHOOK_PROFILE_<PROVIDER>.
    """
    provider = payload["provider"]
    sender = SENDERS.get(provider)
    if sender is None:
        raise StepError("Webhook.UnknownProvider", "there is no such sender of messages")
    setting = f"WEBHOOK_PROFILE_{provider.upper()}"
    profile = signatures.profiles().get(ctx.settings.get(setting) or sender["profile"])
    if profile is None:
        ctx.log(f"messages are refused: {setting} names no profile of profiles.yaml", warning=True, provider=provider)
        raise StepError("Webhook.Unauthorized", "the signature is not good")
    secrets = _secrets(profile, sender["secrets"], provider, ctx)
    try:
        name = signatures.verify(profile, secrets, payload["headers"], payload["body"].encode(), ctx.now().timestamp())
    except signatures.BadSignature as problem:
        ctx.log("a message is refused", warning=True, provider=provider, problem=str(problem))
        raise StepError("Webhook.Unauthorized", "the signature is not good") from None
    with repository(ctx, reading=True) as repo:
        _refuse_a_flood(repo)  # at the door, where the sender hears of it and comes again
    return {"provider": provider, "webhook_id": name}


def _secrets(profile: Mapping[str, Any], names: Sequence[str], provider: str, ctx: StepContext) -> list[str]:
    """The secrets that are set. One that is written wrongly counts for nothing: the other one still does."""
    found = {name: ctx.settings[name] for name in names if ctx.settings.get(name)}
    wrong = [name for name, secret in found.items() if not signatures.is_secret(profile, secret)]
    for name in wrong:
        ctx.log(f"{name} is not written as secrets of its profile are", warning=True, provider=provider)
    if not found:
        ctx.log(f"messages are refused: {names[0]} is not set", warning=True, provider=provider)
    return [secret for name, secret in found.items() if name not in wrong]


@step(
    "webhook.receive",
    input={**MESSAGE, "properties": {**MESSAGE["properties"], "payload": {}}},  # type: ignore[dict-item]
    output={"type": "object", "required": ["fresh"]},
    errors={
        **STORED,
        "Webhook.Unreadable": "the message does not have the fields of the contract",
        "Webhook.InboxFull": "too many messages wait: the sender will come again",
    },
    transactional=True,
)
def receive(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Keep a message once, without personal fields; `fresh` is false for a repeat."""
    try:
        message = messages.read(payload.get("payload"))
    except messages.Unreadable as problem:
        raise StepError("Webhook.Unreadable", str(problem)) from None
    sql = statements(FILE)
    with repository(ctx) as repo:
        _refuse_a_flood(repo)
        written = sql["insert_message"].run(
            repo.db,
            provider=payload["provider"],
            webhook_id=payload["webhook_id"],
            client_reference=message.client_reference,
            ride_ref=message.ride_ref,
            ride_seq=message.sequence,
            type=message.type,
            occurred_at=message.occurred_at,
            now=repo.now,
            payload=json.dumps(message.as_dict()),
            next_try_at=later(repo.now, LEFT_S),
        )
    ctx.note(f"{message.status} {message.sequence}")
    return {"fresh": written == 1}


@step(
    "webhook.match",
    input=MESSAGE,
    output={
        "type": "object",
        "required": ["todo", "booking_id"],
        "properties": {"todo": {"enum": ["LOOK", "CONFIRM", "NOTHING"]}, "booking_id": {"type": ["string", "null"]}},
    },
    errors={**STORE_ERRORS, "Webhook.NotYet": "its booking is still being made: come again"},
    transactional=True,
)
def match(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Find the booking of a message and what is to be done about it; what is old or about nothing is marked so."""
    with repository(ctx, cause=payload["webhook_id"]) as repo:
        message = _stored(repo, payload)
        booking = _booking_of(repo, message, payload["provider"])
        state, todo = _judge(repo, booking, message)
        if state == "UNMATCHED":
            again = later(repo.now, UNMATCHED_S)
            statements(FILE)["set_unmatched"].run(repo.db, **_name(payload), next_try_at=again)
        elif state is not None:
            statements(FILE)["set_state"].run(repo.db, **_name(payload), state=state)
    ctx.note(state or todo)
    return {"todo": todo, "booking_id": booking.booking_id if booking else None}


@step(
    "webhook.apply",
    input=MESSAGE,
    output={"type": "object", "required": ["status"]},
    errors={**STORE_ERRORS, "Webhook.Unclear": "the message alone does not tell where the ride is"},
    transactional=True,
)
def apply(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Take a message at its word: the ride cannot be read, and this is the next message about it."""
    with repository(ctx, cause=payload["webhook_id"]) as repo:
        message = _stored(repo, payload)
        booking = _booking_of(repo, message, payload["provider"])
        last = _last_seen(booking) if booking else None
        if booking is None or last is None or message["sequence"] != last + 1:
            raise StepError("Webhook.Unclear", "messages before this one are missing")
        known = booking.doc.get("ride") or {}
        ride = {"status": message["status"], "sequence": message["sequence"], "vehicle": known.get("vehicle")}
        ride["driver"] = known.get("driver") if message["status"] != "CONFIRMED" else None
        if message["status"] not in following.RIDE:
            raise StepError("Webhook.Unclear", "the message has a status that is not in the contract")
        booking = following.follow(repo, booking, ride, actor="supplier")
        statements(FILE)["set_state"].run(repo.db, **_name(payload), state="APPLIED")
    return {"status": booking.status}


@step(
    "webhook.settle",
    input=MESSAGE,
    output={"type": "object", "required": ["state"]},
    errors=STORED,
    transactional=True,
)
def settle(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The message is dealt with."""
    with repository(ctx) as repo:
        statements(FILE)["set_state"].run(repo.db, **_name(payload), state="APPLIED")
    return {"state": "APPLIED"}


def _refuse_a_flood(repo: Repository) -> None:
    limit = int(number(repo.settings, "WEBHOOK_INBOX_LIMIT", INBOX_LIMIT))
    waiting = statements(FILE)["new_messages"].row(repo.db, limit=limit)
    if waiting is not None and waiting["waiting"] >= limit:
        raise StepError("Webhook.InboxFull", f"{limit} messages wait")


def _judge(repo: Repository, booking: Booking | None, message: dict[str, Any]) -> tuple[str | None, str]:
    """The state to note for a message, if it is settled, and what to do. Raises StepError Webhook.NotYet."""
    if booking is None:
        return "UNMATCHED", "NOTHING"
    generation = REFERENCE.fullmatch(message["client_reference"])
    if generation is not None and int(generation[2]) != booking.generation:
        _watch(repo, booking, message)
        return "IGNORED", "NOTHING"
    if booking.terminal_at is not None:
        return _too_late(repo, booking, message), "NOTHING"
    if booking.status == "REQUESTED":
        raise StepError("Webhook.NotYet", "the booking's flow is not through yet")
    if booking.ride_ref is not None and message["ride_ref"] != booking.ride_ref:
        _watch(repo, booking, message)  # a second ride for one reference: it is not wanted
        return "IGNORED", "NOTHING"
    last = _last_seen(booking)
    if last is not None and message["sequence"] <= last:
        return "STALE", "NOTHING"
    if booking.status == "PENDING_CONFIRMATION":
        return None, "CONFIRM"
    if booking.status in OURS:
        return "IGNORED", "NOTHING"  # a flow is giving the ride up, and asks the taxi company itself
    return None, "LOOK"


def _too_late(repo: Repository, booking: Booking, message: dict[str, Any]) -> str:
    """A message about a booking that has ended never changes it; what contradicts the end calls people."""
    last = _last_seen(booking)
    if last is not None and message["sequence"] <= last:
        return "STALE"
    if booking.status in ("CANCELLED", "FAILED", "REJECTED"):
        if message["status"] in ("PASSENGER_ON_BOARD", "COMPLETED", "NO_SHOW"):
            repo.need_people(booking, "told_otherwise_after_the_end")
        _watch(repo, booking, message)
    return "IGNORED"


def _watch(repo: Repository, booking: Booking, message: dict[str, Any]) -> None:
    """A ride that should not be may live: have its reference, of whichever generation of the booking, looked at now."""
    ours = REFERENCE.fullmatch(message["client_reference"])
    if message["status"] not in FELL_THROUGH and ours is not None and ours[1] == booking.booking_id:
        Attempts(repo, booking).watch(now=True, reference=message["client_reference"])


def _stored(repo: Repository, payload: Mapping[str, Any]) -> dict[str, Any]:
    row = statements(FILE)["message"].row(repo.db, **_name(payload))
    if row is None:
        raise StepError("Booking.Unknown", "there is no such message")
    found: dict[str, Any] = json.loads(row["payload"])
    return found


def _booking_of(repo: Repository, message: Mapping[str, Any], provider: str) -> Booking | None:
    """By our reference, which holds before the create was answered; else by the ride's id."""
    sql, reference = statements(FILE), REFERENCE.fullmatch(message["client_reference"])
    if reference is not None:
        row = sql["known"].row(repo.db, booking_id=reference[1])
    else:
        row = sql["booking_of_ride"].row(repo.db, provider=provider, ride_ref=message["ride_ref"])
    return repo.load(row["booking_id"]) if row else None


def _last_seen(booking: Booking) -> int | None:
    sequence = (booking.doc.get("ride") or {}).get("sequence")
    return int(sequence) if sequence is not None else None


def _name(payload: Mapping[str, Any]) -> dict[str, str]:
    return {"provider": payload["provider"], "webhook_id": payload["webhook_id"]}
