"""Answers that need no flow: `x-answer` of an operation names one of these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from engine.errors import EngineError
from engine.runtime.engine import Engine
from engine.service.http.document import OpenApi
from engine.service.http.messages import JSON_TYPE, Request, Response, encode
from engine.service.http.page import POLICY, render
from engine.service.http.problems import Catalogue, Refused
from engine.telemetry.prometheus import CONTENT_TYPE, prometheus

PUBLIC: Final = {"Cache-Control": "public, max-age=300"}
LIVE: Final = {"Cache-Control": "no-store"}


class Service(Protocol):
    """What these answers need of the service. `checks`: by name, what must be there; `public_document`: as bytes."""

    checks: Mapping[str, Callable[[], Any]]
    public_document: bytes
    document: OpenApi
    catalogue: Catalogue
    engine: Engine


def health(service: Service, request: Request, path: Mapping[str, str]) -> Response:
    """The process answers."""
    return Response(200, {"Content-Type": JSON_TYPE, **LIVE}, encode({"status": "ok"}))


def ready(service: Service, request: Request, path: Mapping[str, str]) -> Response:
    """Everything that requests need is there: the store, and what else was given as a check."""
    checks = {name: _passes(check) for name, check in service.checks.items()}
    good = all(checks.values())
    body = {"status": "ready" if good else "not ready", "checks": checks}
    headers = {"Content-Type": JSON_TYPE, **LIVE, **({} if good else {"Retry-After": "5"})}
    return Response(200 if good else 503, headers, encode(body))


def document(service: Service, request: Request, path: Mapping[str, str]) -> Response:
    """The OpenAPI document."""
    return Response(200, {"Content-Type": JSON_TYPE, **PUBLIC}, service.public_document)


def page(service: Service, request: Request, path: Mapping[str, str]) -> Response:
    """The OpenAPI document, to be read by people."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY, **PUBLIC}
    return Response(200, headers, render(service.document.public()))


def problem(service: Service, request: Request, path: Mapping[str, str]) -> Response:
    """What a problem type means."""
    code = next(iter(path.values()), "")
    if code not in service.catalogue.codes:
        raise Refused("not_found")
    entry = service.catalogue.entry(code)
    shown = {
        "type": f"/problems/{code}",
        **{name: value for name, value in entry.items() if name != "code"},
        "code": code,
    }
    return Response(200, {"Content-Type": JSON_TYPE, **PUBLIC}, encode(shown))


def metrics(service: Service, request: Request, path: Mapping[str, str]) -> Response:
    """What was counted here, and what the hooks of the steps package read."""
    engine = service.engine
    body = prometheus().render(engine.steps.samples(engine.host.beside()))
    return Response(200, {"Content-Type": CONTENT_TYPE, **LIVE}, body)


def _passes(check: Callable[[], Any]) -> bool:
    try:
        return check() is not False
    except (EngineError, OSError, json.JSONDecodeError):
        return False


BUILTIN: Final[dict[str, Callable[[Service, Request, Mapping[str, str]], Response]]] = {
    "health": health,
    "ready": ready,
    "document": document,
    "page": page,
    "problem": problem,
    "metrics": metrics,
}
"""By the value of `x-answer`."""
