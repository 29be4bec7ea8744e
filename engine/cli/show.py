"""`engine show`."""

from __future__ import annotations

from typing import Any, Final

import click

from engine.cli.live import known
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.cli.render import head_line, status_line, tree_lines
from engine.cli.style import Style, json_text, one_line
from engine.cli.trace import Lane, Trace, Try, Visit
from engine.runtime.engine import Engine
from engine.states.moments import format_timestamp

OUTPUT_LINES: Final = 20
"""Lines of the output that are shown unless everything is asked for."""


@click.command()
@click.argument("name")
@click.option("--full", is_flag=True, help="Nothing shortened: all iterations, whole causes, the whole output.")
@store_option
@json_option
@common_options
def show(name: str, full: bool, store: str, as_json: bool) -> None:
    """Show what an execution did, state by state.

    Each state has its offset from the start and its duration; under it its failed tries, and the states of its
    branches and iterations. Of a caught error it says which one it was and where it led. Of a running execution
    it says what it waits for. A state that has started another execution names it, and an execution that another
    one has started names that one: look at either with engine show. A distributed Map whose children are executions
    of their own says how many have ended how; list them with engine list --map-of NAME.

    \b
    Examples:
      engine show order-42
      engine show order-42 --full
      engine show order-42 --json
    """
    require_store(store)
    with Engine(store) as engine, known(engine, name):
        described = engine.describe(name)
        trace = Trace.of(engine.events(name))
        trace.park(described["waiting"])
    output = Output(width=None) if full else Output()
    if as_json:
        output.json({**described, "states": trace_json(trace)})
    else:
        output.lines(show_lines(described, trace, output.style, full=full))


def show_lines(described: dict[str, Any], trace: Trace, style: Style, *, full: bool = False) -> list[str]:
    """The whole view. Pure."""
    began = f"began {style.moment(trace.started)}"
    if described["paused"] is not None:
        began += "  (paused)"
    lines = [head_line(described["name"], described["file"] or described["flow"], style, began)]
    if "parent" in described:
        lines.append(f"started by execution {one_line(described['parent'])}")
    lines.append("")
    lines += tree_lines(trace, style, full=full)
    lines += [map_run_line(run) for run in described.get("map_runs", ())]
    lines += ["", status_line(trace, style)]
    if trace.status == "SUCCEEDED":
        lines += _shortened(json_text(trace.output).splitlines(), style, full)
    return lines


def map_run_line(run: dict[str, Any]) -> str:
    """How far a map run is."""
    names = ("succeeded", "failed", "aborted", "running", "pending")
    counts = ", ".join(f"{run[name]:,} {name}" for name in names if run[name] or name == "succeeded")
    return f"map run of {one_line(run['state'])}: {run['status']}, {counts} of {run['total']:,}"


def _shortened(lines: list[str], style: Style, full: bool) -> list[str]:
    if full or len(lines) <= OUTPUT_LINES:
        return lines
    more = f"{style.ellipsis} {len(lines) - OUTPUT_LINES:,} more lines; --full shows all"
    return [*lines[:OUTPUT_LINES], style.paint(more, "faint")]


def trace_json(trace: Trace) -> list[dict[str, Any]]:
    """The states of the root in order, each with its tries and what ran inside them."""
    return _lane_json(trace.root)


def _lane_json(lane: Lane) -> list[dict[str, Any]]:
    return [_visit_json(visit) for visit in lane.visits]


def _visit_json(visit: Visit) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": visit.name,
        "type": visit.kind,
        "status": visit.status,
        "entered": format_timestamp(visit.entered),
        "ended": None if visit.ended is None else format_timestamp(visit.ended),
    }
    if visit.next is not None:
        document["next"] = visit.next
    if visit.waiting is not None:
        until = visit.waiting.until
        document["waits"] = {"for": visit.waiting.kind, "until": None if until is None else format_timestamp(until)}
    if visit.tries:
        document["tries"] = [_try_json(visit, attempt) for attempt in visit.tries]
    return document


def _try_json(visit: Visit, attempt: Try) -> dict[str, Any]:
    document: dict[str, Any] = {
        "started": format_timestamp(attempt.started),
        "ended": None if attempt.ended is None else format_timestamp(attempt.ended),
    }
    if attempt.failure is not None:
        document |= {"error": attempt.failure.error, "cause": attempt.failure.cause}
    if attempt.note is not None:
        document["note"] = attempt.note
    if attempt.child is not None:
        document["child"] = attempt.child
    if attempt.lanes:
        kind = "iterations" if visit.kind == "Map" else "branches"
        document[kind] = [_lane_json(lane) for lane in attempt.lanes]
    return document
