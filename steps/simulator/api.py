"""The operations of the contract: from a parsed call to a reply.

Refusals are raised; the caller turns them into problems.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from steps.simulator.clock import parse_rfc3339, rfc3339
from steps.simulator.contract import (
    CANCELLATION,
    QUOTE_REQUEST,
    RIDE_AMENDMENT,
    RIDE_REQUEST,
    Refusal,
)
from steps.simulator.messages import Reply, Request, json_reply
from steps.simulator.plan import Auth
from steps.simulator.pricing import Route, render_quote
from steps.simulator.rides import render_ride, render_tracking, token
from steps.simulator.shapes import Schema, faults_in
from steps.simulator.supplier import Order, Supplier, Terms

_AMENDABLE = ("flight_number", "passengers", "luggage")


@dataclass(slots=True)
class Tokens:
    """The access tokens given out and until when each is good. Not thread-safe; the caller serialises."""

    auth: Auth
    seed: int
    good_until: dict[str, float] = field(default_factory=dict)

    def issue(self, now: float) -> str:
        name = "tok_" + token(self.seed, "token", len(self.good_until), length=26)
        self.good_until[name] = now + self.auth.ttl_s
        return name

    def check(self, authorization: str, now: float) -> None:
        """Refusal token_expired unless the header carries a good token, or none is required."""
        if self.auth.required and self.good_until.get(authorization.removeprefix("Bearer "), 0.0) <= now:
            raise Refusal("token_expired")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the operations work with."""

    supplier: Supplier
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Work:
    """One call to carry out: ``argument`` is the ride_id or client_reference of its path, if it has one."""

    request: Request
    argument: str
    now: float
    terms: Terms


Operation = Callable[[Desk, Work], Reply]


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    pattern: re.Pattern[str]
    op: str
    operation: Operation


_ENDPOINTS: list[Endpoint] = []


def operation(op: str, method: str, path: str) -> Callable[[Operation], Operation]:
    """Declare an operation: its name in the contract, method, and path with at most one ``{}``."""

    def register(function: Operation) -> Operation:
        pattern = re.compile(re.escape(path).replace(r"\{\}", "([^/]+)") + "$")
        _ENDPOINTS.append(Endpoint(method, pattern, op, function))
        return function

    return register


def resolve(method: str, path: str) -> tuple[str, Operation, str]:
    """The operation's name, its function and the path's argument; Refusal not_found or method_not_allowed."""
    hits = [(route, found) for route in _ENDPOINTS if (found := route.pattern.match(path))]
    for route, found in hits:
        if route.method == method:
            return route.op, route.operation, unquote("".join(found.groups()))
    raise Refusal("method_not_allowed" if hits else "not_found")


