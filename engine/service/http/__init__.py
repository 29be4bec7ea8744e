"""The HTTP front door: operations of an OpenAPI document, answered by flows.

    service = HttpService("schemas/openapi.yaml", engine, worker=worker)
    response = service.handle(Request("GET", "/healthz"))

`HttpService.handle` takes a request and answers a response, and knows no server; `AsgiApp`, `WsgiApp` and
`LambdaHandler` are thin coats on it. docs/embedding.md shows each of them running.
"""

from __future__ import annotations

from engine.service.http.asgi import AsgiApp
from engine.service.http.aws_lambda import LambdaHandler
from engine.service.http.messages import Request, Response
from engine.service.http.service import HttpService
from engine.service.http.wsgi import WsgiApp

__all__ = ["AsgiApp", "HttpService", "LambdaHandler", "Request", "Response", "WsgiApp"]
