"""AWS Lambda behind API Gateway: REST APIs (payload 1.0) and HTTP APIs (payload 2.0).

    handler = LambdaHandler(service)          # the function's handler: module.handler

Who asks is said by API Gateway's authorizer (`requestContext.authorizer`): a JWT authorizer, a Cognito user pool, or a
Lambda authorizer that puts `sub` and `scope` into its context. Without one, the service checks the bearer token itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from engine.service.http.messages import Request, Response
from engine.service.http.service import HttpService

MOST_BODY: Final = 65_536


class LambdaHandler:
    """The handler of a function. A response goes out in one piece: a stream is what there is so far, and clients ask
    again."""

    def __init__(self, service: HttpService) -> None:
        self.service = service

    def __call__(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """One event of API Gateway. Raises ValueError for any other event."""
        if event.get("version") == "2.0" and "rawPath" in event:
            request = _of_http_api(event)
        elif "httpMethod" in event and "path" in event:
            request = _of_rest_api(event)
        else:
            raise ValueError("this is no event of API Gateway: neither a payload of version 1.0 nor one of 2.0")
        request.follows = False
        return _answer(self.service.handle(request))


def _of_http_api(event: Mapping[str, Any]) -> Request:
    """Payload 2.0. The path holds the stage unless that is $default."""
    context = event["requestContext"]
    path, stage = unquote(event["rawPath"], errors="replace"), context.get("stage", "$default")
    if stage != "$default" and (path + "/").startswith(f"/{stage}/"):
        path = path[len(stage) + 1 :] or "/"
    authorizer = context.get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or authorizer.get("lambda")
    return Request(
        context["http"]["method"],
        path,
        query=parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True, errors="replace"),
        headers=event.get("headers") or {},
        body=_body(event),
        claims=claims or None,
        peer=context["http"].get("sourceIp"),
    )


def _of_rest_api(event: Mapping[str, Any]) -> Request:
    """Payload 1.0. Parameters come decoded."""
    context = event.get("requestContext") or {}
    many = event.get("multiValueQueryStringParameters") or {}
    one = event.get("queryStringParameters") or {}
    query = [(name, value) for name, values in many.items() for value in values] if many else list(one.items())
    lists = event.get("multiValueHeaders") or {}
    headers = {name: ", ".join(values) for name, values in lists.items()} if lists else event.get("headers") or {}
    authorizer = context.get("authorizer") or {}
    claims = authorizer.get("claims") or ({"sub": authorizer.get("principalId"), **authorizer} if authorizer else None)
    return Request(
        event["httpMethod"],
        unquote(event["path"], errors="replace"),
        query=query,
        headers=headers,
        body=_body(event),
        claims=claims,
        peer=(context.get("identity") or {}).get("sourceIp"),
    )


def _body(event: Mapping[str, Any]) -> bytes | None:
    text = event.get("body") or ""
    if len(text) > 2 * MOST_BODY:
        return None
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b"\xff"  # no text in any encoding: refused like any other body that is not UTF-8


def _answer(response: Response) -> dict[str, Any]:
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    try:
        return {
            "statusCode": response.status,
            "headers": response.headers,
            "body": body.decode(),
            "isBase64Encoded": False,
        }
    except UnicodeDecodeError:
        encoded = base64.b64encode(body).decode()
        return {"statusCode": response.status, "headers": response.headers, "body": encoded, "isBase64Encoded": True}
