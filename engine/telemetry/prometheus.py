"""Counts and durations for Prometheus, on `prometheus_client`: the text of `/metrics`, and a small server for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from threading import Lock
from typing import Any, Final

from engine.telemetry import Labels, Past, Sample, telemetry

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HELP: Final = {
    "http_request_seconds": "How long requests take, by operation and status.",
    "engine_executions": "Executions that have ended here, by flow and status.",
    "engine_step_seconds": "How long calls of steps take, by step and outcome (ok, or the error's name).",
    "engine_lag_seconds": "How long an execution that was due had waited when a worker took it up.",
}


class Prometheus:
    """A Listener that keeps counts and durations for `render`."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry

        self.registry: Any = CollectorRegistry()
        self._known: dict[str, Any] = {}
        self._lock = Lock()

    def count(self, name: str, amount: float, labels: Labels) -> None:
        """See Listener."""
        from prometheus_client import Counter

        self._metric(Counter, name, labels).inc(amount)

    def time(self, name: str, seconds: float, labels: Labels) -> None:
        """See Listener."""
        from prometheus_client import Histogram

        self._metric(Histogram, name, labels, buckets=BUCKETS).observe(seconds)

    def span(self, name: str, execution: str | None, labels: Labels) -> AbstractContextManager[None]:
        """See Listener. Spans are no metrics."""
        return nullcontext()

    def lasted(self, past: Past, labels: Labels) -> None:
        """See Listener. Spans are no metrics."""

    def render(self, samples: Iterable[Sample] = ()) -> bytes:
        """The text of `/metrics`: what was counted here, and what was read."""
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        read = CollectorRegistry()
        gauges: dict[str, Any] = {}
        for sample in samples:
            if sample.name not in gauges:
                gauges[sample.name] = Gauge(sample.name, sample.help, tuple(sample.labels), registry=read)
            gauge = gauges[sample.name]
            (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)
        return generate_latest(self.registry) + generate_latest(read)

    def _metric(self, kind: Any, name: str, labels: Labels, **more: Any) -> Any:
        metric = self._known.get(name)
        if metric is None:
            with self._lock:
                metric = self._known.get(name)
                if metric is None:
                    about = HELP.get(name, name.replace("_", " "))
                    metric = kind(name, about, tuple(sorted(labels)), registry=self.registry, **more)
                    self._known[name] = metric
        return metric.labels(**labels) if labels else metric


@cache
def prometheus() -> Prometheus:
    """The process's own listener, listening from the first call on."""
    made = Prometheus()
    telemetry.listen(made)
    return made


def serve(port: int, read: Callable[[], Iterable[Sample]], host: str = "127.0.0.1") -> int:
    """Answer `GET /metrics` in a thread of its own; the port, which is a free one for 0."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    here = prometheus()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            body = here.render(read()) if found else b"see /metrics\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_address[1])
