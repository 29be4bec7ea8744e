"""`engine resume`."""

from __future__ import annotations

import click

from engine.cli.listing import summary_lines
from engine.cli.live import LiveView, exit_code, interruptible, known, outcome_json, store_flag, tell_end
from engine.cli.options import (
    common_options,
    json_option,
    load_steps,
    require_store,
    steps_option,
    store_exists,
    store_option,
)
from engine.cli.output import Output
from engine.errors import EngineError, ExecutionBusy
from engine.runtime.engine import Engine
from engine.runtime.simulate import Outcome

NOTHING = "nothing to resume: no execution is RUNNING"


@click.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Resume every execution that is RUNNING, one after the other.")
@store_option
@steps_option
@json_option
@common_options
@click.pass_context
def resume(ctx: click.Context, name: str | None, every: bool, store: str, steps: str | None, as_json: bool) -> None:
    """Finish executions that an ended process has left.

    Nothing is lost when a process ends in the middle of an execution: resume takes it up where it was. What had been
    asked for and not been answered is asked for again, under the same idempotency key. A flow file that has changed
    since does not matter; an execution keeps the definition that it began with.

    Without NAME and without --all, lists what could be resumed. What another process runs is left alone.
    The exit codes are those of engine run; with --all the worst one counts.

    \b
    Examples:
      engine resume
      engine resume order-42
      engine resume --all
    """
    if name is not None and every:
        raise click.UsageError("give either NAME or --all")
    if name is not None:
        require_store(store)
    elif not store_exists(store):
        _nothing(as_json)
        return
    with Engine(store, steps=load_steps(steps) if name or every else None) as engine:
        if name is not None:
            with known(engine, name):
                ctx.exit(_resume(engine, name, store, as_json))
        names = engine.unfinished()
        if not names:
            if every:
                _let_hooks_work(engine)
            _nothing(as_json)
        elif every:
            ctx.exit(_resume_all(engine, names, store, as_json))
        else:
            _list(engine, names, store, as_json)


def _let_hooks_work(engine: Engine) -> None:
    """What an ended process has left besides executions, as the events in an outbox."""
    for hook in engine.steps.hooks["idle"]:
        hook(engine.host)


def _nothing(as_json: bool) -> None:
    if as_json:
        Output().json({"executions": []})
    Output(err=True).line(NOTHING)


def _list(engine: Engine, names: list[str], store: str, as_json: bool) -> None:
    if as_json:
        Output().json({"executions": [{"name": name, "status": "RUNNING"} for name in names]})
        return
    output = Output()
    output.lines(summary_lines(engine.list(status="RUNNING", limit=len(names)), output.style))
    flag = store_flag(store)
    Output(err=True).line(f"go on with: engine resume NAME{flag}   or all of them: engine resume --all{flag}")


def _resume(engine: Engine, name: str, store: str, as_json: bool) -> int:
    view, outcome = _drive(engine, name, store, silent=as_json)
    return tell_end(view, outcome, store, as_json=as_json, quiet=False)


def _drive(engine: Engine, name: str, store: str, *, silent: bool) -> tuple[LiveView, Outcome]:
    view = LiveView(engine, name, flow=engine.describe(name)["file"], silent=silent)
    with interruptible(view, store):
        return view, engine.resume(name, observer=view)


def _resume_all(engine: Engine, names: list[str], store: str, as_json: bool) -> int:
    """One after the other; what cannot be resumed is said, and does not hold up the others."""
    worst, outcomes = 0, []
    notes = Output(err=True)
    for name in names:
        try:
            if as_json:
                _, outcome = _drive(engine, name, store, silent=True)
                outcomes.append(outcome_json(outcome))
                worst = max(worst, exit_code(outcome))
            else:
                worst = max(worst, _resume(engine, name, store, as_json))
        except ExecutionBusy as busy:
            notes.line(str(busy))
        except EngineError as problem:
            notes.line(f"Error: {name}: {problem}")
            worst = 2
    if as_json:
        Output().json({"executions": outcomes})
    return worst
