"""`engine pause` and `engine unpause`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from engine.cli.live import known
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.cli.style import Style, one_line, table
from engine.runtime.engine import Engine
from engine.runtime.operations import PausedStep
from engine.states.moments import format_timestamp

STEP: Final = "step"
WHAT: Final = "NAME | step PATTERN"


@click.command()
@click.argument("what", nargs=-1, metavar=f"[{WHAT}]")
@click.option("--reason", metavar="TEXT", help="Why a step is paused, for people. No personal data.")
@store_option
@json_option
@common_options
def pause(what: tuple[str, ...], reason: str | None, store: str, as_json: bool) -> None:
    """Pause an execution, or what steps call. Without arguments, show what is paused.

    A paused execution makes no further call, in whatever process it runs; the calls that are out are waited for.

    A paused step is called by nobody, from a second on: executions park before it, with its time-outs standing still,
    and new ones start as ever. So a service that is down or under repair costs no execution.

    Both are durable, and hold until engine unpause.

    \b
    Examples:
      engine pause order-42
      engine pause step taxi.book
      engine pause step 'taxi.*' --reason "the taxi company is down"
    """
    name, pattern = _what(what)
    require_store(store)
    with Engine(store) as engine, known(engine, name or ""):
        if name is not None:
            done = engine.pause(name)
            _tell(as_json, {"name": name, "paused": True}, f"{name} {'is' if done else 'was'} paused" + _before(done))
        elif pattern is not None:
            engine.pause_step(pattern, reason=reason)
            text = f"steps {pattern} are paused; go on with: engine unpause step '{pattern}'"
            _tell(as_json, {"step": pattern, "paused": True}, text)
        else:
            found = engine.paused_steps()
            executions = [summary.name for summary in engine.list(paused=True, limit=1000)]
            _list(found, executions, as_json)


@click.command()
@click.argument("what", nargs=-1, required=True, metavar=WHAT)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Of a step: so many parked executions a second go on.  [default: all at once]",
)
@store_option
@json_option
@common_options
def unpause(what: tuple[str, ...], rate: float | None, store: str, as_json: bool) -> None:
    """Let a paused execution, or what is parked before a paused step, go on.

    After a step was paused for long, many executions may stand before it: --rate has them go on one after the other, so
    that the service behind it is not overrun. The rate is for those that are parked now; new ones go ahead.

    \b
    Examples:
      engine unpause order-42
      engine unpause step 'taxi.*' --rate 5
    """
    name, pattern = _what(what)
    require_store(store)
    with Engine(store) as engine, known(engine, name or ""):
        if name is not None:
            if rate is not None:
                raise click.UsageError("--rate is for steps")
            done = engine.unpause(name)
            text = f"{name} goes on" if done else f"{name} was not paused"
            _tell(as_json, {"name": name, "paused": False}, text)
        elif pattern is not None:
            released = engine.unpause_step(pattern, rate=rate)
            over = "" if rate is None or released < 2 else f", within {(released - 1) / rate:,.0f} s"
            text = f"steps {pattern} are called again; {released:,} parked executions go on{over}"
            _tell(as_json, {"step": pattern, "paused": False, "released": released}, text)


def _what(what: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The name of an execution, or a pattern of steps. Raises UsageError."""
    if len(what) == 2 and what[0] == STEP:
        return None, what[1]
    if len(what) > 1:
        raise click.UsageError(f"give {WHAT}, such as order-42, or: step 'taxi.*'")
    return (what[0], None) if what else (None, None)


def _before(done: bool) -> str:
    return "" if done else " before"


def _tell(as_json: bool, document: dict[str, object], text: str) -> None:
    if as_json:
        Output().json(document)
    else:
        Output().line(text)


def _list(steps: Sequence[PausedStep], executions: Sequence[str], as_json: bool) -> None:
    output = Output()
    if as_json:
        found = [{**step._asdict(), "since": format_timestamp(step.since)} for step in steps]
        output.json({"steps": found, "executions": list(executions)})
    elif steps or executions:
        output.lines(paused_lines(steps, executions, output.style))
    else:
        Output(err=True).line("nothing is paused")


def paused_lines(steps: Sequence[PausedStep], executions: Sequence[str], style: Style) -> list[str]:
    """The whole view. Pure."""
    rows = [["PAUSED", "SINCE", "PARKED", ""]]
    for step in steps:
        rows.append([f"step {step.pattern}", style.moment(step.since), f"{step.parked:,}", one_line(step.reason or "")])
    rows += [[one_line(name), "", "", ""] for name in executions]
    head, *lines = table(rows)
    return [style.paint(head, "faint"), *lines]
