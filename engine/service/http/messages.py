"""Requests and responses as values. Adapters make one and send the other; nothing here knows a server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.values import JSON

JSON_TYPE: Final = "application/json"
PROBLEM_TYPE: Final = "application/problem+json"
STREAM_TYPE: Final = "text/event-stream"
NOT_IN_A_HEADER: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Request:
    """One request.

    `path` is decoded from percent-encoding and begins with `/`; `query` holds the pairs in their order, decoded;
    `headers` maps names in lower case to values. `claims`: what somebody in front (API Gateway) has verified of the
    caller's token, None when nobody has. `body` is None when it was longer than the server reads. `follows`: whether a
    stream may be sent as it comes; if not, it is what there is so far.
    """

    __slots__ = ("body", "claims", "follows", "headers", "method", "path", "peer", "query")

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = b"",
        claims: Mapping[str, Any] | None = None,
        peer: str | None = None,
    ) -> None:
        self.method = method.upper()
        self.path = path
        self.query = list(query)
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.body = body
        self.claims = claims
        self.peer = peer
        self.follows = True

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return self.headers.get(name.lower())


class Response:
    """One response. `body` is bytes, or an iterable of bytes that is sent as it comes (server-sent events)."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes | Iterable[bytes] = b""
    ) -> None:
        self.status = status
        self.headers = {name: plain(value) for name, value in (headers or {}).items()}
        self.body = body

    @property
    def streams(self) -> bool:
        """Whether the body comes bit by bit."""
        return not isinstance(self.body, bytes)

    def drop_body(self) -> None:
        """Send the head alone. A stream that nobody will read is ended, so that its place is free again."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()
        self.body = b""

    def json(self) -> Any:
        """The body read as JSON, for tests and callers in process."""
        assert isinstance(self.body, bytes)
        return json.loads(self.body)


def plain(value: str) -> str:
    """A header's value without anything that could end it: no line of a response comes out of somebody's data."""
    return NOT_IN_A_HEADER.sub("", value).strip()


def encode(value: JSON) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
