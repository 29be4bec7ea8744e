"""How a call appears in the history: Lambda functions, activities and everything else have their own event types."""

from __future__ import annotations

from engine.outcomes import Call, Resource
from engine.values import JSON

Recorded = tuple[str, dict[str, JSON]]
"""An event type and its details, the caller's own to add to."""


def scheduled(call: Call) -> Recorded:
    """A call goes out."""
    resource = call.resource
    details: dict[str, JSON]
    if resource.family == "Task":
        details = {**resource.shown, "region": "us-east-1", "parameters": call.arguments}
    else:
        details = {"resource": resource.uri, "input": call.arguments}
    if call.timeout is not None:
        details["timeoutInSeconds"] = call.timeout
    if call.heartbeat is not None and resource.scheme != "lambda":
        details["heartbeatInSeconds"] = call.heartbeat
    if call.credentials is not None:
        shown = {f"{name[:1].lower()}{name[1:]}": value for name, value in call.credentials.items()}
        details["taskCredentials"] = shown
    return resource.scheduled, details


def started(resource: Resource) -> dict[str, JSON] | None:
    """The details of the start of the work. They are shared: not for changing."""
    return {"workerName": "engine"} if resource.family == "Activity" else resource.shown or None


def failed(resource: Resource, error: str | None, cause: str | None) -> Recorded:
    """The failure; a time-out has a type of its own."""
    what = {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}
    kind = f"{resource.family}TimedOut" if error == "States.Timeout" else resource.failed
    return kind, {**resource.shown, **what}
