"""`engine redrive`."""

from __future__ import annotations

import click

from engine.cli.documents import read_flow, read_input
from engine.cli.live import known, outcome_json, store_flag
from engine.cli.options import common_options, json_option, load_steps, require_store, steps_option, store_option
from engine.cli.output import Output
from engine.query import UNSET
from engine.runtime.engine import Engine
from engine.step import StepRegistry


@click.command()
@click.argument("name")
@click.option("--input", "given", metavar="FILE|-|JSON", help="A new input of the state that failed.")
@click.option(
    "--patch", metavar="FILE|-|JSON", help="What to change in its input: a JSON Merge Patch, where null removes."
)
@click.option("--at", metavar="STATE|PATH", help="Which state gets the new input, if more than one did not end.")
@click.option("--flow", metavar="FLOW", help="Go on with this definition.  [default: the one that it began with]")
@store_option
@steps_option
@json_option
@common_options
def redrive(
    name: str,
    given: str | None,
    patch: str | None,
    at: str | None,
    flow: str | None,
    store: str,
    steps: str | None,
    as_json: bool,
) -> None:
    """Let an execution that did not succeed go on where it failed.

    What had succeeded is not run again: neither the states before, nor the branches and iterations beside. The states
    that were entered and not left are tried again, with all their retries. Steps get the idempotency key that they had,
    since the same is asked for once more; a state with a new input gets a new key, since that is another request: make
    sure that the old one had no effect.

    A newer definition must have the states in which the execution stands in the same place.

    Returns at once; a worker runs it, or engine resume.

    \b
    Examples:
      engine redrive order-42
      engine redrive order-42 --patch '{"pickup": {"terminal": "2"}}'
      engine redrive order-42 --flow flows/booking.yaml
    """
    require_store(store)
    registry = load_steps(steps)
    machine = None if flow is None else read_flow(flow, registry or StepRegistry())[0]
    with Engine(store, steps=registry) as engine, known(engine, name):
        begun = engine.redrive(
            name,
            flow=machine,
            input=UNSET if given is None else read_input(given),
            patch=UNSET if patch is None else read_input(patch),
            at=at,
        )
    if as_json:
        Output().json(outcome_json(begun))
        return
    Output().line(f"{name} is {begun.status} again" if begun.status != "RUNNING" else f"{name} goes on")
    if begun.status == "RUNNING":
        flag = store_flag(store)
        Output(err=True).line(f"a worker runs it: engine worker{flag}   or this process: engine resume {name}{flag}")
