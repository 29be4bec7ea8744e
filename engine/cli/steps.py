"""`engine steps`."""

from __future__ import annotations

import difflib
from typing import Any

import click

from engine.cli.options import NO_STEPS, common_options, json_option, load_steps, steps_option
from engine.cli.output import Output
from engine.cli.style import Style, json_text, one_line, table
from engine.errors import EngineError, UnknownStep
from engine.step import Step, StepRegistry
from engine.values import JSON


@click.command()
@click.argument("name", required=False)
@steps_option
@json_option
@common_options
def steps(name: str | None, steps: str | None, as_json: bool) -> None:
    """List the steps that flows can name.

    A flow calls a step as Resource: step:NAME. With NAME, everything about one step: what it does, its errors, and
    the schemas of its arguments and result.

    \b
    IDEMPOTENCY says what a second delivery of a call means:
      natural  it has the same effect as the first
      keyed    it is recognised by its idempotency key
      none     it is never made; the flow gets the error Step.InDoubt

    \b
    Examples:
      engine steps
      engine steps taxi.book
      engine steps --json
    """
    registry = load_steps(steps)
    if registry is None:
        raise EngineError(NO_STEPS)
    output = Output()
    if name is not None:
        found = _find(registry, name)
        if as_json:
            output.json(step_json(found))
        else:
            output.lines(step_lines(found, output.style))
    elif as_json:
        output.json({"steps": [step_json(found) for found in registry]})
    else:
        output.lines(steps_lines(list(registry), output.style))


def _find(registry: StepRegistry, name: str) -> Step:
    name = name.removeprefix("step:")
    if name not in registry:
        close = difflib.get_close_matches(name, registry.names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see: engine steps"
        raise UnknownStep(f"there is no step {name!r}; {hint}")
    return registry.get(name)


def steps_lines(found: list[Step], style: Style) -> list[str]:
    """The table of steps. Pure."""
    rows = [["NAME", "IDEMPOTENCY", "TRANSACTIONAL", "ERRORS", "WHAT IT DOES"]]
    for declared in found:
        errors = style.cut(", ".join(declared.errors), 48) or "-"
        transactional = "yes" if declared.transactional else "-"
        rows.append([declared.name, declared.idempotency, transactional, errors, _first_line(declared)])
    head, *lines = table(rows)
    return [style.paint(head, "faint"), *lines]


def step_lines(declared: Step, style: Style) -> list[str]:
    """Everything about one step. Pure."""
    lines = [style.paint(declared.name, "strong"), ""]
    lines += [f"  {line}".rstrip() for line in declared.doc.splitlines()] or ["  (no description)"]
    lines += ["", f"  idempotency    {declared.idempotency}"]
    lines += [f"  transactional  {'yes' if declared.transactional else 'no'}", ""]
    lines += ["  errors", *_errors(declared)]
    for title, schema in (("input", declared.input), ("output", declared.output)):
        lines += ["", f"  {title}", *_schema(schema)]
    return lines


def _errors(declared: Step) -> list[str]:
    rows = [[f"    {error}", one_line(meaning)] for error, meaning in declared.errors.items()]
    return table(rows) or ["    none of its own"]


def _schema(schema: JSON) -> list[str]:
    if schema is None:
        return ["    any JSON"]
    if isinstance(schema, str):
        return [f"    schemas/{schema}"]
    return [f"    {line}" for line in json_text(schema).splitlines()]


def step_json(declared: Step) -> dict[str, Any]:
    """A step for machines."""
    return {
        "name": declared.name,
        "idempotency": declared.idempotency,
        "transactional": declared.transactional,
        "errors": declared.errors,
        "description": declared.doc,
        "input": declared.input,
        "output": declared.output,
    }


def _first_line(declared: Step) -> str:
    return one_line(declared.doc.partition("\n")[0])
