"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs deaf to Ctrl-C, and children inherit that; tests of Ctrl-C need hearing ones.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What OpenTelemetry is told from now on."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from engine import telemetry
    from engine.telemetry.otel import OpenTelemetry, provider

    exporter, tracing = InMemorySpanExporter(), provider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    listener = OpenTelemetry(tracing.get_tracer("test"))
    telemetry.listen(listener)
    yield exporter
    telemetry.leave(listener)