def peek(request: Request) -> Mapping[str, Any]:
    """The JSON object in the body, or an empty one: to look for facts, not to judge."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def read_order(work: Work) -> Order:
    """The create request, checked; the passenger and the notes are left behind. Refusal invalid_request."""
    key = work.request.headers.get("idempotency-key", "").strip('"')
    if not 16 <= len(key) <= 128:
        raise Refusal("invalid_request", "Idempotency-Key: must have 16 to 128 characters", status=400)
    body = _body(work.request, RIDE_REQUEST)
    maximum = body.get("max_price", {}).get("amount_minor")
    details = {name: body[name] for name in _AMENDABLE if name in body}
    return Order(key, body["client_reference"], body["quote_id"], maximum, _moment(body), details)


@operation("createToken", "POST", "/oauth/token")
def create_token(desk: Desk, work: Work) -> Reply:
    form = {name: values[0] for name, values in parse_qs(work.request.body.decode("utf-8", "replace")).items()}
    if form.get("grant_type") != "client_credentials":
        return json_reply(400, {"error": "unsupported_grant_type"})
    given = _basic(work.request.headers.get("authorization", "")) or (form.get("client_id"), form.get("client_secret"))
    auth = desk.tokens.auth
    if auth.required and given != (auth.client_id, auth.client_secret):
        return json_reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})
    answer = {"access_token": desk.tokens.issue(work.now), "token_type": "Bearer", "expires_in": int(auth.ttl_s)}
    return json_reply(200, {**answer, "scope": "rides"}, {"Cache-Control": "no-store"})


@operation("createQuotes", "POST", "/v1/quotes")
def create_quotes(desk: Desk, work: Work) -> Reply:
    body = _body(work.request, QUOTE_REQUEST)
    route = Route(_point(body["pickup"]), _point(body["dropoff"]), "")
    wanted, passengers, airport = body.get("vehicle_class"), body["passengers"], "airport_iata" in body["pickup"]
    found = (
        [] if work.terms.no_cover else desk.supplier.quote(route, wanted, passengers, _moment(body), airport, work.now)
    )
    return json_reply(200, {"quotes": [render_quote(quote, desk.supplier.tariff) for quote in found]})


@operation("createRide", "POST", "/v1/rides")
def create_ride(desk: Desk, work: Work) -> Reply:
    ride = desk.supplier.create(read_order(work), work.now, work.terms)
    location = {"Location": f"/v1/rides/{ride.ride_id}", "ETag": f'"{ride.state_hash}"'}
    return json_reply(202 if ride.status == "PENDING" else 201, render_ride(ride, desk.supplier.tariff), location)


@operation("findRides", "GET", "/v1/rides")
def find_rides(desk: Desk, work: Work) -> Reply:
    reference = work.request.query.get("client_reference", "")
    if not 1 <= len(reference) <= 64:
        raise Refusal("invalid_request", "client_reference: must have 1 to 64 characters", status=400)
    rides = desk.supplier.find(reference, work.now, work.terms.lag_s)
    return json_reply(200, {"rides": [render_ride(ride, desk.supplier.tariff) for ride in rides]})


@operation("getRide", "GET", "/v1/rides/{}")
def get_ride(desk: Desk, work: Work) -> Reply:
    ride = desk.supplier.get(work.argument)
    return json_reply(200, render_ride(ride, desk.supplier.tariff), {"ETag": f'"{ride.state_hash}"'})


@operation("amendRide", "PATCH", "/v1/rides/{}")
def amend_ride(desk: Desk, work: Work) -> Reply:
    seen = work.request.headers.get("if-match", "").strip('"')
    if not seen:
        raise Refusal("invalid_request", "If-Match: is missing", status=400)
    body = _body(work.request, RIDE_AMENDMENT)
    ride = desk.supplier.get(work.argument)
    if seen != ride.state_hash:
        raise Refusal("stale_state")
    ride.amend({name: body[name] for name in _AMENDABLE if name in body}, _moment(body), work.now)
    return json_reply(200, render_ride(ride, desk.supplier.tariff), {"ETag": f'"{ride.state_hash}"'})


@operation("quoteCancellation", "GET", "/v1/rides/{}/cancellation")
def quote_cancellation(desk: Desk, work: Work) -> Reply:
    fee, until = desk.supplier.get(work.argument).fee(work.now)
    answer: dict[str, Any] = {"fee": desk.supplier.tariff.money(fee)}
    if until is not None:
        answer["valid_until"] = rfc3339(until)
    return json_reply(200, answer)


@operation("cancelRide", "PUT", "/v1/rides/{}/cancellation")
def cancel_ride(desk: Desk, work: Work) -> Reply:
    body = _body(work.request, CANCELLATION)
    maximum = body.get("max_fee", {}).get("amount_minor")
    ride = desk.supplier.cancel(work.argument, body["reason"], maximum, work.now)
    return json_reply(200, render_ride(ride, desk.supplier.tariff))


@operation("cancelByReference", "PUT", "/v1/references/{}/cancellation")
def cancel_by_reference(desk: Desk, work: Work) -> Reply:
    if len(work.argument) > 64:
        raise Refusal("invalid_request", "client_reference: must have at most 64 characters", status=400)
    return json_reply(200, {"cancelled": desk.supplier.cancel_reference(work.argument, work.now)})


@operation("trackRide", "GET", "/v1/rides/{}/tracking")
def track_ride(desk: Desk, work: Work) -> Reply:
    return json_reply(200, render_tracking(desk.supplier.get(work.argument), work.now))


def _body(request: Request, schema: Schema) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refusal("invalid_request", "body: is not JSON", status=400) from error
    if found := list(faults_in(body, schema)):
        raise Refusal("invalid_request", "; ".join(found))
    return dict(body)


def _moment(body: Mapping[str, Any]) -> float | None:
    return None if body.get("pickup_time") is None else parse_rfc3339(body["pickup_time"])


def _point(stop: Mapping[str, Any]) -> tuple[float, float]:
    return stop["point"]["lat"], stop["point"]["lon"]


def _basic(authorization: str) -> tuple[str, str] | None:
    if not authorization.startswith("Basic "):
        return None
    try:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, secret
