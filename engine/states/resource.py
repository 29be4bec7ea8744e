"""A Task's Resource, taken apart: what is called, and how AWS names it in history events."""

from __future__ import annotations

from engine.errors import ExpressionSyntaxError
from engine.outcomes import Resource

PATTERNS = ("sync", "sync:2", "waitForTaskToken")


def parse_resource(uri: str) -> Resource:
    """Read a Resource.

    step:NAME            a Python step            flow:NAME    another flow
    arn:…:lambda:…       a Lambda function        arn:…:states:…:activity:NAME    an activity
    arn:…:states:::SERVICE:ACTION                 an AWS service
    The suffixes .sync, .sync:2 and .waitForTaskToken say that the result comes later.
    Raises ExpressionSyntaxError when it is none of these.
    """
    body, pattern = _split_pattern(uri)
    for scheme in ("step", "flow"):
        if body.startswith(f"{scheme}:"):
            name = body[len(scheme) + 1 :]
            if not name:
                raise ExpressionSyntaxError(f"{uri!r} names no {scheme}", len(body), f"write {scheme}:NAME")
            suffix = f".{pattern}" if pattern else ""
            return Resource(uri, scheme, name, scheme, name + suffix, pattern)
    parts = uri.split(":")
    if parts[0] == "arn" and len(parts) >= 6:
        if parts[2] == "lambda" and parts[5] == "function":
            return Resource(uri, "lambda", uri, "lambda", uri, "")
        if parts[2] == "states" and parts[5] == "activity":
            return Resource(uri, "activity", uri, "activity", uri, "")
        if parts[2] == "states":
            # arn:aws:states:::aws-sdk:s3:getObject has the service in two parts. Region and account may be given.
            service, _, action = ":".join(parts[5:]).partition(":")
            if service == "aws-sdk":
                api, _, action = action.partition(":")
                service = f"aws-sdk:{api}"
            if action:
                return Resource(uri, "service", body, service, action, pattern)
    raise ExpressionSyntaxError(
        f"{uri!r} is no resource", 0, "write step:NAME, flow:NAME or an ARN such as arn:aws:states:::lambda:invoke"
    )


def _split_pattern(uri: str) -> tuple[str, str]:
    for pattern in PATTERNS:
        if uri.endswith(f".{pattern}"):
            return uri[: -len(pattern) - 1], pattern
    return uri, ""
