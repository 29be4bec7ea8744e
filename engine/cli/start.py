"""`engine start`."""

from __future__ import annotations

import os
import re
from typing import Final

import click

from engine.cli.documents import read_flow, read_input
from engine.cli.live import outcome_json, store_flag
from engine.cli.options import common_options, json_option, load_steps, steps_option, store_option
from engine.cli.output import Output
from engine.runtime.engine import Engine
from engine.runtime.machines import new_name
from engine.step import StepRegistry

PUBLISHED: Final = re.compile(r"[\w.-]+:[\w-]+")


@click.command()
@click.argument("flow", metavar="FLOW")
@click.option("--input", "given", metavar="FILE|-|JSON", help="As of engine run.  [default: {}]")
@click.option("--name", help="The execution's name, unique in its store.  [default: a new one]")
@store_option
@steps_option
@json_option
@common_options
def start(flow: str, given: str | None, name: str | None, store: str, steps: str | None, as_json: bool) -> None:
    """Start an execution and return at once; a worker runs it.

    FLOW is a file, a published version (booking:3), or an alias (booking:live): see engine publish, engine alias.

    It is durable when the command returns. Prints its name, or with --json {name, status}.

    \b
    Examples:
      engine start flows/booking.yaml --input order.json --name order-42
      engine start booking:live --input order.json --name order-43
    """
    registry = load_steps(steps)
    published = PUBLISHED.fullmatch(flow) is not None and not os.path.exists(flow)
    machine = None if published else read_flow(flow, registry or StepRegistry())[0]
    name = name or new_name()
    with Engine(store, steps=registry) as engine:
        begun = engine.start(machine or engine.published(flow, name), read_input(given), name=name)
    if as_json:
        Output().json(outcome_json(begun))
        return
    Output().line(begun.name)
    if begun.status == "RUNNING":
        flag = store_flag(store)
        hint = f"a worker runs it: engine worker{flag}   look at it: engine show {begun.name}{flag}"
        Output(err=True).line(hint)
