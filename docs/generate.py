"""Write every page and schema that is made from code: `make generate`. A test says when one of them is stale."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

import engine
import engine.states
from engine.cli.reference import cli_page
from engine.definition.reference import problems_page
from engine.definition.schema import schema_text
from engine.machine import STATE_TYPES
from engine.query.jmespath.reference import refreshed
from engine.query.jsonpath.intrinsics import INTRINSICS
from engine.step import StepRegistry
from engine.values import dump

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- made by `make generate`; do not edit -->\n\n"


def states_page() -> str:
    """docs/reference/states.md: every state type with its fields and an example."""
    parts = [MADE, "# State types\n\nThe fields every state may have: `Type`, `Comment`, `QueryLanguage`.\n"]
    for name, kind in sorted(STATE_TYPES.items()):
        fields = ", ".join(f"`{field}`{'*' if field in kind.REQUIRED else ''}" for field in kind.SCHEMA)
        example = textwrap.dedent(kind.EXAMPLE).strip()
        parts.append(f"\n## {name}\n\n{inspect.getdoc(kind)}\n\nFields (* = required): {fields}.\n")
        parts.append(f"\n```yaml\n{example}\n```\n")
    return "".join(parts)


def intrinsics_page() -> str:
    """docs/reference/intrinsics.md: the intrinsic functions of JSONPath."""
    rows = ["| function | meaning | example |", "|---|---|---|"]
    for function in sorted(INTRINSICS.values(), key=lambda found: found.name):
        expression, data, result = function.example
        given = f" with `{dump(data)}`" if data else ""
        meaning = " ".join(function.doc.split()).replace("|", "\\|")
        rows.append(f"| `{function.name}` | {meaning} | `{expression}`{given} gives `{dump(result)}` |")
    return (
        f"{MADE}# Intrinsic functions\n\nFor the JSONPath query language, in keys that end in `.$`.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def api_page() -> str:
    """docs/reference/api.md: the public names of the package."""
    parts = [MADE, "# Python API\n\nEverything public is imported from `engine`; whatever is not here may change.\n"]
    for name in engine.__all__:
        found = getattr(engine, name)
        parts.append(f"\n## `{name}`\n\n{_signature(name, found)}{inspect.getdoc(found) or ''}\n")
        if inspect.isclass(found):
            for method, member in _members(found):
                if not method.startswith("_") and inspect.isfunction(member) and member.__doc__:
                    parts.append(f"\n### {_call(f'{name}.{method}', member)}\n\n{inspect.getdoc(member)}\n")
    return "".join(parts)


def _members(found: type) -> list[tuple[str, object]]:
    """What a class defines, and behind that what classes of ours that it is made of do."""
    ours = [kind for kind in found.__mro__ if kind.__module__.startswith("engine")]
    return [member for kind in ours for member in vars(kind).items()]


def _signature(name: str, found: object) -> str:
    return f"`{_call(name, found)}`\n\n" if inspect.isfunction(found) else ""


def _call(name: str, function: Callable[..., object]) -> str:
    """The call with its defaults; types are in the code and in the text."""
    signature = inspect.signature(function)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    return f"{name}{signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"


def steps_page() -> str:
    """docs/reference/steps.md: the steps of the booking, from their declarations."""
    parts = [MADE, "# Steps of the booking\n\nWhat `Resource: step:NAME` can be in `flows/`.\n"]
    for step in StepRegistry.of("steps"):
        kind = f"{step.idempotency}{', transactional' if step.transactional else ''}"
        parts.append(f"\n## `{step.name}`\n\n{step.doc}\n\nA second delivery: {kind}.\n")
        if step.errors:
            rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in sorted(step.errors.items()))
            parts.append(f"\n| error | meaning |\n|---|---|\n{rows}\n")
    return "".join(parts)


def house_language_page() -> str:
    """docs/house-language.md with its tables of functions made anew."""
    return refreshed((ROOT / "docs" / "house-language.md").read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "schemas/flow.schema.json": schema_text,
    "docs/reference/problems.md": problems_page,
    "docs/reference/states.md": states_page,
    "docs/reference/intrinsics.md": intrinsics_page,
    "docs/reference/api.md": api_page,
    "docs/reference/steps.md": steps_page,
    "docs/reference/cli.md": cli_page,
    "docs/house-language.md": house_language_page,
}


def main() -> None:
    for name, page in PAGES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
