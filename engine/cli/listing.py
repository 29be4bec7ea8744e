"""`engine list`."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import click

from engine.cli.options import common_options, json_option, store_exists, store_option
from engine.cli.output import Output
from engine.cli.style import STATUS_MARKS, Style, duration, one_line, table
from engine.runtime.engine import Engine
from engine.states.moments import format_timestamp
from engine.stores import Summary

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_option(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A moment: so long ago (90s, 15m, 1h, 2d, 1w), or a date with or without a time."""
    if value is None:
        return None
    ago = re.fullmatch(r"(\d{1,9})([smhdw])", value)
    try:
        if ago is not None:
            return datetime.now().astimezone() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no moment; write 90s, 15m, 1h, 2d, or a date such as 2026-05-04"
        ) from None


@click.command("list")
@click.option(
    "--status",
    type=click.Choice(list(STATUS_MARKS), case_sensitive=False),
    metavar="STATUS",
    help=f"Only those with this status: {', '.join(STATUS_MARKS)}.",
)
@click.option("--state", metavar="STATE", help="Only running ones that are in this state of their flow.")
@click.option("--flow", metavar="NAME", help="Only those of this flow.")
@click.option("--paused", is_flag=True, help="Only those that are paused.")
@click.option("--map-of", metavar="NAME", help="Only the children of the map runs of that execution.")
@click.option("--since", callback=moment_option, metavar="1h|DATE", help="Only those that began since then.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@store_option
@json_option
@common_options
def list_executions(
    status: str | None,
    state: str | None,
    flow: str | None,
    paused: bool,
    map_of: str | None,
    since: datetime | None,
    limit: int,
    store: str,
    as_json: bool,
) -> None:
    """List executions, the youngest first.

    A running one is shown with the state that it is in, and when that is so, that it is paused, or parked before a
    paused step; a failed one with its error. Those that another execution has started stand indented below it, or,
    where it is not in the list itself, name it. The children of a distributed Map are left out unless they are asked
    for by their parent.

    \b
    Examples:
      engine list --since 1h
      engine list --state AwaitRide --status RUNNING --since 1h
      engine list --status FAILED --since 2026-05-04 --limit 20
      engine list --map-of order-42 --status FAILED
      engine list --json
    """
    found: Sequence[Summary] = ()
    if store_exists(store):
        with Engine(store) as engine:
            found = engine.list(
                status=status,
                since=since,
                limit=limit,
                state=state,
                flow=flow,
                paused=True if paused else None,
                map_of=map_of,
            )
    output = Output()
    if as_json:
        output.json({"executions": [_summary_json(summary) for summary in found]})
    elif found:
        output.lines(summary_lines(found, output.style))
    else:
        Output(err=True).line(
            f"no executions in {store}" + (" match" if status or since or state or flow or paused or map_of else "")
        )


def summary_lines(found: Sequence[Summary], style: Style) -> list[str]:
    """The table of executions, with a head. Pure."""
    rows = [["  NAME", "FLOW", "STATUS", "STARTED", "TOOK", ""]]
    listed = {summary.name for summary in found}
    ordered = list(families(found))
    for depth, summary in ordered:
        rows.append(
            [
                f"  {'  ' * depth}{one_line(summary.name)}",
                one_line(summary.flow),
                summary.status,
                style.moment(summary.started),
                "" if summary.stopped is None else duration(summary.stopped - summary.started),
                one_line(" ".join(filter(None, (summary.error or _standing(summary), _origin(summary, listed))))),
            ]
        )
    head, *lines = table(rows)
    marks = [
        style.mark(STATUS_MARKS[summary.status]) + line[1:] for (_, summary), line in zip(ordered, lines, strict=True)
    ]
    return [style.paint(head, "faint"), *marks]


def families(found: Sequence[Summary]) -> Iterator[tuple[int, Summary]]:
    """In their order, but for children: they come behind their parent, the eldest first, with how deep they stand."""
    listed = {summary.name for summary in found}
    children: dict[str, list[Summary]] = {}
    for summary in found:
        if summary.parent in listed:
            children.setdefault(summary.parent, []).append(summary)
    left = [(0, summary) for summary in reversed(found) if summary.parent not in listed]
    while left:
        depth, summary = left.pop()
        yield depth, summary
        left += [(depth + 1, child) for child in children.get(summary.name, ())]


def _origin(summary: Summary, listed: Container[str]) -> str:
    """Who has started it, where that cannot be seen."""
    return "" if summary.parent is None or summary.parent in listed else f"(started by {summary.parent})"


def _standing(summary: Summary) -> str:
    """Where a running execution stands."""
    parts = [summary.state or ""]
    if summary.paused is not None:
        parts.append("(paused)")
    if summary.parked is not None:
        parts.append(f"(parked: {summary.parked.replace(' ', ', ')} paused)")
    return " ".join(parts)


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        **summary._asdict(),
        "started": format_timestamp(summary.started),
        "stopped": None if summary.stopped is None else format_timestamp(summary.stopped),
        "paused": None if summary.paused is None else format_timestamp(summary.paused),
        "parked": [] if summary.parked is None else summary.parked.split(" "),
    }
