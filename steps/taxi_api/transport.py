"""An httpx transport whose calls end: one deadline covers connecting, sending, and reading headers and body.

httpx limits each network operation by itself, so a peer that sends one byte now and then holds a call for ever. Here
every operation gets the lesser of its own limit and what is left of the call's deadline.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

deadline: ContextVar[float] = ContextVar("deadline")
"""When the present call must be over, on the monotonic clock."""

MAX_CONNECTIONS = 32
KEEP_ALIVE_S = 5.0


def _left(limit: float | None, too_late: type[Exception]) -> float:
    """The seconds an operation may take. Raises when the deadline has passed."""
    left = deadline.get() - time.monotonic()
    if left <= 0:
        raise too_late("the call's deadline has passed")
    return left if limit is None else min(limit, left)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        limit = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        limit = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, limit, local_address, socket_options))


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport on a connection pool that watches the deadline. Use it inside a `deadline`.

    Requests are given to it directly: what a client would add (redirects, cookies, proxies of the environment) is not
    wanted here, and costs a third as much as the call itself.
    """

    def __init__(self) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        # httpx takes no network backend; its pool is the one place that does.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=_Backend(),
        )
