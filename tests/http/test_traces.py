"""One booking, one trace: the request, the flow, its steps, and the calls of the taxi company."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.telemetry import trace_ids
from tests.http.conftest import Front, wish

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

APP = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def trace(spans: InMemorySpanExporter, execution: str) -> dict[str, Any]:
    """The spans of an execution's trace by name; those of calls that were repeated under the last one."""
    wanted, _ = trace_ids(execution)
    return {span.name: span for span in spans.get_finished_spans() if span.context.trace_id == wanted}


def test_a_booking_is_one_trace_from_the_request_to_the_taxi_company(
    front: Callable[..., Front], spans: InMemorySpanExporter
) -> None:
    answer = front().book(wish(), traceparent=APP, x_request_id="req-of-the-app")
    assert answer.status == 201
    booking = answer.headers["Location"].rsplit("/", 1)[1]
    found = trace(spans, booking)
    whole, request, taxi = (found[name] for name in ("flow booking", "request createBooking", "taxi POST /rides"))
    assert whole.parent is None
    assert request.parent.span_id == whole.context.span_id
    book = next(span for span in found.values() if span.context.span_id == taxi.parent.span_id)
    assert book.name == "step taxi.book"
    assert book.parent.span_id == whole.context.span_id
    assert request.attributes["status"] == "201"

    own = trace(spans, "req-of-the-app")["request createBooking"]
    (link,) = request.links
    assert link.context.span_id == own.context.span_id
    (link,) = own.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" in APP


def test_a_call_that_fails_says_with_what(front: Callable[..., Front], spans: InMemorySpanExporter) -> None:
    front("F04").book(wish())
    failed = {span.name: span.status.description for span in spans.get_finished_spans() if not span.status.is_ok}
    assert {name for name in failed if name.startswith("taxi")}
    text = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "Rivera" not in text
    assert "+44" not in text


def test_a_request_that_starts_nothing_is_a_trace_of_its_own(
    front: Callable[..., Front], spans: InMemorySpanExporter
) -> None:
    front().ask("GET", "/v1/bookings", x_request_id="req-of-a-list")
    found = trace(spans, "req-of-a-list")
    assert found["request listBookings"].parent is None
    assert len(found) > 1  # with the steps that it took
