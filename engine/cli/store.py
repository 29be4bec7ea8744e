"""`engine store`."""

from __future__ import annotations

from typing import Any

import click

from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.cli.style import Style, one_line, table
from engine.states.moments import format_timestamp
from engine.stores.schema import StoreStatus
from engine.stores.status import migrate_store, store_status


@click.group()
def store() -> None:
    """Look at a store, or bring its tables up to date.

    Every command that opens a store applies the migrations that it lacks, so that neither is needed day to day.
    Before a deployment of many workers, migrate once and look at the result.

    \b
    Examples:
      engine store status
      engine store migrate --store postgresql://app@db.internal/bookings
    """


@store.command()
@store_option
@json_option
@common_options
def status(store: str, as_json: bool) -> None:
    """Show the version of a store's tables, what is in it, and who works on it. Changes nothing.

    \b
    Examples:
      engine store status
      engine store status --store postgresql://app@db.internal/bookings --json
    """
    require_store(store)
    found = store_status(store)
    output = Output()
    if as_json:
        output.json(_status_json(found))
    else:
        output.lines(status_lines(found, output.style))


@store.command()
@store_option
@json_option
@common_options
def migrate(store: str, as_json: bool) -> None:
    """Create a store, or bring its tables up to date.

    One process at a time, under a lock, and all or nothing: what fails half-way leaves the store as it was. A store of
    a newer version is refused; there is no way back to an older one but a backup.

    \b
    Examples:
      engine store migrate --store postgresql://app@db.internal/bookings
    """
    before, after = migrate_store(store)
    if as_json:
        Output().json({"before": before, "after": after})
    elif before == after:
        Output().line(f"{store_status(store).url} is up to date: schema {after}")
    else:
        Output().line(f"{store_status(store).url}: schema {before or 'none'} -> {after}")


def status_lines(found: StoreStatus, style: Style) -> list[str]:
    """The whole view. Pure."""
    schema = f"{found.schema}, up to date" if found.schema == found.newest else _behind(found)
    rows = [["store", found.url], ["database", found.database], ["schema", schema]]
    if found.bytes is not None:
        rows.append(["size", _size(found.bytes)])
    counts = ", ".join(f"{number:,} {status}" for status, number in sorted(found.executions.items()))
    rows.append(["executions", counts or "none"])
    if found.children:
        rows.append(["of map runs", ", ".join(f"{number:,} {what}" for what, number in found.children.items())])
    if found.executions.get("RUNNING"):
        rows.append(["due now", f"{found.due:,} wait for somebody to run them"])
    for number, owner in enumerate(found.owners):
        state = "" if owner.alive else style.paint("  gone: others take over what it ran", "faint")
        rows.append(
            ["" if number else "run by", f"{one_line(owner.process)}, since {style.moment(owner.since)}{state}"]
        )
    return table(rows)


def _behind(found: StoreStatus) -> str:
    if found.schema > found.newest:
        return f"{found.schema}, newer than this installation, which knows {found.newest}: upgrade it"
    return f"{found.schema or 'none'}, the newest is {found.newest}: engine store migrate"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def _status_json(found: StoreStatus) -> dict[str, Any]:
    owners = [{**owner._asdict(), "since": format_timestamp(owner.since)} for owner in found.owners]
    return {**found._asdict(), "owners": owners}
