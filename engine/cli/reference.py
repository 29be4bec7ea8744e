"""The page docs/reference/cli.md, made of what every command says with --help.

`python -m engine.cli.reference` prints it.
"""

from __future__ import annotations

from typing import Final

import click

from engine.cli import COMMANDS, HELP_NAMES, cli

WIDTH: Final = 100

HEAD: Final = """\
<!-- made by `make generate`; do not edit -->

# Command line

stdout carries results and nothing else: the output of `engine run`, a table, a tree, or with `--json` one JSON
document. stderr carries what is only for people: the live view, hints, log lines, errors. So `engine run … | jq .`
works, and what is piped has no colours.

| Exit code | Meaning |
|---|---|
| 0 | Done. For `run` and `resume`: SUCCEEDED, or RUNNING because only an answer from outside can move it on. |
| 1 | The execution ended as FAILED, TIMED_OUT or ABORTED. |
| 2 | Wrong command, definition or input, or an engine error; one message says what, where, and what to do. |
| 70 | A defect of the engine: run the command again with `--debug`. |
| 130 | Interrupted with Ctrl-C. The execution is durable: `engine resume NAME` goes on with it. |
"""


def cli_page() -> str:
    """The whole page."""
    context = click.Context(cli, info_name="engine", terminal_width=WIDTH, help_option_names=HELP_NAMES)
    parts = [HEAD, _section("engine", cli.get_help(context))]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH)
        parts.append(_section(f"engine {name}", command.get_help(inner)))
        for below in command.commands.values() if isinstance(command, click.Group) else ():
            innermost = click.Context(below, info_name=below.name, parent=inner, terminal_width=WIDTH)
            parts.append(_section(f"engine {name} {below.name}", below.get_help(innermost)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    click.echo(cli_page(), nl=False)
