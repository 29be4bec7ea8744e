"""Make one call of a step and say how it ended, as an event."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.core.events import ScheduleTask, TaskFailed, TaskSubmitted, TaskSucceeded
from engine.errors import EngineError
from engine.json_schema import JsonSchema
from engine.runtime.context import CallContext, logger
from engine.step import Step, StepError, TaskAnswer, TaskReceipt, TaskTimeout
from engine.telemetry import telemetry
from engine.values import JSON, check_json

IN_DOUBT = "the process that made this call ended before the answer was stored, and the step must not run twice"


class Declined(Exception):
    """The step failed; `.event` says how. `.keep`: what it wrote stays."""

    def __init__(self, event: TaskFailed, *, keep: bool = False) -> None:
        super().__init__(event.error)
        self.error = event.error
        self.event = event
        self.keep = keep


def invoke(step: Step, command: ScheduleTask, context: CallContext, schemas: Path | None) -> list[Any]:
    """Call the step. Answers the events of success; raises Declined with the event of failure.

    Only a failure of the engine itself (its store, above all) passes through as EngineError.
    """
    with _told(step, context) if telemetry.active else _UNTOLD:
        call = _Call(step, command, context, schemas)
        call.check()
        try:
            if step.is_async:
                import asyncio  # costs start-up time that most runs need not pay

                answer = asyncio.run(_own(step.handler(command.arguments, context)))
            else:
                answer = step.handler(command.arguments, context)
        except (Exception, SystemExit) as problem:
            raise call.broken(problem) from None
        return call.answered(answer)


async def invoke_async(step: Step, command: ScheduleTask, context: CallContext, schemas: Path | None) -> list[Any]:
    """As `invoke`, of an `async def`, on the loop that runs already."""
    with _told(step, context) if telemetry.active else _UNTOLD:
        call = _Call(step, command, context, schemas)
        call.check()
        try:
            answer = await _own(step.handler(command.arguments, context))
        except (Exception, SystemExit) as problem:
            raise call.broken(problem) from None
        return call.answered(answer)


class Cancelled(Exception):
    """A step awaited something that was cancelled."""


async def _own(call: Awaitable[Any]) -> Any:
    """What the call answers. Only whoever cancels this very task ends it: a step that awaits something else that was
    cancelled has failed, and would take its call along that nobody makes again."""
    import asyncio

    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Cancelled from None


_UNTOLD: AbstractContextManager[None] = nullcontext()


@contextmanager
def _told(step: Step, context: CallContext) -> Iterator[None]:
    """Tell how long the call takes and how it ends."""
    began, outcome = time.perf_counter(), "ok"
    try:
        with telemetry.span(
            f"step {step.name}", execution=context.execution, state=context.state, attempt=str(context.attempt)
        ):
            yield
    except Declined as failure:
        outcome = failure.error or "failed"
        raise
    except EngineError:
        outcome = "engine"
        raise
    finally:
        telemetry.time("engine_step_seconds", time.perf_counter() - began, step=step.name, outcome=outcome)


def invoke_keeping(step: Step, command: ScheduleTask, context: CallContext, schemas: Path | None) -> list[Any]:
    """As `invoke`, inside the transaction of a transactional step: a failure that keeps what was written is an answer,
    so that only the others undo the transaction."""
    try:
        return invoke(step, command, context, schemas)
    except Declined as failure:
        if not failure.keep:
            raise
        return [failure.event]


class _Call:
    """One call: what is checked before it, and what follows from its answer or failure."""

    __slots__ = ("command", "context", "schemas", "started", "step")

    def __init__(self, step: Step, command: ScheduleTask, context: CallContext, schemas: Path | None) -> None:
        self.step = step
        self.command = command
        self.context = context
        self.schemas = schemas
        self.started = context.clock.now()

    def check(self) -> None:
        """Raises Declined when the call must not be made."""
        step = self.step
        if self.command.again and step.idempotency == "none":
            raise self.declined("Step.InDoubt", IN_DOUBT)
        problem = _mismatch(step.input, self.command.arguments, self.schemas)
        if problem is not None:
            cause = f"the arguments of step {step.name} do not fit its schema: {problem}"
            raise self.declined("Step.InvalidInput", cause)

    def declined(
        self, error: str | None, cause: str | None, retry_after: float | None = None, *, keep: bool = False
    ) -> Declined:
        moment, note = self.context.clock.now(), _note(self.context)
        failed = TaskFailed(self.command.token, error, cause, moment, self.started, retry_after, note)
        return Declined(failed, keep=keep)

    def broken(self, problem: Exception | SystemExit) -> Exception:
        """What to raise for what the step raised. One that wants to end the process (`sys.exit`) ends its call: its
        thread has other work to do."""
        if isinstance(problem, StepError):
            return self.declined(problem.error, problem.cause, problem.retry_after, keep=problem.keep)
        if isinstance(problem, TaskTimeout):
            return self.declined("States.Timeout", None)
        if isinstance(problem, EngineError):
            return problem
        crash = _crash(self.step, problem)
        self.context.log(crash, warning=True)  # a flow may catch it, and then nobody would look at the step
        return self.declined(type(problem).__name__, crash)

    def answered(self, answer: Any) -> list[Any]:
        """The events of success. Raises Declined when the answer is not what the step declares."""
        if isinstance(answer, TaskReceipt):
            now = self.context.clock.now()
            return [TaskSubmitted(self.command.token, answer.submitted, now, self.started, answer.child)]
        submitted = answer.submitted if isinstance(answer, TaskAnswer) else None
        result = answer.result if isinstance(answer, TaskAnswer) else answer
        problem = check_json(result) or _mismatch(self.step.output, result, self.schemas)
        if problem is not None:
            cause = f"the result of step {self.step.name} is not what it declares: {problem}"
            raise self.declined("Step.InvalidOutput", cause)
        token, now = self.command.token, self.context.clock.now()
        if self.command.resource.pattern == "waitForTaskToken":
            return [TaskSubmitted(token, result, now, self.started)]
        done = TaskSucceeded(token, result, now, self.started, _note(self.context))
        return [done] if submitted is None else [TaskSubmitted(token, submitted, now, self.started), done]


def _note(context: CallContext) -> str | None:
    return "; ".join(context.notes) if context.notes else None


def _crash(step: Step, crash: BaseException) -> str:
    """Where a step broke. Not the exception's text: it may quote personal data; the debug log has all of it."""
    frames = traceback.extract_tb(crash.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    logger.debug("step %s raised", step.name, exc_info=crash)
    return f"step {step.name} raised {type(crash).__name__} at {place}; run with --debug to see the traceback"


def _mismatch(schema: JSON, value: JSON, schemas: Path | None) -> str | None:
    """What is wrong with a value by a JSON Schema: place and rule, without the value itself."""
    if schema is None:
        return None
    checker = _file_checker(schemas / schema) if isinstance(schema, str) and schemas else _checker(schema)
    found = sorted(checker.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    if not found:
        return None
    first = found[0]
    place = "/".join(map(str, first.absolute_path))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"/{place} does not satisfy {first.validator}: {_rule(first)}{more}"


def _rule(error: Any) -> str:
    """The rule that was broken, in the schema's own words."""
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"missing {', '.join(missing)}"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        return f"unknown {', '.join(sorted(set(error.instance) - set(known)))}"
    return str(error.validator_value)


_checkers: dict[int, JsonSchema] = {}


def _checker(schema: JSON) -> JsonSchema:
    """An inline schema, compiled; it keeps the schema itself, whose id is the key."""
    found = _checkers.get(id(schema))
    if found is None:
        found = _checkers[id(schema)] = JsonSchema(schema)
    return found


@lru_cache(maxsize=256)
def _file_checker(path: Path) -> JsonSchema:
    import json

    try:
        return _checker(json.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise EngineError(f"the schema {path} cannot be read: {problem.strerror}") from problem
