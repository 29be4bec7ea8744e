"""Options that several commands share, and what they set up: the store, the steps package, the log."""

from __future__ import annotations

import importlib
import importlib.machinery
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from engine.errors import EngineError, StepRegistrationError
from engine.step import StepRegistry
from engine.telemetry.logs import JsonLine, PlainLine

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_STORE = "sqlite:///bookings.db"
DEFAULT_STEPS = "steps"
LOG_FORMAT = "ENGINE_LOG_FORMAT"
NO_STEPS = (
    f"no steps are known: there is no package {DEFAULT_STEPS!r} in this folder; "
    "go to the folder that has it, or name one with --steps"
)

store_option = click.option(
    "--store",
    envvar="ENGINE_STORE",
    default=DEFAULT_STORE,
    metavar="URL",
    show_default=True,
    show_envvar=True,
    help="Where executions live: sqlite:///FILE, or memory: for one that leaves nothing behind.",
)
steps_option = click.option(
    "--steps",
    envvar="ENGINE_STEPS",
    metavar="PACKAGE",
    show_envvar=True,
    help="The Python package with the steps that flows name.  [default: steps, if the current folder has it]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, for machines.")


def common_options(command: Command) -> Command:
    """--color and --debug, which every command has."""
    command = click.option(
        "--color/--no-color",
        default=None,
        expose_value=False,
        is_eager=True,
        callback=_colour,
        help="Colours.  [default: on a terminal, unless NO_COLOR is set]",
    )(command)
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_log,
        help="The whole log on stderr, with tracebacks of steps that crashed. ENGINE_LOG_FORMAT=json: as JSON.",
    )(command)


def _colour(context: click.Context, _: click.Parameter, value: bool | None) -> None:
    if value is not None:
        context.color = value


def _log(context: click.Context, _: click.Parameter, debug: bool) -> None:
    """Send the engine's log to stderr while the command runs, as plain lines or (ENGINE_LOG_FORMAT=json) as JSON."""
    logger = logging.getLogger("engine")
    handler = logging.StreamHandler(sys.stderr)
    as_json = os.environ.get(LOG_FORMAT, "").lower() == "json"
    handler.setFormatter(JsonLine() if as_json else PlainLine(debug=debug))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)

    def restore() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)

    # Of the root, which is closed in any case, and after errors have been told.
    context.find_root().call_on_close(restore)


def load_steps(package: str | None) -> StepRegistry | None:
    """The steps of the package, or of `steps` in the current folder; None when there is no such package.

    Raises StepRegistrationError for a package that cannot be imported.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    if package is None:
        found = importlib.machinery.PathFinder.find_spec(DEFAULT_STEPS, [here])
        if found is None or found.origin is None:
            return None
        package = DEFAULT_STEPS
    try:
        return StepRegistry.of(package)
    except (EngineError, ImportError):
        raise
    except Exception as crash:
        logging.getLogger("engine.cli").debug("importing %s", package, exc_info=crash)
        raise StepRegistrationError(
            f"the steps package {package!r} cannot be imported: {type(crash).__name__}: {crash}"
        ) from crash


def store_exists(url: str) -> bool:
    """Whether there is anything to look at; looking must not create an empty database."""
    return not url.startswith("sqlite:///") or os.path.exists(url.removeprefix("sqlite:///"))


def require_store(url: str) -> None:
    """Raises EngineError when the store's file does not exist yet."""
    if not store_exists(url):
        raise EngineError(f"there is no store {url} yet; run a flow first, or name another store with --store")
