"""`engine validate`."""

from __future__ import annotations

import click

from engine.cli.documents import problems_of, resources_elsewhere
from engine.cli.options import common_options, json_option, load_steps, steps_option
from engine.cli.output import Output
from engine.errors import Problem


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@steps_option
@json_option
@common_options
@click.pass_context
def validate(ctx: click.Context, files: tuple[str, ...], strict: bool, steps: str | None, as_json: bool) -> None:
    """Find every mistake in flow and rule files.

    A file with rules: at its top is a rule set, every other one a flow; FILE.test.yaml with cases: has the cases of the
    rules in FILE.yaml, which are run. All problems of all files are printed, each with its place, the line with a
    caret, and a hint. When a steps package is found, the steps that a flow names must exist in it.

    A resource that only AWS can call is no mistake; it is told on stderr, since engine run refuses such a flow.

    Exit code 0 when nothing is wrong (warnings are allowed, unless --strict), 2 otherwise.

    \b
    Examples:
      engine validate flows/*.yaml flows/rules/booking.yaml
      engine validate flows/rules/booking.yaml flows/rules/booking.test.yaml
      engine validate --strict --steps steps flows/booking.yaml
      engine validate --json flows/booking.yaml
    """
    registry = load_steps(steps)
    found = [problem for file in files for problem in problems_of(file, registry)]
    elsewhere = [line for file in files for line in resources_elsewhere(file)]
    errors = sum(problem.severity == "error" for problem in found)
    valid = not errors and not (strict and found)
    output = Output()
    if as_json:
        output.json(
            {
                "valid": valid,
                "files": list(files),
                "problems": [problem.to_json() for problem in found],
                "not_here": elsewhere,
            }
        )
    else:
        for problem in found:
            output.lines([str(problem), ""])
        output.line(_summary(len(files), found, output, valid=valid))
        if elsewhere:
            Output(err=True).lines(elsewhere)
        if registry is None:
            Output(err=True).line("steps were not checked: no steps package here; name one with --steps")
    ctx.exit(0 if valid else 2)


def _summary(files: int, found: list[Problem], output: Output, *, valid: bool) -> str:
    errors = sum(problem.severity == "error" for problem in found)
    counts = [_count(errors, "error"), _count(len(found) - errors, "warning")]
    text = ", ".join(count for count in counts if count) or "no problems"
    return f"{output.style.mark('done' if valid else 'failed')} {_count(files, 'file')}: {text}"


def _count(number: int, noun: str) -> str:
    return "" if not number else f"{number} {noun}" + ("s" if number > 1 else "")
