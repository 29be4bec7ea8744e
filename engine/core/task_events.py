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
    if resource.scheme == "lambda":
        kind, details = "LambdaFunctionScheduled", {"resource": resource.uri, "input": call.arguments}
    elif resource.scheme == "activity":
        kind, details = "ActivityScheduled", {"resource": resource.uri, "input": call.arguments}
    else:
        kind, details = "TaskScheduled", {**resource.named, "region": "us-east-1", "parameters": call.arguments}
    if call.timeout is not None:
        details["timeoutInSeconds"] = call.timeout
    if call.heartbeat is not None and resource.scheme != "lambda":
        details["heartbeatInSeconds"] = call.heartbeat
    if call.credentials is not None:
        shown = {f"{name[0].lower()}{name[1:]}": value for name, value in call.credentials.items()}
        details["taskCredentials"] = shown
    return kind, details


def started(resource: Resource) -> tuple[str, dict[str, JSON] | None]:
    """The work began. These details are shared: they are not for changing."""
    if resource.scheme == "lambda":
        return "LambdaFunctionStarted", None
    if resource.scheme == "activity":
        return "ActivityStarted", {"workerName": "engine"}
    return "TaskStarted", resource.named


def submitted(resource: Resource, output: JSON) -> Recorded:
    """The first answer of a call that waits."""
    return "TaskSubmitted", {**resource.named, "output": output}


def succeeded(resource: Resource, output: JSON) -> Recorded:
    """The result."""
    if resource.scheme == "lambda":
        return "LambdaFunctionSucceeded", {"output": output}
    if resource.scheme == "activity":
        return "ActivitySucceeded", {"output": output}
    return "TaskSucceeded", {**resource.named, "output": output}


def failed(resource: Resource, error: str | None, cause: str | None) -> Recorded:
    """The failure; a time-out has a type of its own."""
    what = {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}
    ending = "TimedOut" if error == "States.Timeout" else "Failed"
    if resource.scheme == "lambda":
        return f"LambdaFunction{ending}", what
    if resource.scheme == "activity":
        return f"Activity{ending}", what
    return f"Task{ending}", {**resource.named, **what}
