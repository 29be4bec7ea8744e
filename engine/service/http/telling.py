"""What is told of each request: a duration, a span in its own trace and in that of the flow it started, a log line."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from engine.runtime.context import logger
from engine.telemetry import Past, telemetry, traceparent

METRIC: Final = "http_request_seconds"


class Answered(NamedTuple):
    """A request that was answered, from `began` to `ended` (seconds since 1970).

    `execution`: of the durable flow that it started or found. `caller`: the header `traceparent` that came with it.
    """

    request_id: str
    operation: str
    status: int
    began: float
    ended: float
    execution: str | None
    caller: str | None


def about(request_id: str) -> dict[str, Any]:
    """The `extra` of a log record about a request."""
    return {"fields": {"request_id": request_id}}


def tell(answered: Answered) -> None:
    """Tell whoever listens. The line in the log leads from a request's id to its execution, which is what the lines of
    the flow go by."""
    if logger.isEnabledFor(logging.INFO):
        _log(answered)
    if not telemetry.active:
        return
    name, status = answered.operation, str(answered.status)
    telemetry.time(METRIC, answered.ended - answered.began, operation=name, status=status)
    error = status if answered.status >= 500 else None
    times = (answered.began, answered.ended)
    past = Past(f"request {name}", *times, answered.request_id, whole=True, error=error, caller=answered.caller)
    telemetry.lasted(past, status=status)
    if answered.execution is not None:  # seen in the flow's trace too, from which one gets to the request's own
        past = past._replace(execution=answered.execution, whole=False, caller=traceparent(answered.request_id))
        telemetry.lasted(past, status=status)


def _log(answered: Answered) -> None:
    fields: dict[str, Any] = {
        "request_id": answered.request_id,
        **({"execution": answered.execution} if answered.execution else {}),
        "status": answered.status,
        "seconds": round(answered.ended - answered.began, 3),
    }
    said = f"{answered.operation} answered"
    logger.info(
        said + " %s",
        " ".join(f"{key}={value}" for key, value in fields.items()),
        extra={"said": said, "fields": fields},
    )
