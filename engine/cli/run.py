"""`engine run`."""

from __future__ import annotations

import click

from engine.cli.documents import read_flow, read_input
from engine.cli.live import LiveView, interruptible, tell_end
from engine.cli.options import NO_STEPS, common_options, json_option, load_steps, steps_option, store_option
from engine.cli.output import Output
from engine.errors import DefinitionError
from engine.machine import StateMachine
from engine.runtime.engine import Engine
from engine.runtime.machines import new_name
from engine.step import StepRegistry


@click.command()
@click.argument("flow", metavar="FLOW")
@click.option(
    "--input",
    "given",
    metavar="FILE|-|JSON",
    help="The input: a JSON or YAML file, - for stdin, or JSON text that begins with { or [ or a quote.  [default: {}]",
)
@click.option(
    "--name",
    help="The execution's name, unique in its store. Running the same name with the same input again goes on with that "
    "execution, or answers its outcome.  [default: a new one]",
)
@store_option
@steps_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print the output or the failure, and nothing else.")
@common_options
@click.pass_context
def run(
    ctx: click.Context,
    flow: str,
    given: str | None,
    name: str | None,
    store: str,
    steps: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a flow to its end, durably, and watch it.

    FLOW is a YAML or JSON file. It is checked first; its mistakes are printed with their places. Then each state
    is shown as it ends, with its duration, its tries and the notes of its step; and what it waits for, if it does.

    stdout gets the output of the flow as JSON, or with --json one document {name, status, output | error, cause}.
    Everything for people (the live view, the status, hints) goes to stderr.

    \b
    Exit codes:
      0    SUCCEEDED, or RUNNING because only an answer from outside can move it on
      1    FAILED, TIMED_OUT or ABORTED
      2    wrong command, definition or input, or an engine error such as a store that cannot be opened
      130  interrupted with Ctrl-C; the execution is durable, and engine resume goes on with it

    \b
    Examples:
      engine run flows/booking.yaml --input order.json --name order-42
      engine run flows/booking.yaml --input '{"pax": 2}' --store memory:
      curl -s https://example.com/order | engine run flows/booking.yaml --input - --json
    """
    if name is not None and not (name and name.isprintable()):
        raise click.UsageError(f"--name {name!r} is no name; leave it out, and the run gets one")
    registry = load_steps(steps)
    machine = _checked(flow, registry, quiet=quiet or as_json)
    data = read_input(given)
    name = name or new_name()
    with Engine(store, steps=registry) as engine:
        view = LiveView(engine, name, flow=flow, goes_on="exists, goes on", silent=quiet or as_json)
        with interruptible(view, store):
            outcome = engine.run(machine, data, name=name, observer=view)
        ctx.exit(tell_end(view, outcome, store, as_json=as_json, quiet=quiet))


def _checked(flow: str, registry: StepRegistry | None, *, quiet: bool) -> StateMachine:
    """The flow of the file; its warnings are printed. Raises DefinitionError."""
    try:
        machine, warnings = read_flow(flow, registry or StepRegistry())
    except DefinitionError as refused:
        if registry is None and any(problem.code == "unknown-step" for problem in refused.problems):
            refused.add_note(NO_STEPS)
        raise
    if warnings and not quiet:
        Output(err=True).lines([str(problem) for problem in warnings])
    return machine
