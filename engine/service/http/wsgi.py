"""WSGI: the service under gunicorn, waitress, mod_wsgi, or inside another WSGI application.

app = WsgiApp(service)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from engine.service.http.messages import Request
from engine.service.http.service import HttpService

MOST_BODY: Final = 65_536
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class WsgiApp:
    """A WSGI application. The server's threads are the service's."""

    def __init__(self, service: HttpService) -> None:
        self.service = service

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """One request, as the server calls it."""
        response = self.service.handle(_request(environ))
        headers = list(response.headers.items())
        bare = environ["REQUEST_METHOD"] == "HEAD" or response.status in (204, 304)
        if isinstance(response.body, bytes) and not bare:
            headers.append(("Content-Length", str(len(response.body))))
        start_response(f"{response.status} {_phrase(response.status)}", headers)
        return [response.body] if isinstance(response.body, bytes) else response.body


def _request(environ: dict[str, Any]) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    # PEP 3333: bytes of the path, each as one character.
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace") or "/"
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, errors="replace")
    return Request(
        environ["REQUEST_METHOD"],
        path,
        query=query,
        headers=headers,
        body=_body(environ),
        peer=environ.get("REMOTE_ADDR"),
    )


def _body(environ: dict[str, Any]) -> bytes | None:
    """The body, or None when it is longer than anybody wants."""
    text = environ.get("CONTENT_LENGTH") or ""
    if not text and not environ.get("wsgi.input_terminated"):
        return b""
    length = int(text) if text.isdecimal() else MOST_BODY + 1
    if text and length > MOST_BODY:
        return None
    body: bytes = environ["wsgi.input"].read(min(length, MOST_BODY + 1))
    return body if len(body) <= MOST_BODY else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
