"""Make one call of a step and say how it ended, as an event."""

from __future__ import annotations

import asyncio
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.core.events import ScheduleTask, TaskFailed, TaskSubmitted, TaskSucceeded
from engine.errors import EngineError
from engine.runtime.context import CallContext, logger
from engine.step import Step, StepError, TaskAnswer, TaskTimeout
from engine.values import JSON, check_json

IN_DOUBT = "the process that made this call ended before the answer was stored, and the step must not run twice"


class Declined(Exception):
    """The step failed; `.event` says how."""

    def __init__(self, event: TaskFailed) -> None:
        super().__init__(event.error)
        self.event = event


def invoke(step: Step, command: ScheduleTask, context: CallContext, schemas: Path | None) -> list[Any]:
    """Call the step. Answers the events of success; raises Declined with the event of failure.

    Only a failure of the engine itself (its store, above all) passes through as EngineError.
    """
    started = context.now().timestamp()

    def declined(error: str | None, cause: str | None, retry_after: float | None = None) -> Declined:
        moment, note = context.now().timestamp(), _note(context)
        return Declined(TaskFailed(command.token, error, cause, moment, started, retry_after, note))

    if command.again and step.idempotency == "none":
        raise declined("Step.InDoubt", IN_DOUBT)
    problem = _mismatch(step.input, command.arguments, schemas)
    if problem is not None:
        raise declined("Step.InvalidInput", f"the arguments of step {step.name} do not fit its schema: {problem}")
    try:
        answer = _call(step, command.arguments, context)
    except StepError as failure:
        raise declined(failure.error, failure.cause, failure.retry_after) from None
    except TaskTimeout:
        raise declined("States.Timeout", None) from None
    except EngineError:
        raise
    except Exception as crash:
        raise declined(type(crash).__name__, _crash(step, crash)) from None
    submitted = answer.submitted if isinstance(answer, TaskAnswer) else None
    result = answer.result if isinstance(answer, TaskAnswer) else answer
    problem = check_json(result) or _mismatch(step.output, result, schemas)
    if problem is not None:
        raise declined("Step.InvalidOutput", f"the result of step {step.name} is not what it declares: {problem}")
    now = context.now().timestamp()
    if command.resource.pattern == "waitForTaskToken":
        return [TaskSubmitted(command.token, result, now, started)]
    events: list[Any] = [TaskSubmitted(command.token, submitted, now, started)] if submitted is not None else []
    return [*events, TaskSucceeded(command.token, result, now, started, _note(context))]


def _call(step: Step, arguments: JSON, context: CallContext) -> JSON:
    if step.is_async:
        return asyncio.run(step.handler(arguments, context))
    return step.handler(arguments, context)


def _note(context: CallContext) -> str | None:
    return "; ".join(context.notes) or None


def _crash(step: Step, crash: Exception) -> str:
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


_checkers: dict[int, tuple[JSON, Any]] = {}


def _checker(schema: JSON) -> Any:
    """A validator of an inline schema; kept with the schema itself, whose id is the key."""
    from jsonschema import Draft202012Validator  # heavy: loaded by the first step that declares a schema

    if id(schema) not in _checkers:
        _checkers[id(schema)] = (schema, Draft202012Validator(schema))
    return _checkers[id(schema)][1]


@lru_cache(maxsize=256)
def _file_checker(path: Path) -> Any:
    import json

    try:
        return _checker(json.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise EngineError(f"the schema {path} cannot be read: {problem.strerror}") from problem
