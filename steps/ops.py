"""Steps that call for people."""

from __future__ import annotations

from typing import Any

from engine import StepContext, step
from steps.bookings.repository import repository
from steps.bookings.shapes import ERROR, STORE_ERRORS, about_a_booking
from steps.taxi_api.health import health_of


@step(
    "ops.attention",
    input=about_a_booking(error=ERROR),
    output={"type": "object", "required": ["attention"]},
    errors=STORE_ERRORS,
    transactional=True,
)
def attention(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The automatic budget is spent: mark the booking and tell the operations queue, once."""
    with repository(ctx) as repo:
        booking = repo.need_people(repo.load(payload["booking_id"]))
    ctx.log(
        "a booking needs people",
        warning=True,
        booking_id=booking.booking_id,
        error=(payload.get("error") or {}).get("Error"),
    )
    return {"attention": True}


@step(
    "ops.taxi_health",
    output={"type": "object", "additionalProperties": {"type": "object", "required": ["state", "tokens"]}},
)
def taxi_health(payload: Any, ctx: StepContext) -> dict[str, Any]:
    """How this process sees the taxi company, for metrics: by operation its breaker, recent calls and retry budget."""
    base = ctx.settings.get("TAXI_URL", "").rstrip("/")
    now = ctx.now().timestamp()
    return {operation: health.state(now) for operation, health in health_of(base).items()}
