"""From history events to what happened: states that were entered, their tries, branches and iterations. Pure.

Events carry no path of their own, only the id of the event before them in their path. This file follows those ids:

* a state entered right behind a ParallelStateStarted begins a branch, a MapIterationStarted begins an iteration;
* what a Parallel or Map records about itself (its end, its next try) follows an event of one of its children, so its
  lane is found by climbing from there;
* everything else happens in the lane of the event before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from engine.core.events import HistoryEvent
from engine.values import JSON

RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
CAUGHT: Final = "CAUGHT"
FAILED: Final = "FAILED"
ABORTED: Final = "ABORTED"
"""How an entry into a state stands: going on, left with a result, with an error that was caught or one that was not,
or ended together with the fork or execution around it."""

PARKED: Final = "PARKED"
"""What a state waits for that would call a paused step."""
FORKS: Final = ("Parallel", "Map")
STARTING: Final = ("flow", "states")
"""Types of resources that start other executions."""
TOLD_BY_STORE: Final = ("Submitted", "Failed", "TimedOut", "WaitStateEntered", "FailStateEntered", "ChoiceStateEntered")
"""Endings of event types after which a frame may wait for a moment that no event names: a Wait, a callback, a retry."""


def may_wait(events: Iterable[HistoryEvent]) -> bool:
    """Whether some frame may now wait for a moment that no event names: `Engine.describe` knows it."""
    return any(kind.endswith(TOLD_BY_STORE) for _, _, _, kind, _ in events)


class Failure(NamedTuple):
    """An error name and a cause, either of which may be unknown."""

    error: str | None
    cause: str | None


class Waiting(NamedTuple):
    """What a state waits for: TIMER, RETRY, TASK or PARKED; until when in seconds since the epoch (None: for ever)."""

    kind: str
    until: float | None


class Try:
    """One attempt of a state. `lanes` are the branches or iterations that it started, `size` how many a Map has;
    `child` is the name of the execution that it started."""

    __slots__ = ("child", "ended", "failure", "lanes", "note", "size", "started")

    def __init__(self, started: float, size: int | None = None) -> None:
        self.started = started
        self.size = size
        self.ended: float | None = None
        self.failure: Failure | None = None
        self.note: str | None = None
        self.child: str | None = None
        self.lanes: list[Lane] = []


class Visit:
    """One entry into a state. `next` is where a caught error led to; times are seconds since the epoch."""

    __slots__ = ("ended", "entered", "kind", "lane", "name", "next", "over", "status", "submitted", "tries", "waiting")

    def __init__(self, name: str, kind: str, lane: Lane, entered: float) -> None:
        self.name = name
        self.kind = kind
        self.lane = lane
        self.entered = entered
        self.ended: float | None = None
        self.status = RUNNING
        self.tries: list[Try] = []
        self.next: str | None = None
        self.waiting: Waiting | None = None
        self.submitted = False
        # A Parallel or Map that has failed for good; its lane can still have to end.
        self.over = False

    @property
    def failure(self) -> Failure | None:
        """What went wrong in the latest try, if something did."""
        return self.tries[-1].failure if self.tries else None

    def forking(self) -> bool:
        """Whether this is a Parallel or Map with children on their way."""
        return self.kind in FORKS and bool(self.tries) and self.tries[-1].ended is None


class Lane:
    """One running path: the root, a branch, an iteration.

    `path` is the frame's; `failed` once an error left it; `latest` is the id and `last` the time of its latest event.
    """

    __slots__ = ("failed", "last", "latest", "over", "parent", "path", "visits")

    def __init__(self, path: str, parent: Visit | None) -> None:
        self.latest = 0
        self.last = 0.0
        self.path = path
        self.parent = parent
        self.visits: list[Visit] = []
        self.failed = False
        self.over = False

    @property
    def visit(self) -> Visit | None:
        """The state that was entered last."""
        return self.visits[-1] if self.visits else None

    @property
    def depth(self) -> int:
        """0 for the root, 1 for a branch of it, …"""
        return self.path.count(".")


class News(NamedTuple):
    """Something to tell while it happens: a visit has "forked", has "ended", or is "parked"."""

    what: str
    visit: Visit


class Trace:
    """What an execution did so far; `add` its events in order, in any number of portions."""

    def __init__(self) -> None:
        self.root = Lane("0", None)
        self.status = "RUNNING"
        self.started = 0.0
        self.stopped: float | None = None
        self.output: JSON = None
        self.failure: Failure | None = None
        self.lanes: dict[str, Lane] = {"0": self.root}
        self._of_event: dict[int, Lane] = {0: self.root}
        self._forks: set[int] = set()
        self._news: list[News] = []

    @classmethod
    def of(cls, events: Iterable[HistoryEvent]) -> Trace:
        """The trace of a whole history."""
        trace = cls()
        trace.add(events)
        return trace

    def add(self, events: Iterable[HistoryEvent]) -> list[News]:
        """Take over more events; answers what is worth telling, in order."""
        self._news = []
        for number, previous, time, kind, details in events:
            lane = self._of_event[number] = self._take(number, previous, time, kind, details or {})
            lane.last, lane.latest = time, number
        return self._news

    def park(self, waiting: Sequence[Mapping[str, JSON]]) -> list[News]:
        """Take over what the frames wait for, as `Engine.describe` tells it; answers the visits that are new there."""
        self._news = []
        for frame in waiting:
            lane = self.lanes.get(frame["path"])
            visit = lane.visit if lane is not None else None
            if visit is None or visit.status != RUNNING or frame["for"] not in ("TIMER", "RETRY", "TASK"):
                continue
            if frame["for"] == "TASK" and not visit.submitted and "parked" not in frame:
                continue
            until = None if frame["until"] is None else datetime.fromisoformat(frame["until"]).timestamp()
            parked = Waiting(frame["for"] if "parked" not in frame else PARKED, until)
            if visit.waiting == parked:
                continue
            visit.waiting = parked
            if parked.kind == "RETRY" and visit.forking():
                # What made it fail came last of all.
                failed = max(visit.tries[-1].lanes, key=lambda lane: lane.latest)
                self._end_try(visit, failed, failed.last)
            self._news.append(News("parked", visit))
        return self._news

    # -- one event ---------------------------------------------------------------------------------------------

    def _take(self, number: int, previous: int, time: float, kind: str, details: Mapping[str, JSON]) -> Lane:
        """Take over one event; answers its lane."""
        before = self._of_event.get(previous, self.root)
        if kind.startswith("Execution"):
            self._execution(time, kind, details)
            return self.root
        if kind.endswith("StateEntered"):
            return self._enter(before, previous, time, kind.removesuffix("StateEntered"), details["name"])
        if kind == "MapIterationStarted":
            return self._open_lane(self._climb(before, lambda visit: visit.name == details["name"]))
        if kind.startswith("MapIteration"):
            before.over, before.failed = True, kind == "MapIterationFailed"
            return before
        if kind in ("ParallelStateStarted", "MapStateStarted"):
            self._forks.add(number)
            return self._fork(before, time, kind.removesuffix("StateStarted"), details.get("length"))
        if kind.endswith(("StateSucceeded", "StateFailed")):
            return self._join(before, time, *kind.split("State"))
        if kind.endswith("StateExited"):
            return self._exit(self._climb(before, lambda visit: visit.name == details["name"]), time, details)
        if kind == "EvaluationFailed":
            # AWS lets it follow the event before the state's entry; the entry itself stands right before it.
            entered = self._of_event.get(number - 1, before)
            fits = _named(details.get("state"))
            own = entered.visit if entered.visit is not None and fits(entered.visit) else None
            visit = own if own is not None and own.status == RUNNING else self._climb(before, fits)
            return self._evaluation_failed(visit, time, details)
        self._call(before, time, kind, details)
        return before

    def _climb(self, lane: Lane, fits: Callable[[Visit], bool]) -> Visit:
        """The visit that fits and is going on, in this lane or the nearest one around it."""
        while True:
            visit = lane.visit
            if visit is not None and visit.status == RUNNING and fits(visit):
                return visit
            assert lane.parent is not None, "every event has a state that it belongs to"
            lane = lane.parent.lane

    def _open_lane(self, visit: Visit) -> Lane:
        lanes = visit.tries[-1].lanes
        lane = Lane(f"{visit.lane.path}.{len(lanes)}", visit)
        lanes.append(lane)
        self.lanes[lane.path] = lane
        return lane

    def _enter(self, lane: Lane, previous: int, time: float, kind: str, name: str) -> Lane:
        current = lane.visit
        if previous in self._forks and current is not None and current.kind == "Parallel":
            lane = self._open_lane(current)
        elif current is not None and current.status == CAUGHT:
            current.next = name
        lane.visits.append(Visit(name, kind, lane, time))
        return lane

    def _exit(self, visit: Visit, time: float, details: Mapping[str, JSON]) -> Lane:
        failed = visit.over or visit.failure is not None
        output = details.get("output")
        if failed and isinstance(output, dict) and isinstance(output.get("Error"), str):
            cause = output.get("Cause")
            _explain(visit, Failure(output["Error"], cause if isinstance(cause, str) else None))
        self._end(visit, CAUGHT if failed else SUCCEEDED, time)
        return visit.lane

    def _fork(self, before: Lane, time: float, kind: str, size: int | None) -> Lane:
        """A Parallel or Map begins a try; behind a failed child it is the next one."""
        visit = self._climb(before, lambda found: found.kind == kind and not found.over)
        if visit.tries:
            self._end_try(visit, before, before.last)
        visit.waiting = None
        visit.tries.append(Try(time, size))
        self._news.append(News("forked", visit))
        return visit.lane

    def _join(self, before: Lane, time: float, kind: str, ending: str) -> Lane:
        """A Parallel or Map has all its results, or has failed for good."""
        visit = self._climb(before, lambda found: found.kind == kind and not found.over)
        visit.over = ending == "Failed"
        self._end_try(visit, before if visit.over else None, time)
        return visit.lane

    def _evaluation_failed(self, visit: Visit, time: float, details: Mapping[str, JSON]) -> Lane:
        if not visit.tries or visit.failure is not None:
            visit.tries.append(Try(time))
        visit.waiting = None
        attempt = visit.tries[-1]
        attempt.failure = Failure(details.get("error"), details.get("cause"))
        if visit.kind in FORKS:
            self._end_try(visit, None, time)
        attempt.ended = time
        return visit.lane

    def _call(self, lane: Lane, time: float, kind: str, details: Mapping[str, JSON]) -> None:
        """An event of a call: of a step, a function, an activity or a service."""
        visit = lane.visit
        if visit is None:
            return
        if kind.endswith("Scheduled"):
            visit.waiting, visit.submitted = None, False
            visit.tries.append(Try(time))
        elif kind.endswith("Submitted"):
            visit.submitted = True
            if visit.tries:
                visit.tries[-1].child = _child(details)
        elif kind.endswith(("Succeeded", "Failed", "TimedOut")) and visit.tries:
            attempt = visit.tries[-1]
            attempt.ended, attempt.note = time, details.get("note")
            attempt.child = attempt.child or _child(details)
            visit.waiting = None
            if not kind.endswith("Succeeded"):
                attempt.failure = Failure(details.get("error"), details.get("cause"))

    def _execution(self, time: float, kind: str, details: Mapping[str, JSON]) -> None:
        if kind == "ExecutionStarted":
            self.started = time
            return
        if kind == "ExecutionRedriven":
            self.status, self.stopped, self.failure = "RUNNING", None, None
            _reopen(self.root, time)
            return
        statuses = {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Aborted": "ABORTED", "TimedOut": "TIMED_OUT"}
        self.status = statuses.get(kind.removeprefix("Execution"), self.status)
        if self.status == "RUNNING":
            return
        self.stopped = time
        self.output = details.get("output")
        if self.status != "SUCCEEDED":
            self.failure = Failure(details.get("error"), details.get("cause"))
            self._end_lane(self.root, time, failed=self.status == "FAILED")
            if self.root.visit is not None and self.status == "FAILED":
                _explain(self.root.visit, self.failure)

    # -- endings -----------------------------------------------------------------------------------------------

    def _end(self, visit: Visit, status: str, time: float) -> None:
        visit.status, visit.ended, visit.waiting = status, time, None
        if visit.forking():
            self._end_try(visit, None, time)
        self._news.append(News("ended", visit))

    def _end_try(self, visit: Visit, failing: Lane | None, time: float) -> None:
        """The latest try of a Parallel or Map is over, failed when one of its lanes did."""
        attempt = visit.tries[-1]
        attempt.ended = attempt.ended or time
        while failing is not None and failing.parent is not visit:
            failing = failing.parent.lane if failing.parent is not None else None
        for lane in attempt.lanes:
            self._end_lane(lane, time, failed=lane is failing)
        if failing is not None:
            inner = failing.visit
            attempt.failure = (inner.failure if inner is not None else None) or Failure(None, None)

    def _end_lane(self, lane: Lane, time: float, *, failed: bool) -> None:
        lane.over, lane.failed = True, lane.failed or failed
        visit = lane.visit
        if visit is not None and visit.status == RUNNING:
            self._end(visit, FAILED if failed else ABORTED, time)


def _reopen(lane: Lane, time: float) -> None:
    """A redrive goes on with what did not end well."""
    visit = lane.visit
    if visit is None or visit.status not in (FAILED, ABORTED):
        return
    lane.over = lane.failed = False
    if visit.kind == "Fail":
        return  # it is entered again
    visit.status, visit.ended, visit.over = RUNNING, None, False
    attempt = visit.tries[-1] if visit.tries else None
    if visit.kind in FORKS and attempt is not None and attempt.lanes:
        attempt.ended = attempt.failure = None
        for inner in attempt.lanes:
            _reopen(inner, time)
    elif visit.kind != "Task" and attempt is not None:
        visit.tries.append(Try(time))


def _named(name: str | None) -> Callable[[Visit], bool]:
    return lambda visit: name is None or visit.name == name


def _explain(visit: Visit, failure: Failure) -> None:
    """Give the failure to the states that failed without an event that names it, as a Fail state does."""
    while True:
        if not visit.tries:
            visit.tries.append(Try(visit.entered))
        attempt = visit.tries[-1]
        if attempt.failure is not None and attempt.failure.error is not None:
            return
        attempt.ended, attempt.failure = attempt.ended or visit.ended, failure
        inner = next((lane.visit for lane in attempt.lanes if lane.failed), None)
        if inner is None:
            return
        visit = inner


def _child(details: Mapping[str, JSON]) -> str | None:
    """The name of the execution that a call has started, from its receipt or result."""
    output = details.get("output")
    arn = output.get("ExecutionArn") if details.get("resourceType") in STARTING and isinstance(output, dict) else None
    return arn.rpartition(":")[2] if isinstance(arn, str) else None
