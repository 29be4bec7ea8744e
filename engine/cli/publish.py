"""`engine publish`."""

from __future__ import annotations

import click

from engine.cli.documents import read_flow
from engine.cli.options import common_options, json_option, load_steps, steps_option, store_option
from engine.cli.output import Output
from engine.runtime.engine import Engine
from engine.step import StepRegistry


@click.command()
@click.argument("flow", metavar="FLOW")
@click.option("--description", metavar="TEXT", help="What is new, for people.")
@store_option
@steps_option
@json_option
@common_options
def publish(flow: str, description: str | None, store: str, steps: str | None, as_json: bool) -> None:
    """Publish a flow as its next version, which never changes.

    Executions are started with it by number (booking:3), or by an alias that routes to it (booking:live). Publishing
    the latest version once more answers its number.

    \b
    Examples:
      engine publish flows/booking.yaml --description "fees by region"
      engine start booking:3 --input order.json
    """
    registry = load_steps(steps)
    machine, _ = read_flow(flow, registry or StepRegistry())
    with Engine(store, steps=registry) as engine:
        name, number = engine.publish(machine, description=description)
    if as_json:
        Output().json({"flow": name, "version": number})
    else:
        Output().line(f"{name}:{number}")
