"""Steps that call for people, and what operations see of the taxi company."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine import Host, Sample, StepContext, on_scrape, step
from steps.bookings.repository import repository
from steps.bookings.shapes import ERROR, STORE_ERRORS, about_a_booking
from steps.taxi_api.health import STATES, health_of


@step(
    "ops.attention",
    input=about_a_booking(error=ERROR),
    output={"type": "object", "required": ["attention"]},
    errors=STORE_ERRORS,
    transactional=True,
)
def attention(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The automatic budget is spent: mark the booking and tell the operations queue, once."""
    error = (payload.get("error") or {}).get("Error")
    with repository(ctx) as repo:
        booking = repo.need_people(repo.load(payload["booking_id"]), error or "unknown")
    ctx.log(
        "a booking needs people",
        warning=True,
        booking_id=booking.booking_id,
        request_id=booking.doc.get("request_id"),
        error=error,
    )
    return {"attention": True}


@on_scrape
def breakers(host: Host) -> Iterator[Sample]:
    """How this process sees the taxi company, by operation."""
    base, now = host.settings.get("TAXI_URL", "").rstrip("/"), host.now().timestamp()
    for operation, health in health_of(base).items() if base else ():
        state, labels = health.state(now), {"operation": operation}
        yield Sample("taxi_breaker", "0: closed, 1: half-open, 2: open.", STATES.index(state.state), labels)
        yield Sample("taxi_calls_window", "Calls of the last half minute.", state.calls, labels)
        yield Sample("taxi_failures_window", "Calls of the last half minute that failed.", state.failures, labels)
        yield Sample("taxi_retry_tokens", "What is left of the retry budget, of 10.", state.tokens, labels)
        yield Sample("taxi_wait_seconds", "How long the taxi company wants to be left alone.", state.wait_s, labels)
