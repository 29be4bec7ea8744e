"""`engine alias`."""

from __future__ import annotations

import click

from engine.cli.options import common_options, json_option, require_store, store_option
from engine.cli.output import Output
from engine.cli.style import one_line, table
from engine.runtime.engine import Engine
from engine.states.moments import format_timestamp


@click.command()
@click.argument("flow", metavar="FLOW[:ALIAS]")
@click.argument("routes", nargs=-1, metavar="[VERSION[=WEIGHT]]...")
@store_option
@json_option
@common_options
def alias(flow: str, routes: tuple[str, ...], store: str, as_json: bool) -> None:
    """Have an alias route new executions to one version or two, or show what a flow has.

    With two versions, each takes its share: of 100 new executions as many as its weight says. Which one an execution
    gets depends on its name, so that starting it once more changes nothing. Running executions keep theirs.

    \b
    Examples:
      engine alias booking
      engine alias booking:live 3
      engine alias booking:live 3=90 4=10
    """
    require_store(store)
    name, _, label = flow.partition(":")
    if bool(label) != bool(routes):
        raise click.UsageError("give FLOW to look, or FLOW:ALIAS and versions, as in booking:live 3=90 4=10")
    with Engine(store) as engine:
        if routes:
            engine.route(name, label, _weights(routes))
        versions, aliases = engine.versions(name), engine.aliases(name)
    if as_json:
        Output().json(
            {
                "flow": name,
                "versions": [{**found._asdict(), "created": format_timestamp(found.created)} for found in versions],
                "aliases": {found.name: {str(at): weight for at, weight in found.routes.items()} for found in aliases},
            }
        )
        return
    output = Output()
    rows = [
        [f"{name}:{found.number}", output.style.moment(found.created), one_line(found.description or "")]
        for found in versions
    ]
    for found in aliases:
        shares = ", ".join(f"{weight} % {name}:{number}" for number, weight in found.routes.items())
        rows.append([f"{name}:{found.name}", "->", shares])
    output.lines(table(rows))
    if not rows:
        Output(err=True).line(f"flow {name} has no version yet; publish one with: engine publish")


def _weights(routes: tuple[str, ...]) -> dict[int, int]:
    weights: dict[int, int] = {}
    for text in routes:
        number, _, weight = text.partition("=")
        weight = weight or ("100" if len(routes) == 1 else "")
        if not number.isdecimal() or not weight.isdecimal() or int(number) in weights:
            raise click.BadParameter(f"{text!r} is not VERSION=WEIGHT, such as 3=90", param_hint="VERSION")
        weights[int(number)] = int(weight)
    return weights
