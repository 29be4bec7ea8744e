"""Traces for OpenTelemetry, when the extra `otel` is installed.

All spans of an execution belong to one trace, whichever process makes them: the trace's id is made from the execution's
name (`trace_ids`), so nothing has to be handed on through the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from engine.telemetry import Labels, telemetry, trace_ids

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class OpenTelemetry:
    """A Listener that makes spans with a tracer of OpenTelemetry."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def count(self, name: str, amount: float, labels: Labels) -> None:
        """See Listener. Counts are Prometheus's."""

    def time(self, name: str, seconds: float, labels: Labels) -> None:
        """See Listener. Durations are Prometheus's."""

    @contextmanager
    def span(self, name: str, execution: str | None, labels: Labels) -> Iterator[None]:
        """See Listener. A span inside another one is its child; the first one of an execution here is its trace's."""
        from opentelemetry import trace

        attributes = dict(labels)
        context = None
        if execution is not None:
            attributes["execution"] = execution
            trace_id, span_id = trace_ids(execution)
            if trace.get_current_span().get_span_context().trace_id != trace_id:
                flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
                parent = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
                context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        with self._tracer.start_as_current_span(
            name, context=context, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as problem:
                # The name alone: the text of an exception may quote what nobody is to read.
                span.set_status(trace.Status(trace.StatusCode.ERROR, type(problem).__name__))
                raise


def trace_to_collector(settings: Mapping[str, str]) -> bool:
    """Send traces to OTEL_EXPORTER_OTLP_ENDPOINT; False without that setting, or without the extra."""
    if not any(settings.get(name) for name in ENDPOINTS) or find_spec("opentelemetry") is None:
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    telemetry.listen(OpenTelemetry(provider.get_tracer("engine")))
    return True
