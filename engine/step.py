"""Steps: the Python functions behind `Resource: step:<name>`.

    @step("payments.charge", errors={"CardDeclined": "the bank refused"}, idempotency="keyed")
    def charge(payload, ctx):
        ...
        raise StepError("CardDeclined", "insufficient funds")

A step gets the state's arguments and a `StepContext`, and returns JSON. It may be a plain function or `async def`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from engine.errors import StepRegistrationError, UnknownStep
from engine.telemetry import Sample
from engine.values import JSON

Idempotency = Literal["natural", "keyed", "none"]
"""What a second delivery of the same call means.

natural: the step can run any number of times with the same effect. keyed: the step passes `ctx.idempotency_key` on to
something that de-duplicates. none: a second run would do harm; if the engine lost the first, the flow gets the error
`Step.InDoubt` instead of a second run.
"""

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


class StepError(Exception):
    """A step failed: an error name that Retry and Catch match, and a cause for people.

    `.retry_after` (seconds) asks the engine to wait at least that long before a Retry of this error. `.keep`: what a
    transactional step has written stays, like a record of why it failed; else nothing of a failed step does.
    `.submitted` is the answer to the first request of a call that waits (`.sync`, `.waitForTaskToken`).
    """

    def __init__(
        self,
        error: str | None,
        cause: str | None = None,
        *,
        retry_after: float | None = None,
        keep: bool = False,
    ) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause
        self.retry_after = retry_after
        self.keep = keep
        self.submitted: JSON = None


class TaskTimeout(Exception):
    """No answer came within the task's TimeoutSeconds or HeartbeatSeconds."""


class TaskAnswer:
    """The result of a call that waits, together with the answer to its first request (`submitted`)."""

    __slots__ = ("result", "submitted")

    def __init__(self, result: JSON, submitted: JSON = None) -> None:
        self.result = result
        self.submitted = submitted


class TaskReceipt:
    """The answer to the first request of a call whose result comes later, some other way. `child`: the name of the
    execution that the call has started and waits for."""

    __slots__ = ("child", "submitted")

    def __init__(self, submitted: JSON, child: str | None = None) -> None:
        self.submitted = submitted
        self.child = child


class Connection(Protocol):
    """A connection to the engine's own database: the part of the DB-API that steps use (`?` placeholders)."""

    @property
    def dialect(self) -> str:
        """Whose SQL it speaks: "sqlite" or "postgresql"."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any:
        """Run one statement and answer its cursor."""


class StepContext(Protocol):
    """What a step knows about its call. Given by the runtime, valid during the call only."""

    execution: str
    """The execution's name."""
    state: str
    """The state's name."""
    attempt: int
    """1 for the first try of this entry into the state, 2 for the first retry or redelivery, …"""
    idempotency_key: str
    """The same for every delivery of the same entry into the same state, and for no other."""
    deadline: float | None
    """Seconds since the epoch (on the engine's clock) at which the task times out, if it does."""
    token: str
    """The task token (what `.waitForTaskToken` hands out)."""
    settings: Mapping[str, str]
    """Settings of the deployment (by default the process environment)."""

    def now(self) -> datetime:
        """The engine's clock, UTC."""

    def remaining(self, limit: float) -> float:
        """Seconds left until the deadline, at most `limit`."""

    def heartbeat(self) -> None:
        """Say that the work goes on: restarts HeartbeatSeconds."""

    def log(self, message: str, *, warning: bool = False, **fields: JSON) -> None:
        """Write one line to the engine's log, with the execution and state added. No personal data.

        A warning is shown unless asked otherwise, any other line only with `--debug`.
        """

    def note(self, text: str) -> None:
        """A short line for people, shown beside the state in `engine run` and `engine show`. No personal data."""

    def transaction(self, *, reading: bool = False) -> AbstractContextManager[Connection]:
        """A transaction on the engine's own database; commits at the end of the block. `reading`: it writes nothing,
        and so waits for nobody who does.

        In a step declared `transactional=True` it is the very transaction that records the step's result: what the
        step writes and its result become durable together, exactly once. What a step that fails has written is undone,
        unless its StepError says `keep`.
        """


