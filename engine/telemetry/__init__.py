"""What the engine tells about its work while it works: counts, durations, spans. Nobody listens unless asked to.

    from engine import telemetry

    telemetry.count("rides", status="CONFIRMED")
    with telemetry.span("taxi createRide", execution=ctx.execution):
        ...

What is only understood when it is over, such as a whole execution, is told then (`lasted`). Names and labels are never
personal data, and labels have few values: each combination is a series of its own. Listeners
are `engine.telemetry.prometheus` and `engine.telemetry.otel`. State that lies in the database (how much waits, for how
long) is not counted but read, when somebody asks: functions declared with `on_scrape` answer `Sample`s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

Labels = Mapping[str, str]


class Sample(NamedTuple):
    """A value that was read: `outbox_age_seconds`, what it means, how much, and its labels."""

    name: str
    help: str
    value: float
    labels: Labels = MappingProxyType({})


class Past(NamedTuple):
    """Something that has been: from `began` to `ended` (seconds since 1970), within that execution, or on its own.

    `whole`: it is all of the execution, so that everything else of it lies within. `error`: the name of what it failed
    with. `caller`: W3C's header `traceparent` of whoever asked for it.
    """

    name: str
    began: float
    ended: float
    execution: str | None = None
    whole: bool = False
    error: str | None = None
    caller: str | None = None


class Listener(Protocol):
    """Takes what is told, from any thread, and returns quickly. What it raises reaches whoever told it."""

    def count(self, name: str, amount: float, labels: Labels) -> None:
        """Something happened."""

    def time(self, name: str, seconds: float, labels: Labels) -> None:
        """Something took that long."""

    def span(self, name: str, execution: str | None, labels: Labels) -> AbstractContextManager[None]:
        """Something that lasts as long as the block; what is raised inside marks it as failed."""

    def lasted(self, past: Past, labels: Labels) -> None:
        """Something is over."""


class Telemetry:
    """Passes everything on to the listeners. One for the whole process."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def listen(self, listener: Listener) -> None:
        """Add a listener."""
        self._listeners = (*self._listeners, listener)

    def leave(self, listener: Listener) -> None:
        """Take a listener away."""
        self._listeners = tuple(other for other in self._listeners if other is not listener)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Something happened, `amount` times."""
        for listener in self._listeners:
            listener.count(name, amount, labels)

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        """Something took `seconds`."""
        for listener in self._listeners:
            listener.time(name, seconds, labels)

    @contextmanager
    def span(self, name: str, /, execution: str | None = None, **labels: str) -> Iterator[None]:
        """Something lasts. All spans of an execution are in one trace, in whatever process they are."""
        with ExitStack() as open_spans:
            for listener in self._listeners:
                open_spans.enter_context(listener.span(name, execution, labels))
            yield

    def lasted(self, past: Past, /, **labels: str) -> None:
        """Something is over."""
        for listener in self._listeners:
            listener.lasted(past, labels)


telemetry: Final = Telemetry()


def trace_ids(execution: str) -> tuple[int, int]:
    """The trace of an execution and the span that all of its spans are below: made from its name, so that nothing has
    to be stored or handed on."""
    digest = hashlib.sha256(b"trace\x1f" + execution.encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:24], "big") or 1


def traceparent(execution: str) -> str:
    """The trace of an execution as W3C's header `traceparent`; sampled if anybody listens."""
    trace, span = trace_ids(execution)
    return f"00-{trace:032x}-{span:016x}-{int(telemetry.active):02x}"
