"""Webhooks waiting to be sent: signing, order, retries, and the faults that befall them. Pure; sending is elsewhere.

Signatures follow Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body`` with the base64 secret behind ``whsec_``.
A retry keeps its id and renews its timestamp.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from steps.simulator.faults import WEBHOOK, FaultPlan, Stage, fault
from steps.simulator.rides import RideEvent, token

RETRY_AFTER_S = (5, 30, 120, 300, 900, 1800)
_WEBHOOK = (WEBHOOK,)


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """``v1,<base64>``; ``secret`` is ``whsec_`` and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True)
class Envelope:
    """One webhook on its way.

    ``due``: when it may leave; ``shift_s`` is added to its timestamp; ``forged``: badly signed.
    """

    webhook_id: str
    event: RideEvent
    due: float
    attempt: int = 1
    shift_s: float = 0.0
    forged: bool = False

    def headers_and_body(self, secret: str, now: float) -> tuple[dict[str, str], bytes]:
        body = json.dumps(self.event.body(), separators=(",", ":")).encode()
        stamp = int(now + self.shift_s)
        signature = sign(secret, self.webhook_id, stamp, body + b"forged" if self.forged else body)
        headers = {"webhook-id": self.webhook_id, "webhook-timestamp": str(stamp), "webhook-signature": signature}
        return {"Content-Type": "application/json", **headers}, body


@dataclass(slots=True)
class Mailbox:
    """The webhooks to come, and those given up. Not thread-safe; the caller serialises.

    A webhook fault is a function of the mailbox, an envelope and the parameters; it answers with what to send instead.
    """

    seed: int
    delay_s: float = 0.0
    attempts: int = 7
    waiting: list[Envelope] = field(default_factory=list)
    dropped: int = 0
    _held: dict[str, list[Envelope]] = field(default_factory=dict)

    def post(self, event: RideEvent, plan: FaultPlan) -> None:
        """Put an event into the post, with whatever the plan has in store for it."""
        name = "wh_" + token(self.seed, event.ride_id, event.sequence)
        envelope = Envelope(name, event, event.at + self.delay_s)
        facts = {"client_reference": event.client_reference, "ride_id": event.ride_id}
        strike = plan.strikes(WEBHOOK, {**facts, "status": event.status, "type": event.type}).get(Stage.WEBHOOK)
        sent = [envelope] if strike is None else strike.kind.play(self, envelope, strike.params)
        self.dropped += not sent
        self.waiting += sent

    def take_due(self, now: float) -> list[Envelope]:
        """The webhooks to send now, earliest first; they are no longer waiting."""
        due = sorted((envelope for envelope in self.waiting if envelope.due <= now), key=lambda envelope: envelope.due)
        self.waiting = [envelope for envelope in self.waiting if envelope.due > now]
        return due

    def next_due(self) -> float | None:
        return min((envelope.due for envelope in self.waiting), default=None)

    def failed(self, envelope: Envelope, now: float) -> bool:
        """Not taken: try again later, or give up after the last attempt (False)."""
        if envelope.attempt >= self.attempts:
            self.dropped += 1
            return False
        pause = RETRY_AFTER_S[min(envelope.attempt, len(RETRY_AFTER_S)) - 1]
        self.waiting.append(replace(envelope, due=now + pause, attempt=envelope.attempt + 1))
        return True

    def hold(self, envelope: Envelope, window: int, hold_s: float) -> Sequence[Envelope]:
        """Keep back until ``window`` webhooks of the ride are together, then let them go last one first.

        While incomplete they wait as if delayed by ``hold_s``, so that none is lost when the ride falls silent.
        """
        held = self._held.setdefault(envelope.event.ride_id, [])
        held.append(replace(envelope, due=envelope.due + hold_s))
        if len(held) < window:
            return held[-1:]
        self.waiting = [other for other in self.waiting if other not in held]
        released = [replace(other, due=envelope.due) for other in reversed(held)]
        held.clear()
        return released


@fault("reorder", Stage.WEBHOOK, _WEBHOOK, window=3, hold_s=30.0)
def reorder(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """Each ``window`` webhooks of a ride arrive last one first; they wait ``hold_s`` at most."""
    return mailbox.hold(envelope, params["window"], params["hold_s"])


@fault("duplicate", Stage.WEBHOOK, _WEBHOOK, copies=2)
def duplicate(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """The same webhook, same id, ``copies`` times in all."""
    return [envelope] * params["copies"]


@fault("drop", Stage.WEBHOOK, _WEBHOOK)
def drop(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """Never sent."""
    return []


@fault("delay", Stage.WEBHOOK, _WEBHOOK, seconds=60.0)
def delay(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """Sent ``seconds`` later."""
    return [replace(envelope, due=envelope.due + params["seconds"])]


@fault("bad_signature", Stage.WEBHOOK, _WEBHOOK)
def bad_signature(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """The signature is that of another body."""
    return [replace(envelope, forged=True)]


@fault("old_timestamp", Stage.WEBHOOK, _WEBHOOK, seconds=600.0)
def old_timestamp(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """Rightly signed, ``seconds`` ago."""
    return [replace(envelope, shift_s=-params["seconds"])]


@fault("clock_skew", Stage.WEBHOOK, _WEBHOOK, seconds=600.0)
def clock_skew(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """The sender's clock is ``seconds`` ahead."""
    return [replace(envelope, shift_s=params["seconds"])]


@fault("unknown_ride", Stage.WEBHOOK, _WEBHOOK)
def unknown_ride(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """Besides the true one, a webhook about a ride that nobody ordered."""
    stranger = token(envelope.webhook_id, "stranger")
    event = replace(envelope.event, ride_id=f"gtx_{stranger}", client_reference=f"unknown_{stranger}")
    return [envelope, replace(envelope, webhook_id=envelope.webhook_id + "S", event=event)]


@fault("unknown_status", Stage.WEBHOOK, _WEBHOOK, status="DRIVER_TELEPORTED")
def unknown_status(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """A status word that the contract does not have."""
    return [replace(envelope, event=replace(envelope.event, status=params["status"]))]


@fault("flood", Stage.WEBHOOK, _WEBHOOK, copies=100)
def flood(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """The same news in ``copies`` webhooks, each with an id of its own."""
    return [replace(envelope, webhook_id=f"{envelope.webhook_id}{number:05d}") for number in range(params["copies"])]


@fault("then_completed", Stage.WEBHOOK, _WEBHOOK)
def then_completed(mailbox: Mailbox, envelope: Envelope, params: Mapping[str, Any]) -> Sequence[Envelope]:
    """Right after it, a webhook that says the ride was completed."""
    event = replace(envelope.event, status="COMPLETED", sequence=envelope.event.sequence + 1, reason=None)
    return [envelope, replace(envelope, webhook_id=envelope.webhook_id + "C", event=event)]
