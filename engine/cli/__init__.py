"""The command line: `engine run`, `engine show`, … Sub-commands are loaded when they are used.

Exit codes: 0 done · 1 the execution did not succeed · 2 wrong command, definition or input, or an engine error ·
70 a defect of the engine · 130 interrupted.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import logging
from collections.abc import Sequence
from typing import IO, Any, Final

import click

from engine.cli.output import OutputLost
from engine.errors import DefinitionError, EngineError

COMMANDS: Final = {
    "run": ("engine.cli.run:run", "Run a flow to its end, durably, and watch it."),
    "start": ("engine.cli.start:start", "Start an execution and return at once; a worker runs it."),
    "serve": ("engine.cli.serve:serve", "Answer HTTP requests with flows: API, worker and neighbours in one command."),
    "worker": ("engine.cli.worker:worker", "Run every execution of a store that is due, many at once."),
    "resume": ("engine.cli.resume:resume", "Finish executions that an ended process has left."),
    "pause": (
        "engine.cli.pause:pause",
        "Pause an execution, or what steps call. Without arguments, show what is paused.",
    ),
    "unpause": ("engine.cli.pause:unpause", "Let a paused execution, or what is parked before a paused step, go on."),
    "redrive": ("engine.cli.redrive:redrive", "Let an execution that did not succeed go on where it failed."),
    "validate": ("engine.cli.validate:validate", "Find every mistake in flow and rule files."),
    "activity": ("engine.cli.activity:activity", "Ask for the work of an activity."),
    "send": ("engine.cli.send:send", "Answer a call that waits for its task token."),
    "steps": ("engine.cli.steps:steps", "List the steps that flows can name."),
    "list": ("engine.cli.listing:list_executions", "List executions, the youngest first."),
    "show": ("engine.cli.show:show", "Show what an execution did, state by state."),
    "history": ("engine.cli.history:history", "Print the events of an execution."),
    "stop": ("engine.cli.stop:stop", "End an execution as ABORTED."),
    "publish": ("engine.cli.publish:publish", "Publish a flow as its next version, which never changes."),
    "alias": (
        "engine.cli.alias:alias",
        "Have an alias route new executions to one version or two, or show what a flow has.",
    ),
    "prune": ("engine.cli.prune:prune", "Remove executions that ended long ago, with their histories."),
    "store": ("engine.cli.store:store", "Look at a store, or bring its tables up to date."),
}
"""Command -> where it is, and its first line of help: known here so that `engine --help` imports none of them."""

HELP_NAMES: Final = ["-h", "--help"]
DEFECT: Final = 70
INTERRUPTED: Final = 130


class Refusal(click.ClickException):
    """One message for people, after `before`, and exit code 2."""

    exit_code = 2

    def __init__(self, message: str, before: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.before = before

    def show(self, file: IO[Any] | None = None) -> None:
        for text in self.before:
            click.echo(text, err=True)
        super().show(file)


class EngineGroup(click.Group):
    """Loads a command when it is named, and turns every error into one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(COMMANDS)}"
            ctx.fail(f"There is no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except DefinitionError as refused:
            raise _refusal(refused) from None
        except EngineError as problem:
            logging.getLogger("engine.cli").debug("refused", exc_info=problem)
            raise Refusal(str(problem)) from None
        except OutputLost as lost:
            with contextlib.suppress(OSError, ValueError):
                click.echo(f"Error: {lost}", err=True)
            ctx.exit(Refusal.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as defect:
            _report(defect)
            ctx.exit(DEFECT)


def _refusal(refused: DefinitionError) -> Refusal:
    """The problems, then how many they are, and what was noted on the way."""
    errors = sum(problem.severity == "error" for problem in refused.problems)
    notes = getattr(refused, "__notes__", [])
    message = "; ".join([f"{errors} mistake{'s' if errors > 1 else ''} found, nothing was run", *notes])
    return Refusal(message, [str(problem) for problem in refused.problems])


def _report(defect: Exception) -> None:
    """A defect: one line, or with --debug all of it."""
    kind = type(defect).__name__
    logging.getLogger("engine.cli").debug("%s", kind, exc_info=defect)
    text = " ".join(str(defect).split())
    click.echo(f"Error: unexpected {kind}: {text}; run it again with --debug to see where", err=True)


@click.group(
    cls=EngineGroup,
    context_settings={"help_option_names": HELP_NAMES, "max_content_width": 100},
    epilog="Every command explains itself: engine COMMAND --help",
)
@click.version_option(package_name="booking-orchestrator", prog_name="engine", message="%(prog)s %(version)s")
def cli() -> None:
    """Run flows: YAML files with the semantics of the Amazon States Language.

    Executions are durable: whatever has happened is on the disk before anything follows from it, and a process
    that ends in the middle loses nothing (engine resume).

    \b
    Examples:
      engine validate flows/booking.yaml
      engine run flows/booking.yaml --input order.json --name order-42
      engine show order-42
    """


def main(args: Sequence[str] | None = None) -> None:
    """The console script `engine`. Ends the process with an exit code."""
    cli(args=args, prog_name="engine")
