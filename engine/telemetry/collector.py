"""Where traces are sent: to a collector that takes OpenTelemetry's protocol over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from engine.telemetry import telemetry

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def trace_to_collector(settings: Mapping[str, str]) -> bool:
    """Send traces to OTEL_EXPORTER_OTLP_ENDPOINT; False without that setting, or without the extra `otel`."""
    if not any(settings.get(name) for name in ENDPOINTS) or find_spec("opentelemetry") is None:
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from engine.telemetry.otel import OpenTelemetry, provider

    tracing = provider()
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    telemetry.listen(OpenTelemetry(tracing.get_tracer("engine")))
    return True
