"""ASGI: the service under uvicorn, hypercorn, or inside another ASGI application.

app = AsgiApp(service)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import parse_qsl

from engine.service.http.messages import Request
from engine.service.http.service import HttpService

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_BODY: Final = 65_536
"""Longest body that is read into memory; a longer one is 413 whatever the operation."""
THREADS: Final = 256
"""Requests at once: each has a thread while it is answered, and most of them only wait."""
END: Final = b""


class AsgiApp:
    """An ASGI 3 application. Requests are answered in threads, so that the event loop is never held up."""

    def __init__(self, service: HttpService, *, threads: int = THREADS) -> None:
        self.service = service
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as the server calls it."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            raise ValueError(f"this application does not speak {scope['type']}")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        request = _request(scope, body)
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._pool, self.service.handle, request)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()
        ]
        if isinstance(response.body, bytes):
            if request.method != "HEAD" and response.status not in (204, 304):
                headers.append((b"content-length", str(len(response.body)).encode()))
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
            return
        try:
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await self._stream(iter(response.body), receive, send)
        finally:
            response.drop_body()

    async def _stream(self, parts: Iterator[bytes], receive: Receive, send: Send) -> None:
        """Send what comes until it ends or the caller has gone."""
        loop = asyncio.get_running_loop()
        gone = asyncio.ensure_future(_gone(receive))
        try:
            while not gone.done():
                part = await loop.run_in_executor(self._pool, next, parts, None)
                if part is None:
                    break
                if not gone.done():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            if not gone.done():
                await send({"type": "http.response.body", "body": END})
        finally:
            gone.cancel()

    def close(self) -> None:
        """Take no more requests."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _read(receive: Receive) -> bytes | None:
    """The body, or None when it is longer than anybody wants."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        length += len(part)
        if length <= MOST_BODY:
            parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts) if length <= MOST_BODY else None
        if length > 4 * MOST_BODY:
            return None


def _request(scope: Scope, body: bytes | None) -> Request:
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True, errors="replace")
    peer = scope["client"][0] if scope.get("client") else None
    path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
    return Request(scope["method"], path, query=query, headers=headers, body=body, peer=peer)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
