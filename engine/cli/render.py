"""A trace as text: lines while an execution runs, and the tree of one that ran. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine.cli.style import Style, duration, failure_text, one_line
from engine.cli.trace import ABORTED, CAUGHT, FAILED, FORKS, PARKED, RUNNING, SUCCEEDED, Lane, News, Trace, Try, Visit

NAME_WIDTH: Final = 32
"""Columns for indentation, label and state name; a longer one pushes the rest to the right."""

SHOWN_LANES: Final = 10
"""Branches or iterations of one state that the tree shows unless everything is asked for."""

STATUS_MARK: Final = {SUCCEEDED: "done", CAUGHT: "caught", FAILED: "failed", ABORTED: "ended", RUNNING: "runs"}


def news_lines(news: Iterable[News], style: Style) -> list[str]:
    """What has just happened, one line each: states that ended, forks that began, waits and retries."""
    return [line for what, visit in news for line in _news(what, visit, style)]


def _news(what: str, visit: Visit, style: Style) -> Iterator[str]:
    if what == "ended":
        if visit.status != ABORTED:
            yield _row(visit, STATUS_MARK[visit.status], _took(visit), remark(visit, style), style)
    elif what == "forked":
        yield _row(visit, "fork", "", _fork_text(visit), style)
    elif visit.waiting is not None and visit.waiting.kind == "RETRY":
        attempt = visit.tries[-1] if visit.tries else Try(visit.entered)
        yield _row(visit, "retry", _try_took(attempt), retry_text(visit, style), style)
    else:
        yield _row(visit, "waits", "", waiting_text(visit, style), style)


def _fork_text(visit: Visit) -> str:
    attempt = visit.tries[-1]
    text = f"{len(attempt.lanes)} branches" if attempt.size is None else f"{attempt.size:,} iterations"
    return text if len(visit.tries) < 2 else f"{text}, try {len(visit.tries)}"


def tree_lines(trace: Trace, style: Style, *, full: bool = False) -> list[str]:
    """Every state that was entered, in order, with its offset from the start, its tries, and what ran inside it."""
    return list(_lane_lines(trace.root, trace.started, style, full))


def _lane_lines(lane: Lane, start: float, style: Style, full: bool) -> Iterator[str]:
    for visit in lane.visits:
        yield _offset(visit.entered - start, style) + _row(
            visit, _mark(visit), _took(visit), remark(visit, style) or _present(visit, style), style
        )
        last = len(visit.tries) - 1
        for number, attempt in enumerate(visit.tries):
            retried = attempt.failure is not None and (number < last or visit.status == RUNNING)
            if retried or (number > 0 and attempt.lanes):
                yield _try_line(visit, number, start, style)
            yield from _children(visit, attempt, start, style, full)


def _mark(visit: Visit) -> str:
    if visit.status != RUNNING or visit.waiting is None:
        return STATUS_MARK[visit.status]
    return "retry" if visit.waiting.kind == "RETRY" else "waits"


def _present(visit: Visit, style: Style) -> str:
    """What an open state does now."""
    if visit.status != RUNNING:
        return ""
    if visit.waiting is None:
        return style.paint("has not ended", "faint")
    if visit.waiting.kind == "RETRY":
        return style.paint(_until(visit, style), "retry")
    return waiting_text(visit, style)


def _children(visit: Visit, attempt: Try, start: float, style: Style, full: bool) -> Iterator[str]:
    """The branches or iterations of one try; of many, the first ones and those that did not end well."""
    shown, hidden = attempt.lanes, 0
    if not full and len(shown) > SHOWN_LANES:
        remarkable = [lane for lane in shown[SHOWN_LANES:] if lane.failed or not lane.over][:SHOWN_LANES]
        hidden = len(shown) - SHOWN_LANES - len(remarkable)
        shown = shown[:SHOWN_LANES] + remarkable
    for lane in shown:
        yield from _lane_lines(lane, start, style, full)
    if hidden:
        kind = "iterations" if visit.kind == "Map" else "branches"
        indent = " " * (OFFSET_WIDTH + 4 + 2 * visit.lane.depth)
        yield indent + style.paint(f"{style.ellipsis} {hidden:,} more {kind}; --full shows all", "faint")


def _try_line(visit: Visit, number: int, start: float, style: Style) -> str:
    """A try beneath its state."""
    attempt = visit.tries[number]
    last = number + 1 == len(visit.tries)
    text = "" if attempt.failure is None or (last and visit.status != RUNNING) else _failure(attempt, style)
    if not last:
        text += f"; tried again after {duration(visit.tries[number + 1].started - (attempt.ended or attempt.started))}"
        if attempt.note:
            text += f"; {one_line(attempt.note)}"
    indent = "  " * (visit.lane.depth + 1)
    label = f"{indent}try {number + 1}".ljust(NAME_WIDTH)
    took = f"{_try_took(attempt):>{TIME_WIDTH}}"
    mark = "fork" if last and attempt.lanes else "retry"
    return f"{_offset(attempt.started - start, style)}{style.mark(mark)} {label} {took}  {text}".rstrip()


# -- one row ---------------------------------------------------------------------------------------------------

TIME_WIDTH: Final = 10
OFFSET_WIDTH: Final = 12


def _row(visit: Visit, mark: str, took: str, text: str, style: Style) -> str:
    """Mark, indented name, duration, remark."""
    depth = visit.lane.depth
    label = "" if depth == 0 else f"[{visit.lane.path.partition('.')[2]}] "
    name = f"{'  ' * depth}{label}{one_line(visit.name)}"
    return f"{style.mark(mark)} {name:<{NAME_WIDTH}} {took:>{TIME_WIDTH}}  {text}".rstrip()


def _offset(seconds: float, style: Style) -> str:
    text = f"+{seconds:.3f}"
    return f"{style.paint(text.rjust(OFFSET_WIDTH - 2), 'faint')}  "


def _took(visit: Visit) -> str:
    return "" if visit.ended is None else duration(visit.ended - visit.entered)


def _try_took(attempt: Try) -> str:
    return "" if attempt.ended is None else duration(attempt.ended - attempt.started)


def remark(visit: Visit, style: Style) -> str:
    """What is to be said of a state that has ended: its failure, how many tries it took, its note."""
    parts: list[str] = []
    if visit.status == CAUGHT:
        parts.append(f"caught {_failure(visit.tries[-1] if visit.tries else None, style)}")
        if visit.next is not None:
            parts.append(f"goes on with {one_line(visit.next)}")
    elif visit.status == FAILED:
        parts.append(_failure(visit.tries[-1] if visit.tries else None, style))
    elif visit.status == ABORTED:
        parts.append(style.paint("aborted", "faint"))
    tried = len(visit.tries)
    if tried > 1 and visit.status != RUNNING:
        parts.append(f"{tried} tries")
    if visit.tries and visit.tries[-1].note:
        parts.append(one_line(visit.tries[-1].note))
    if visit.tries and visit.tries[-1].child and visit.status != RUNNING:
        parts.append(f"execution {one_line(visit.tries[-1].child)}")
    return "; ".join(parts)


def _failure(attempt: Try | None, style: Style) -> str:
    failure = attempt.failure if attempt is not None else None
    if failure is None:
        return "an error"
    text = failure_text(failure.error, failure.cause)
    return text if style.width is None else style.cut(text, style.width)


def retry_text(visit: Visit, style: Style) -> str:
    """`try 1 failed: Error: cause; tries again at 12:30:05 (in 2.0 s)`."""
    attempt = visit.tries[-1] if visit.tries else None
    text = f"try {len(visit.tries)} failed: {_failure(attempt, style)}; {_until(visit, style)}"
    return text if attempt is None or not attempt.note else f"{text}; {one_line(attempt.note)}"


def _until(visit: Visit, style: Style) -> str:
    """When a retry comes."""
    waiting = visit.waiting
    if waiting is None or waiting.until is None:
        return "tries again"
    before = (visit.tries[-1].ended if visit.tries else None) or visit.entered
    return f"tries again at {style.moment(waiting.until, before)} (in {duration(waiting.until - before)})"


def waiting_text(visit: Visit, style: Style) -> str:
    """`waits until 12:30:05`, or for a callback."""
    waiting = visit.waiting
    if waiting is None:
        return ""
    moment = "" if waiting.until is None else style.moment(waiting.until, visit.entered)
    if waiting.kind == PARKED:
        return "parked: what it calls is paused"
    if waiting.kind == "TASK":
        child = visit.tries[-1].child if visit.tries else None
        what = "a callback" if child is None else f"execution {one_line(child)}"
        return f"waits for {what}" + (f", at most until {moment}" if moment else "")
    return f"waits until {moment}" if moment else "waits"


# -- the whole -------------------------------------------------------------------------------------------------


def head_line(name: str, flow: str | None, style: Style, text: str = "") -> str:
    """What runs: the first line of every view."""
    parts = [style.paint(one_line(name), "strong"), style.paint(one_line(flow or ""), "faint"), text]
    return "  ".join(part for part in parts if part)


def status_line(trace: Trace, style: Style) -> str:
    """How it ended: `✓ SUCCEEDED in 2.3 s`, `✗ FAILED after 2.3 s: Error: cause (in Book)`."""
    marks = {"SUCCEEDED": "done", "FAILED": "failed", "TIMED_OUT": "failed", "ABORTED": "ended", "RUNNING": "waits"}
    mark = marks[trace.status]
    line = f"{style.mark(mark)} {style.paint(trace.status, mark)}"
    if trace.stopped is None:
        return line
    took = duration(trace.stopped - trace.started)
    if trace.status == "SUCCEEDED":
        return f"{line} in {took}"
    line += f" after {took}"
    failure = trace.failure
    if failure is not None and (failure.error or failure.cause):
        line += f": {failure_text(failure.error, failure.cause)}"
    place = culprit(trace)
    return line if place is None else f"{line} (in {one_line(place.name)})"


def culprit(trace: Trace) -> Visit | None:
    """The innermost state whose failure ended the execution."""
    visit = trace.root.visit
    if trace.status != "FAILED" or visit is None or visit.status != FAILED:
        return None
    while visit.kind in FORKS and visit.tries:
        failed: Sequence[Lane] = [lane for lane in visit.tries[-1].lanes if lane.failed and lane.visit is not None]
        if not failed or failed[0].visit is None:
            break
        visit = failed[0].visit
    return visit
