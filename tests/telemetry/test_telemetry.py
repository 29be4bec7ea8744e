"""What the engine tells: counts and durations for Prometheus, spans for OpenTelemetry, nothing when nobody listens."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from engine import Engine, Sample, StepError, StepRegistry, on_scrape, step, telemetry, traceparent
from engine.runtime.worker import Worker
from engine.telemetry import trace_ids
from engine.telemetry.collector import trace_to_collector
from engine.telemetry.prometheus import Prometheus, prometheus, serve

FLOW = {
    "StartAt": "Good",
    "States": {
        "Good": {"Type": "Task", "Resource": "step:good", "Next": "Bad"},
        "Bad": {
            "Type": "Task",
            "Resource": "step:bad",
            "Catch": [{"ErrorEquals": ["Sad"], "Next": "Done"}],
            "End": True,
        },
        "Done": {"Type": "Succeed"},
    },
}


@step("good")
def good(payload: Any, ctx: Any) -> Any:
    """Works, and does something inside."""
    with telemetry.span("call elsewhere", execution=ctx.execution, operation="look"):
        telemetry.count("things", kind="looked")
    return payload


@step("bad", errors={"Sad": "it is"})
def bad(payload: Any, ctx: Any) -> Any:
    """Never works."""
    raise StepError("Sad", "Ana Rivera")


@on_scrape
def waiting(host: Any) -> Iterator[Sample]:
    yield Sample("things_waiting", "Things that wait.", 3)
    yield Sample("things_by_kind", "Things by kind.", 2, {"kind": "a"})
    yield Sample("things_by_kind", "Things by kind.", 1, {"kind": "b"})


def registry() -> StepRegistry:
    found = StepRegistry()
    found.add(good.__step__, bad.__step__)  # type: ignore[attr-defined]
    found.hooks["scrape"].append(waiting)
    return found


@pytest.fixture
def listening() -> Iterator[Prometheus]:
    made = Prometheus()
    telemetry.listen(made)
    yield made
    telemetry.leave(made)


def run(how: str, name: str) -> Engine:
    engine = Engine("memory:", steps=registry())
    if how == "inline":
        engine.run(FLOW, {}, name=name)
    else:
        engine.start(FLOW, {}, name=name)
        Worker(engine).run_until_idle()
    return engine


@pytest.mark.parametrize("how", ["inline", "worker"])
def test_steps_and_executions_are_counted(how: str, listening: Prometheus) -> None:
    with run(how, "one") as engine:
        text = listening.render(engine.steps.samples(engine.host)).decode()
    assert 'engine_executions_total{flow="flow",status="SUCCEEDED"} 1.0' in text
    assert 'engine_step_seconds_count{outcome="ok",step="good"} 1.0' in text
    assert 'engine_step_seconds_count{outcome="Sad",step="bad"} 1.0' in text
    assert 'things_total{kind="looked"} 1.0' in text
    assert "things_waiting 3.0" in text
    assert 'things_by_kind{kind="a"} 2.0' in text
    assert ("engine_lag_seconds_count 1.0" in text) == (how == "worker")
    assert all(re.fullmatch(r"#.*|[a-z_]+(\{[^}]*\})? \S+", line) for line in text.splitlines())


def test_nobody_listens_unless_asked_to() -> None:
    code = "import engine, sys; assert not engine.telemetry.active; "
    code += "assert not {'prometheus_client', 'opentelemetry'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_metrics_are_served_on_this_machine() -> None:
    port = serve(0, lambda: [Sample("things_waiting", "Things that wait.", 7)])
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert b"things_waiting 7.0" in answer.read()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/elsewhere")
    finally:
        telemetry.leave(prometheus())
        prometheus.cache_clear()


# -- traces --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["inline", "worker"])
def test_all_spans_of_an_execution_are_one_trace(how: str, spans: InMemorySpanExporter) -> None:
    run(how, "one").close()
    run(how, "two").close()
    trace, root = trace_ids("one")
    found = {span.name: span for span in spans.get_finished_spans() if span.context.trace_id == trace}
    assert set(found) == {"flow flow", "step good", "step bad", "call elsewhere"}
    assert found["flow flow"].parent is None
    assert found["flow flow"].context.span_id == root
    assert found["flow flow"].start_time <= found["step good"].start_time
    assert found["flow flow"].end_time >= found["step bad"].end_time - 1_000_000  # the history has milliseconds
    assert found["step good"].parent.span_id == root
    assert found["call elsewhere"].parent.span_id == found["step good"].context.span_id
    assert dict(found["step good"].attributes) == {"execution": "one", "state": "Good", "attempt": "1"}
    assert found["step bad"].status.description == "Sad"
    assert dict(found["flow flow"].attributes) == {"execution": "one", "status": "SUCCEEDED"}
    assert "Rivera" not in "".join(span.to_json() for span in spans.get_finished_spans())


def test_an_execution_that_failed_says_with_what(spans: InMemorySpanExporter) -> None:
    flow = {"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Sad", "Cause": "Ana Rivera"}}}
    with Engine("memory:", steps=registry()) as engine:
        engine.run(flow, {}, name="sad")
    (whole,) = spans.get_finished_spans()
    assert (whole.status.description, whole.attributes["status"]) == ("Sad", "FAILED")
    assert "Rivera" not in whole.to_json()


def test_the_trace_of_an_execution_is_known_everywhere(spans: InMemorySpanExporter) -> None:
    trace, span = trace_ids("one")
    assert traceparent("one") == f"00-{trace:032x}-{span:016x}-01"
    assert trace_ids("one") == (trace, span) != trace_ids("two")


def test_traces_go_nowhere_without_an_address() -> None:
    assert trace_to_collector({}) is False
    assert not telemetry.active
