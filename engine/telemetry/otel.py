"""Traces for OpenTelemetry, when the extra `otel` is installed.

All spans of an execution belong to one trace, whichever process makes them: the trace's id is made from the execution's
name (`trace_ids`), so nothing has to be handed on through the store. So is the id of the span of the execution as a
whole, which is made when it has ended, and which all others are below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from engine.telemetry import Labels, Past, trace_ids

TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
SAMPLED: Final = trace.TraceFlags(trace.TraceFlags.SAMPLED)

_given: ContextVar[tuple[int, int] | None] = ContextVar("given", default=None)


class TraceIds(RandomIdGenerator):
    """Random ids, but for the span of a whole execution."""

    def generate_trace_id(self) -> int:
        """The next trace's id."""
        given = _given.get()
        return given[0] if given is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """The next span's id."""
        given = _given.get()
        return given[1] if given is not None else super().generate_span_id()


def provider() -> TracerProvider:
    """A provider of tracers that can make the spans of whole executions."""
    return TracerProvider(id_generator=TraceIds())


class OpenTelemetry:
    """A Listener that makes spans with a tracer of `provider`."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def count(self, name: str, amount: float, labels: Labels) -> None:
        """See Listener. Counts are Prometheus's."""

    def time(self, name: str, seconds: float, labels: Labels) -> None:
        """See Listener. Durations are Prometheus's."""

    @contextmanager
    def span(self, name: str, execution: str | None, labels: Labels) -> Iterator[None]:
        """See Listener. A span inside another one is its child; the first one of an execution here is its trace's."""
        attributes = dict(labels)
        context = None
        if execution is not None:
            attributes["execution"] = execution
            trace_id, _ = trace_ids(execution)
            if trace.get_current_span().get_span_context().trace_id != trace_id:
                context = _below(*trace_ids(execution))
        with self._tracer.start_as_current_span(
            name, context=context, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as problem:
                # The name alone: the text of an exception may quote what nobody is to read.
                error = getattr(problem, "error", None)
                _fail(span, error if isinstance(error, str) else type(problem).__name__)
                raise

    def lasted(self, past: Past, labels: Labels) -> None:
        """See Listener."""
        attributes, ids = dict(labels), None
        if past.execution is not None:
            attributes["execution"] = past.execution
            ids = trace_ids(past.execution)
        caller = TRACEPARENT.fullmatch(past.caller or "")
        links = [trace.Link(_remote(int(caller[1], 16), int(caller[2], 16)))] if caller else None
        given = _given.set(ids if past.whole else None)
        try:
            span = self._tracer.start_span(
                past.name,
                context=Context() if ids is None or past.whole else _below(*ids),
                attributes=attributes,
                links=links,
                start_time=int(past.began * 1e9),
            )
        finally:
            _given.reset(given)
        if past.error is not None:
            _fail(span, past.error)
        span.end(int(past.ended * 1e9))


def _remote(trace_id: int, span_id: int) -> trace.SpanContext:
    return trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=SAMPLED)


def _below(trace_id: int, span_id: int) -> Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(_remote(trace_id, span_id)), Context())


def _fail(span: trace.Span, error: str) -> None:
    span.set_status(trace.Status(trace.StatusCode.ERROR, error))
