"""`engine prune`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import click

from engine.cli.listing import moment_option
from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.cli.style import STATUS_MARKS
from engine.runtime.engine import Engine

ENDED: Final = [status for status in STATUS_MARKS if status != "RUNNING"]
EVERY: Final = 10_000
"""After how many executions progress is told."""


@click.command()
@click.option(
    "--older-than",
    "before",
    callback=moment_option,
    required=True,
    metavar="30d|DATE",
    help="Remove those that ended so long ago, or before that date.",
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice(ENDED, case_sensitive=False),
    multiple=True,
    metavar="STATUS",
    help=f"Only those that ended so: {', '.join(ENDED)}. May be given more than once.  [default: all of them]",
)
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@store_option
@json_option
@common_options
def prune(before: datetime, statuses: tuple[str, ...], dry_run: bool, store: str, as_json: bool) -> None:
    """Remove executions that ended long ago, with their histories.

    Running ones are never touched, and one that another execution has started is kept as long as that one is. Batches
    are small: workers go on beside it, and when it is interrupted, what was removed is removed. What has failed cannot
    be redriven any more once it is gone; its name can be used again.

    \b
    Examples:
      engine prune --older-than 30d
      engine prune --older-than 90d --status FAILED --dry-run
    """
    require_store(store)
    removed = 0
    notes = Output(err=True)
    with Engine(store) as engine:
        for count in engine.prune(before, statuses=statuses or None, count_only=dry_run):
            if (removed + count) // EVERY > removed // EVERY and not as_json:
                notes.line(f"{removed + count:,} so far")
            removed += count
    if as_json:
        Output().json({"removed" if not dry_run else "would_remove": removed})
    else:
        Output().line(f"{removed:,} executions {'would be' if dry_run else 'were'} removed")
