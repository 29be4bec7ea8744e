"""`engine send`: what AWS calls SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat."""

from __future__ import annotations

import click

from engine.cli import HELP_NAMES
from engine.cli.documents import read_input
from engine.cli.live import outcome_json, store_flag
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.runtime.engine import Engine
from engine.runtime.simulate import Outcome


@click.group(context_settings={"help_option_names": HELP_NAMES})
def send() -> None:
    """Answer a call that waits for its task token.

    A state whose Resource ends in .waitForTaskToken, or that names an activity, hands out a token and waits. Whoever
    has done the work sends the token back with the result. The answer is on the disk when the command returns; the
    process that runs the execution goes on with it, or else the next engine worker or engine resume does.

    A token answers once. One that is unknown, used or expired is refused, and changes nothing.

    \b
    Examples:
      engine send success "$TOKEN" --output '{"driver": "Ana"}'
      engine send failure "$TOKEN" --error Driver.Refused --cause "on a break"
      engine send heartbeat "$TOKEN"
    """


@send.command()
@click.argument("token")
@click.option("--output", "given", metavar="FILE|-|JSON", required=True, help="The result, as the --input of run.")
@store_option
@json_option
@common_options
def success(token: str, given: str, store: str, as_json: bool) -> None:
    """The call has this result."""
    require_store(store)
    with Engine(store) as engine:
        _tell(engine.send_task_success(token, read_input(given, "--output"), drive=False), store, as_json)


@send.command()
@click.argument("token")
@click.option("--error", help="The error name, for Retry and Catch.")
@click.option("--cause", help="Why, for people. No personal data.")
@store_option
@json_option
@common_options
def failure(token: str, error: str | None, cause: str | None, store: str, as_json: bool) -> None:
    """The call has failed."""
    require_store(store)
    with Engine(store) as engine:
        _tell(engine.send_task_failure(token, error, cause, drive=False), store, as_json)


@send.command()
@click.argument("token")
@store_option
@json_option
@common_options
def heartbeat(token: str, store: str, as_json: bool) -> None:
    """The work goes on: HeartbeatSeconds begin anew."""
    require_store(store)
    with Engine(store) as engine:
        _tell(engine.send_task_heartbeat(token), store, as_json)


def _tell(outcome: Outcome, store: str, as_json: bool) -> None:
    if as_json:
        Output().json(outcome_json(outcome))
        return
    Output().line(f"{outcome.name} has the answer")
    flag = store_flag(store)
    hint = f"without a worker: engine resume {outcome.name}{flag}   look at it: engine show {outcome.name}{flag}"
    Output(err=True).line(hint)
