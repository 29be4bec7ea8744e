"""Steps that say what a ride would cost. They book nothing and keep nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import RuleSet, StepContext, StepError, step
from steps.bookings import requests
from steps.bookings.failures import rejection, with_offer
from steps.bookings.moments import stamp
from steps.bookings.owners import member_ref
from steps.bookings.repository import repository
from steps.bookings.shapes import QUOTE, STORE_ERRORS
from steps.bookings.terms import with_terms
from steps.context import UNAVAILABLE, Asked, context_of
from steps.rules import UNREADABLE, rules_of
from steps.taxi_api.errors import ERRORS
from steps.taxi_api.offers import offers

ASKED = {"member_id": {"type": "string"}, "request": {"type": "object"}}
FAILURE = {"type": ["object", "null"]}


@step(
    "quotes.check",
    input={"type": "object", "required": list(ASKED), "properties": ASKED},
    output={"type": "object", "required": ["failure", "context"], "properties": {"failure": FAILURE}},
    errors={
        "Booking.InvalidRequest": "no booking could be made of the request; the cause lists places and reasons",
        "Db.Unavailable": STORE_ERRORS["Db.Unavailable"],
        **UNAVAILABLE,
        **UNREADABLE,
    },
    idempotency="natural",
)
def check(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Whether the member may book the ride, by the rules that a booking meets first: `failure` says why not.

    The request as in schemas/booking-create.json. `context` is what the rules look at.
    """
    if wrong := requests.problems(payload["request"]):
        raise StepError("Booking.InvalidRequest", "; ".join(wrong))
    whole = requests.complete(payload["request"], ctx.now())
    asked = Asked(
        booking_id="",
        member_ref=member_ref(payload["member_id"], ctx),
        airport_iata=whole["airport_iata"],
        lounge_code=whole["lounge_context"]["lounge_code"],
        pickup_time=whole["pickup"]["time"],
    )
    with repository(ctx, reading=True) as repo:
        context = context_of(repo, asked, payload["member_id"], whole, ctx)
    failure = _refused(rules_of(ctx), "pre_quote", {**context, "request": whole, "quote": None}, ctx)
    return {"failure": failure, "context": context}


@step(
    "quotes.ask",
    input={
        "type": "object",
        "required": ["request", "context"],
        "properties": {"request": {"type": "object"}, "context": {"type": "object"}},
    },
    output={
        "type": "object",
        "required": ["failure", "quotes"],
        "properties": {"failure": FAILURE, "quotes": {"type": "array", "items": QUOTE}},
    },
    errors={**ERRORS, **UNAVAILABLE, **UNREADABLE},
    idempotency="natural",
)
def ask(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The offers that the member could book, the cheapest first. When there are offers and none is allowed, `failure`
    says why the cheapest is not."""
    whole, rules = requests.complete(payload["request"], ctx.now()), rules_of(ctx)
    quotes, failures = [], []
    for offer in offers(whole, ctx):
        quote = with_terms(offer, whole, ctx)
        failure = _refused(rules, "post_quote", {**payload["context"], "request": whole, "quote": quote}, ctx)
        if failure is None:
            quotes.append(quote)
        else:
            failures.append(with_offer(failure, quote, ctx.now()))
    ctx.note(f"{len(quotes)} offers")
    return {"failure": None if quotes else failures[0], "quotes": quotes}


def _refused(rules: RuleSet, phase: str, context: Mapping[str, Any], ctx: StepContext) -> dict[str, Any] | None:
    decision = rules.evaluate(phase, context, stamp(ctx.now()))
    return None if decision.passed else rejection([error._asdict() for error in decision.errors])
