"""Watching an execution while this process runs it, and telling how it ended."""

from __future__ import annotations

import difflib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from engine.cli import INTERRUPTED
from engine.cli.options import DEFAULT_STORE
from engine.cli.output import Output
from engine.cli.render import head_line, news_lines, status_line
from engine.cli.trace import News, Trace, may_wait
from engine.core.events import HistoryEvent
from engine.errors import ExecutionNotFound
from engine.runtime.engine import Engine
from engine.runtime.simulate import Outcome

MANY: Final = 200
"""Branches and iterations from which on the store is not asked after every event what they wait for."""


class LiveView:
    """Prints what happens to one execution, on stderr. `silent` follows without printing.

    `flow` stands in its first line; `goes_on` there too when the execution had been started before.
    """

    def __init__(
        self, engine: Engine, name: str, *, flow: str | None = None, goes_on: str = "", silent: bool = False
    ) -> None:
        self.engine = engine
        self.name = name
        self.flow = flow
        self.goes_on = goes_on
        self.silent = silent
        self.trace = Trace()
        self.output = Output(err=True)
        self._asked = 0.0

    def __call__(self, events: list[HistoryEvent]) -> None:
        """The engine's observer: these events have just become durable; none when an execution is taken up that has a
        past. A view that breaks never ends a run."""
        try:
            self._show(events)
        except Exception as broken:
            logging.getLogger("engine.cli").debug("the view broke", exc_info=broken)
            if not self.silent:
                self.silent = True
                self.output.line(f"the view broke ({type(broken).__name__}); the run goes on unseen")

    def _show(self, events: list[HistoryEvent]) -> None:
        taken_up = not events
        news = self.trace.add(self.engine.events(self.name) if taken_up else events)
        if self.silent:
            return
        if events and events[0][0] == 1:
            self._tell_head("")
        if taken_up:
            ended = self.trace.status != "RUNNING"
            self._tell_head("has ended before" if ended else self.goes_on)
            news = self._parked()
        elif may_wait(events) and (len(self.trace.lanes) < MANY or time.monotonic() - self._asked > 1):
            news = news + self._parked()
        self._tell(news)

    def _parked(self) -> list[News]:
        # Until when a state waits stands in its frame and in no event.
        self._asked = time.monotonic()
        return self.trace.park(self.engine.describe(self.name)["waiting"])

    def _tell_head(self, text: str) -> None:
        self.output.line(head_line(self.name, self.flow, self.output.style, text))

    def _tell(self, news: list[News]) -> None:
        self.output.lines(news_lines(news, self.output.style))


@contextmanager
def interruptible(view: LiveView, store: str) -> Iterator[None]:
    """Ctrl-C ends this process and not the execution: say how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        if store == "memory:":
            text = "interrupted; the store was memory:, nothing is left of the execution"
        else:
            text = f"interrupted; the execution is durable, this goes on with it: engine resume {view.name}"
            text += store_flag(store)
        view.output.line(text)
        click.get_current_context().exit(INTERRUPTED)


def tell_end(view: LiveView, outcome: Outcome, store: str, *, as_json: bool, quiet: bool) -> int:
    """Print how the execution ended; answers the exit code."""
    if as_json:
        Output().json(outcome_json(outcome))
        return exit_code(outcome)
    if outcome.status != "SUCCEEDED" or not quiet:
        view.output.line(status_line(view.trace, view.output.style))
    if outcome.status == "RUNNING":
        view.output.line("it waits for an answer from outside (a callback) and goes on when that comes")
    if outcome.status == "SUCCEEDED":
        Output().json(outcome.output)
    if not quiet and store != "memory:":
        flag = store_flag(store)
        hint = f"look closer: engine show {outcome.name}{flag}   engine history {outcome.name}{flag}"
        view.output.line(view.output.style.paint(hint, "faint"))
    return exit_code(outcome)


def exit_code(outcome: Outcome) -> int:
    """0 when it succeeded or still waits for somebody, 1 when it ended otherwise."""
    return 0 if outcome.status in ("SUCCEEDED", "RUNNING") else 1


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as one document: {name, status, output} or {name, status, error, cause}."""
    document: dict[str, Any] = {"name": outcome.name, "status": outcome.status}
    if outcome.status == "SUCCEEDED":
        document["output"] = outcome.output
    elif outcome.status != "RUNNING":
        document |= {"error": outcome.error, "cause": outcome.cause}
    return document


def store_flag(store: str) -> str:
    """What a further command needs to find the same store."""
    return "" if store == os.environ.get("ENGINE_STORE", DEFAULT_STORE) else f" --store {store}"


@contextmanager
def known(engine: Engine, name: str) -> Iterator[None]:
    """Adds the closest name there is to what is said about an unknown one."""
    try:
        yield
    except ExecutionNotFound as problem:
        close = difflib.get_close_matches(name, [found.name for found in engine.list(limit=1000)], n=1)
        raise ExecutionNotFound(f"{problem}; did you mean {close[0]!r}?" if close else str(problem)) from None
