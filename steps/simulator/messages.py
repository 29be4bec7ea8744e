"""What comes in and what goes out: a request, a reply, and the manner in which the reply leaves (or does not)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steps.simulator.contract import Refusal


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are in lower case; ``local`` says that the peer is on the loopback interface."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    local: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; Content-Length, Date and Connection are added by the server."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Answer as one should; with ``webhooks_first`` after the webhooks that are due."""

    reply: Reply
    webhooks_first: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing for ``seconds``, or until the client leaves, then close the connection."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """End the connection with a TCP reset."""


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the body one byte at a time, spread evenly over ``seconds``."""

    reply: Reply
    seconds: float


@dataclass(frozen=True, slots=True)
class Truncate:
    """Announce the whole body, send half of it, close."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class ShutDoor:
    """Answer, then for ``seconds`` refuse new connections, or with ``silent`` let them wait for an accept in vain."""

    reply: Reply
    seconds: float
    silent: bool


Delivery = Send | Hang | Reset | Drip | Truncate | ShutDoor


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Reply(status, text.encode(), {"Content-Type": "application/json", **(headers or {})})


def problem_reply(refusal: Refusal) -> Reply:
    """The refusal as ``application/problem+json``, with Retry-After and WWW-Authenticate where they belong."""
    headers = {"Content-Type": "application/problem+json"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = refusal.retry_after
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return json_reply(refusal.status, refusal.body(), headers)
