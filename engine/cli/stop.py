"""`engine stop`."""

from __future__ import annotations

import click

from engine.cli.live import known, outcome_json
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.runtime.engine import Engine


@click.command()
@click.argument("name")
@click.option("--error", help="The error name to be recorded.")
@click.option("--cause", help="Why, for people. No personal data.")
@store_option
@json_option
@common_options
def stop(name: str, error: str | None, cause: str | None, store: str, as_json: bool) -> None:
    """End an execution as ABORTED.

    No state of it runs after that, and no Catch sees it. One that has ended before stays as it is. The process
    that runs it, if one does, is told and waited for.

    \b
    Examples:
      engine stop order-42 --error Operator.Cancelled --cause "the flight was cancelled"
    """
    require_store(store)
    with Engine(store) as engine, known(engine, name):
        before = engine.describe(name)["status"]
        outcome = engine.stop(name, error=error, cause=cause)
    if as_json:
        Output().json(outcome_json(outcome))
    elif before == "RUNNING":
        Output().line(f"{name} is {outcome.status}")
    else:
        Output().line(f"{name} had ended before: {outcome.status}")