class Host(Protocol):
    """What a hook of a steps package may use: the engine's database, clock, settings and log."""

    settings: Mapping[str, str]

    def now(self) -> datetime:
        """The engine's clock, UTC."""

    def transaction(self, *, reading: bool = False) -> AbstractContextManager[Connection]:
        """A transaction on the engine's own database; commits at the end of the block. `reading`: it writes nothing."""

    def log(self, message: str, *, warning: bool = False, **fields: JSON) -> None:
        """Write one line to the engine's log. No personal data."""


class Serving(Protocol):
    """What a hook of a steps package may use while `engine serve` starts.

    `settings` may be added to; `url`: where requests will be answered.
    """

    settings: dict[str, str]
    url: str

    def say(self, text: str) -> None:
        """One line for whoever has started it: what runs, and where."""

    def at_end(self, end: Callable[[], object]) -> None:
        """Call this when the serving ends."""


Handler = Callable[[Any, Any], Any]
Hook = Callable[[Host], None]
StartHook = Callable[[Host, str, JSON], JSON]
ServeHook = Callable[[Serving], None]
ScrapeHook = Callable[[Host], Iterable[Sample]]


def on_open(hook: Hook) -> Hook:
    """Declare a function to be called when an engine opens its store: the place to create tables."""
    hook.__hook__ = "open"  # type: ignore[attr-defined]
    return hook


def on_start(hook: StartHook) -> StartHook:
    """Declare a function `(host, name, input) -> input` that the input of every new execution goes through before
    anything of it is written: the place to encrypt what must not be read in a history.

    It is called before the execution is looked up, so it must answer the same for the same name and input: else a
    repeated start looks like another execution. What it raises ends the start.
    """
    hook.__hook__ = "start"  # type: ignore[attr-defined]
    return hook


def on_serve(hook: ServeHook) -> ServeHook:
    """Declare a function to be called with a `Serving` when `engine serve` starts, before the store is opened: the
    place to start neighbours that are not there, such as a simulator."""
    hook.__hook__ = "serve"  # type: ignore[attr-defined]
    return hook


def on_idle(hook: Hook) -> Hook:
    """Declare a function to be called whenever a run parks or ends, such as a relay of an outbox.

    It must be safe to run at any time and any number of times. What it raises is logged and changes no execution.
    """
    hook.__hook__ = "idle"  # type: ignore[attr-defined]
    return hook


def on_scrape(hook: ScrapeHook) -> ScrapeHook:
    """Declare a function that answers `telemetry.Sample`s, whenever somebody asks for metrics: what lies in the tables
    and cannot be counted as it happens. Called from any thread; it reads, and quickly."""
    hook.__hook__ = "scrape"  # type: ignore[attr-defined]
    return hook


class Step:
    """A registered step: its function and what it declares about itself."""

    __slots__ = ("doc", "errors", "handler", "idempotency", "input", "is_async", "name", "output", "transactional")

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        input: JSON | None = None,
        output: JSON | None = None,
        errors: Mapping[str, str] | None = None,
        idempotency: Idempotency = "natural",
        transactional: bool = False,
    ) -> None:
        if not NAME.fullmatch(name):
            raise StepRegistrationError(f"{name!r} is no step name: use lower-case words joined by dots, as taxi.book")
        if idempotency not in ("natural", "keyed", "none"):
            raise StepRegistrationError(f"step {name}: idempotency must be natural, keyed or none, not {idempotency!r}")
        if len(inspect.signature(handler).parameters) != 2:
            raise StepRegistrationError(f"step {name}: the function must take (payload, ctx)")
        self.name = name
        self.handler = handler
        self.input = input
        self.output = output
        self.errors = dict(errors or {})
        self.idempotency: Idempotency = idempotency
        self.transactional = transactional
        self.is_async = inspect.iscoroutinefunction(handler)
        if self.is_async and transactional:
            raise StepRegistrationError(f"step {name}: a transactional step cannot be async (it holds a transaction)")
        self.doc = inspect.getdoc(handler) or ""


