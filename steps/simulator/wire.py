"""Faults on the wire: what becomes of a reply on its way. ``commit`` says whether the call takes effect at all.

Each function gets the reply (None when the call was not carried out) and the strike, and answers with a Delivery.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from steps.simulator.clock import http_date
from steps.simulator.contract import Refusal
from steps.simulator.faults import CALLS, Stage, Strike, fault
from steps.simulator.messages import Delivery, Drip, Hang, Reply, Reset, Send, ShutDoor, Truncate, problem_reply

_CODES = {
    400: "invalid_request",
    401: "token_expired",
    403: "forbidden",
    404: "not_found",
    422: "invalid_request",
    429: "rate_limited",
    500: "internal_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
_PROXY_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"
_NOTHING = Reply(204)


@fault("latency", Stage.DELAY, CALLS, delay_s=0.3)
def latency(strike: Strike) -> float:
    """The call is carried out and answered late."""
    return float(strike.params["delay_s"])


@fault("reset_before_commit", Stage.WIRE, CALLS, commit=False)
@fault("reset_after_commit", Stage.WIRE, CALLS, commit=True)
def reset(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """The connection is reset instead of answered."""
    return Reset()


@fault("timeout_before_commit", Stage.WIRE, CALLS, commit=False, hang_s=30.0)
@fault("timeout_after_commit", Stage.WIRE, CALLS, commit=True, hang_s=30.0)
def timeout(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """Silence until the client gives up."""
    return Hang(strike.params["hang_s"])


@fault("commit_late", Stage.WIRE, ("createRide",), commit=False, after_s=30.0, hang_s=30.0, status=None)
def commit_late(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """Silence (or, with ``status``, an error).

    ``after_s`` later on the simulator's clock the ride appears all the same.
    """
    if strike.params["status"] is None:
        return Hang(strike.params["hang_s"])
    return Send(problem_reply(_refusal(strike.params["status"], None, None)))


@fault("slow_drip", Stage.WIRE, CALLS, commit=True, hang_s=30.0)
def slow_drip(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """The body comes one byte at a time, in ``hang_s`` all in all, so that no read ever times out."""
    return Drip(reply or _NOTHING, strike.params["hang_s"])


@fault("truncated_body", Stage.WIRE, CALLS, commit=True)
def truncated_body(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """The connection closes half-way through the body."""
    return Truncate(reply or _NOTHING)


@fault("malformed_json", Stage.WIRE, CALLS, commit=True)
def malformed_json(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """The right status and length, but the text breaks off: not JSON."""
    reply = reply or _NOTHING
    return Send(replace(reply, body=reply.body[: max(1, len(reply.body) // 2)]))


@fault("html_page", Stage.WIRE, CALLS, commit=False, status=200)
def html_page(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """A proxy's page instead of an answer."""
    return Send(Reply(strike.params["status"], _PROXY_PAGE, {"Content-Type": "text/html"}))


@fault("missing_ride_id", Stage.WIRE, ("createRide", "getRide"), commit=True)
def missing_ride_id(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """The ride without its ride_id."""
    reply = reply or _NOTHING
    ride = {name: value for name, value in json.loads(reply.body or b"{}").items() if name != "ride_id"}
    return Send(replace(reply, body=json.dumps(ride).encode()))


@fault(
    "status",
    Stage.WIRE,
    CALLS,
    commit=False,
    status=503,
    code=None,
    executed=None,
    retry_after=None,
    retry_after_as="seconds",
)
def status(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """A problem with this ``status`` (of a list: one after the other).

    ``retry_after`` in seconds, sent so or as a date.
    """
    params = strike.params
    chosen = params["status"]
    number = chosen[strike.turn % len(chosen)] if isinstance(chosen, list) else chosen
    retry_after: str | None = None if params["retry_after"] is None else str(params["retry_after"])
    if retry_after is not None and params["retry_after_as"] == "date":
        retry_after = http_date(math.ceil(now + float(retry_after)))
    refusal = _refusal(number, params["code"], retry_after)
    refusal.executed = params["executed"]
    return Send(problem_reply(refusal))


@fault("webhook_first", Stage.WIRE, ("createRide",), commit=True)
def webhook_first(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """The ride's webhooks arrive before the answer to the create does."""
    return Send(reply or _NOTHING, webhooks_first=True)


@fault("refuse", Stage.WIRE, CALLS, commit=True, hang_s=30.0)
def refuse(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """This call is answered; then, for ``hang_s`` real seconds, connections are refused."""
    return ShutDoor(reply or _NOTHING, strike.params["hang_s"], silent=False)


@fault("black_hole", Stage.WIRE, CALLS, commit=True, hang_s=30.0)
def black_hole(reply: Reply | None, strike: Strike, now: float) -> Delivery:
    """This call is answered; then, for ``hang_s`` real seconds, connections are not accepted (Linux)."""
    return ShutDoor(reply or _NOTHING, strike.params["hang_s"], silent=True)


def _refusal(status: Any, code: str | None, retry_after: str | None) -> Refusal:
    named = code or _CODES.get(status, "internal_error")
    return Refusal(named, status=status, executed=None, retry_after=retry_after)
