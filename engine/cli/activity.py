"""`engine activity`: what AWS calls GetActivityTask."""

from __future__ import annotations

import click

from engine.cli import HELP_NAMES
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.runtime.engine import POLL_SECONDS, Engine
from engine.values import dump


@click.group(context_settings={"help_option_names": HELP_NAMES})
def activity() -> None:
    """Ask for the work of an activity.

    A state whose Resource is arn:aws:states:REGION:ACCOUNT:activity:NAME puts its work into a queue and waits for
    somebody to ask for it. Whoever has taken a task answers it with engine send.

    \b
    Examples:
      engine activity take pack --worker robot-3
      engine send success "$TOKEN" --output '{"boxes": 2}'
    """


@activity.command()
@click.argument("name", metavar="NAME")
@click.option("--worker", metavar="TEXT", help="Who asks; it stands in the history.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=POLL_SECONDS,
    show_default=True,
    help="How long to wait for work.",
)
@store_option
@json_option
@common_options
@click.pass_context
def take(ctx: click.Context, name: str, worker: str | None, wait: float, store: str, as_json: bool) -> None:
    """Take the oldest task of an activity, given by its name or ARN: print its token, and its input.

    Every task is handed out once. HeartbeatSeconds begin now, and again with each engine send heartbeat.
    Exit code 1 when no task has come.
    """
    require_store(store)
    with Engine(store) as engine:
        task = engine.get_activity_task(name, worker=worker, wait=wait)
    if as_json:
        Output().json({} if task is None else {"taskToken": task.token, "input": task.input})
    elif task is not None:
        Output().lines([task.token, dump(task.input)])
    else:
        Output(err=True).line(f"no work for {name} has come in {wait:g} s")
    ctx.exit(1 if task is None else 0)
