"""`engine history`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from engine.cli.live import known
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.cli.style import Style, compact, failure_text, one_line, table
from engine.core.events import HistoryEvent
from engine.core.history import render
from engine.runtime.engine import Engine
from engine.states.moments import format_timestamp
from engine.values import JSON

VALUE_WIDTH: Final = 60
"""Longest value in a line unless everything is asked for."""

VALUES: Final = ("input", "parameters", "output", "assignedVariables")


@click.command()
@click.argument("name")
@click.option("--full", is_flag=True, help="Whole values and causes instead of their beginnings.")
@store_option
@json_option
@common_options
def history(name: str, full: bool, store: str, as_json: bool) -> None:
    """Print the events of an execution.

    One line for each: its id, the id of the event before it in its path, the time, the type, and what matters of its
    details. --json gives them in the shape of the GetExecutionHistory call of AWS Step Functions.

    \b
    Examples:
      engine history order-42
      engine history order-42 --full
      engine history order-42 --json | jq '.events[].type'
    """
    require_store(store)
    with Engine(store) as engine, known(engine, name):
        events = engine.events(name)
    output = Output()
    if as_json:
        output.json({"events": history_json(events)})
    else:
        output.lines(history_lines(events, output.style, full=full))


def history_json(events: Sequence[HistoryEvent]) -> list[dict[str, Any]]:
    """GetExecutionHistory's events, timestamps as text. Pure."""
    shown = render(events)
    for event in shown:
        event["timestamp"] = format_timestamp(event["timestamp"].timestamp())
    return shown


def history_lines(events: Sequence[HistoryEvent], style: Style, *, full: bool = False) -> list[str]:
    """One line for each event. Pure."""
    width = len(str(events[-1][0])) if events else 1
    rows = [
        [
            f"{number:>{width}}",
            f"{previous:>{width}}" if previous else " " * width,
            f"{style.moment(time)}.{int(time * 1000) % 1000:03d}",
            kind,
            "  ".join(_details(details or {}, style, full)),
        ]
        for number, previous, time, kind, details in events
    ]
    return table(rows)


def _details(details: dict[str, JSON], style: Style, full: bool) -> list[str]:
    """What matters of an event's details, as short texts."""
    parts = [one_line(details["name"])] if "name" in details else []
    if "index" in details:
        parts.append(f"[{details['index']}]")
    if "length" in details:
        parts.append(f"{details['length']} items")
    if "resource" in details and "resourceType" in details:
        parts.append(f"{details['resourceType']}:{details['resource']}")
    if "error" in details or "cause" in details:
        failure = failure_text(details.get("error"), details.get("cause"))
        parts.append(failure if full else style.cut(failure, 2 * VALUE_WIDTH))
    parts += [f"{key}={_value(details[key], style, full)}" for key in VALUES if key in details]
    if details.get("note"):
        parts.append(f"note: {one_line(details['note'])}")
    return parts


def _value(value: JSON, style: Style, full: bool) -> str:
    text = compact(value)
    return text if full else style.cut(text, VALUE_WIDTH)
