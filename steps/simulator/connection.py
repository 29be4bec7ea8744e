"""One HTTP/1.1 connection: read requests, write replies, byte by byte under our control where a fault wants it."""

from __future__ import annotations

import http.client
import select
import socket
import struct
import time
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import assert_never
from urllib.parse import parse_qsl, urlsplit

from steps.simulator.clock import http_date
from steps.simulator.contract import Refusal
from steps.simulator.messages import (
    Delivery,
    Drip,
    Hang,
    Reply,
    Request,
    Reset,
    Send,
    ShutDoor,
    Truncate,
    problem_reply,
)

MAX_BODY = 256 * 1024
_MAX_LINE = 16 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Unreadable(Exception):
    """What came is not a request we can read; ``reply`` says so, and the connection ends."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Connection:
    """Owns the socket. Used by one thread, but ``hang_up`` may be called from any."""

    def __init__(self, sock: socket.socket, now: Callable[[], float]) -> None:
        self._socket = sock
        self._file = sock.makefile("rb")
        self._now = now
        self.busy = False
        self.keep_alive = True

    def read(self) -> Request | None:
        """The next request; None when the client has left. Raises Unreadable, OSError."""
        line = self._file.readline(_MAX_LINE)
        self.busy = True
        if not line.strip():
            return None
        try:
            method, target, version = line.decode("ascii").split()
            headers = http.client.parse_headers(self._file)
            parts = urlsplit(target)
            length = int(headers.get("content-length", "0"))
        except (ValueError, http.client.HTTPException) as error:
            raise Unreadable(_problem(400, "not an HTTP request")) from error
        close = headers.get("connection", "").lower() == "close"
        self.keep_alive = version == "HTTP/1.1" and not close
        if "transfer-encoding" in headers:
            raise Unreadable(_problem(411, "Content-Length: is required"))
        if not 0 <= length <= MAX_BODY:
            raise Unreadable(problem_reply(Refusal("payload_too_large")))
        if headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._file.read(length)
        if len(body) < length:
            return None
        fields = {name.lower(): value for name, value in headers.items()}
        local = ip_address(self._socket.getpeername()[0].split("%")[0]).is_loopback
        return Request(method, parts.path, dict(parse_qsl(parts.query)), fields, body, local)

    def deliver(self, delivery: Delivery) -> None:
        """Let the reply leave in its manner.

        Afterwards ``keep_alive`` says whether the connection goes on. Raises OSError.
        """
        match delivery:
            case Send(reply):
                self._write(reply)
            case ShutDoor(reply):
                self.keep_alive = False
                self._write(reply)
            case Hang(seconds):
                self.keep_alive = False
                self._wait_while_connected(seconds)
            case Reset():
                self.keep_alive = False
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            case Truncate(reply):
                self.keep_alive = False
                self._socket.sendall(self._head(reply) + reply.body[: len(reply.body) // 2])
            case Drip(reply, seconds):
                self._drip(reply, seconds)
            case _:
                assert_never(delivery)
        self.busy = False

    def hang_up(self) -> None:
        """End it from outside: whoever reads, waits or writes here stops doing so."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _write(self, reply: Reply) -> None:
        self._socket.sendall(self._head(reply) + reply.body)

    def _head(self, reply: Reply) -> bytes:
        try:
            phrase = HTTPStatus(reply.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Date: {http_date(self._now())}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if reply.status != 204:
            lines.append(f"Content-Length: {len(reply.body)}")
        if not self.keep_alive:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _drip(self, reply: Reply, seconds: float) -> None:
        self._socket.sendall(self._head(reply))
        for place in range(len(reply.body)):
            self._wait_while_connected(seconds / len(reply.body))
            self._socket.sendall(reply.body[place : place + 1])

    def _wait_while_connected(self, seconds: float) -> None:
        """Return after ``seconds``, or at once when the other side leaves or ``hang_up`` is called."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLRDHUP)
        while (left := until - time.monotonic()) > 0:
            for _, event in poll.poll(left * 1000):
                if event & (select.POLLRDHUP | select.POLLHUP | select.POLLERR):
                    raise ConnectionAbortedError("the client has left")
                poll.modify(self._socket, select.POLLRDHUP)  # more was sent; only leaving matters


def _problem(status: int, detail: str) -> Reply:
    return problem_reply(Refusal("invalid_request", detail, status=status))