def step(
    name: str,
    *,
    input: JSON | None = None,
    output: JSON | None = None,
    errors: Mapping[str, str] | None = None,
    idempotency: Idempotency = "natural",
    transactional: bool = False,
) -> Callable[[Handler], Handler]:
    """Declare a function as the step `name`.

    `input` and `output` are JSON Schemas (dicts, or the name of a file in `schemas/` without its path), checked at
    each call; `errors` maps every error name the step raises to one sentence. The function stays an ordinary
    function: registration happens when its module is given to a `StepRegistry`.
    """

    def declare(handler: Handler) -> Handler:
        declared = Step(
            name,
            handler,
            input=input,
            output=output,
            errors=errors,
            idempotency=idempotency,
            transactional=transactional,
        )
        handler.__step__ = declared  # type: ignore[attr-defined]
        return handler

    return declare


class StepRegistry:
    """The steps that flows may name. Duplicates are refused before anything is changed.

    `hooks`: the functions declared with on_open, on_start, on_idle, on_serve and on_scrape, by moment. `schemas`: the
    folder where schema file names are looked up, `schemas/` beside the package. `log_keys`: names of fields that may
    be logged, from the modules' `LOG_KEYS`.
    """

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        moments = ("open", "start", "idle", "serve", "scrape")
        self.hooks: dict[str, list[Callable[..., Any]]] = {moment: [] for moment in moments}
        self.schemas: Path | None = None
        self.log_keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, source: str | StepRegistry | Mapping[str, Handler] | None) -> StepRegistry:
        """A registry from a package name, a mapping of names to functions, a registry, or nothing.

        Raises StepRegistrationError when the package cannot be imported.
        """
        if isinstance(source, StepRegistry):
            return source
        registry = cls()
        if isinstance(source, str):
            registry.load(source)
        elif source is not None:
            registry.add(*(Step(name, handler) for name, handler in source.items()))
        return registry

    def load(self, package: str) -> None:
        """Register every step declared in the package's modules (not in its sub-packages)."""
        try:
            root = importlib.import_module(package)
            names = [package]
            for module in pkgutil.iter_modules(getattr(root, "__path__", ())):
                if not module.ispkg and not module.name.startswith("_"):
                    names.append(f"{package}.{module.name}")
            modules = [importlib.import_module(name) for name in names]
        except ImportError as problem:
            raise StepRegistrationError(f"the steps package {package!r} cannot be imported: {problem}") from problem
        if root.__file__ is not None:
            self.schemas = Path(root.__file__).parent.parent / "schemas"
        self.log_keys |= frozenset(key for module in modules for key in getattr(module, "LOG_KEYS", ()))
        # A function imported by a second module is the same object: found once, registered once.
        declared = {id(value): value for module in modules for value in vars(module).values()}.values()
        self.add(*(value.__step__ for value in declared if isinstance(getattr(value, "__step__", None), Step)))
        for value in declared:
            moment = getattr(value, "__hook__", None)
            if isinstance(moment, str):
                self.hooks[moment].append(value)

    def add(self, *steps: Step) -> None:
        """Register steps. Raises StepRegistrationError when a name is taken; then none is registered."""
        names = [added.name for added in steps]
        taken = [name for name in names if name in self._steps or names.count(name) > 1]
        if taken:
            raise StepRegistrationError(f"step {taken[0]!r} is registered twice")
        self._steps.update({added.name: added for added in steps})

    def get(self, name: str) -> Step:
        """The step of that name. Raises UnknownStep."""
        try:
            return self._steps[name]
        except KeyError:
            raise UnknownStep(f"no step is registered under the name {name!r}") from None

    def prepared(self, host: Host, name: str, input: JSON) -> JSON:
        """The input of a new execution as the package's hooks leave it."""
        for hook in self.hooks["start"]:
            input = hook(host, name, input)
        return input

    def samples(self, host: Host) -> Iterator[Sample]:
        """What the package's hooks read for metrics."""
        for hook in self.hooks["scrape"]:
            yield from hook(host)

    def names(self) -> dict[str, list[str]]:
        """Every step's name with the error names that may come of it: what the validator checks flows against."""
        in_doubt = {"none": ["Step.InDoubt"]}
        return {found.name: [*found.errors, *in_doubt.get(found.idempotency, [])] for found in self}

    def __contains__(self, name: str) -> bool:
        return name in self._steps

    def __iter__(self) -> Iterator[Step]:
        return iter(sorted(self._steps.values(), key=lambda found: found.name))

    def __len__(self) -> int:
        return len(self._steps)
