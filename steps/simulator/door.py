"""The listening socket, which can be shut: refusing (connection refused) or silent (nobody accepts; the black hole).

While it is shut the port stays ours. Silent works by a full accept queue, as Linux leaves further connections
unanswered then.
"""

from __future__ import annotations

import contextlib
import socket
import time
from threading import Lock

_BACKLOG = 512
_FILLERS = 8


class Door:
    """Listens at ``host``:``port`` (0: any free port) from the start; OSError when the port is taken. Thread-safe."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self._lock = Lock()
        self._listener = self._bind(port)
        self.port = int(self._listener.getsockname()[1])
        self._listener.listen(_BACKLOG)
        self._fillers: list[socket.socket] = []
        self._open_at: float | None = None
        self._closed = False

    def listener(self) -> socket.socket | None:
        """The socket to wait on for new connections; None while shut."""
        with self._lock:
            return None if self._closed or self._open_at is not None else self._listener

    def seconds_shut(self) -> float | None:
        """For how long it will stay shut; None when it is open."""
        with self._lock:
            return None if self._open_at is None else max(0.0, self._open_at - time.monotonic())

    def accept(self) -> socket.socket | None:
        """A new connection if there is one and the door is open."""
        with self._lock:
            if self._closed or self._open_at is not None:
                return None
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return None
            connection.setblocking(True)
            return connection

    def shut(self, seconds: float, silent: bool) -> None:
        """For ``seconds`` of real time let nobody in."""
        with self._lock:
            if self._closed:
                return
            self._rebind()
            self._open_at = time.monotonic() + seconds
            if silent:
                self._fill()

    def reopen(self) -> None:
        """Let people in again."""
        with self._lock:
            if self._closed or self._open_at is None:
                return
            self._rebind()
            self._open_at = None
            self._listener.listen(_BACKLOG)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._close_sockets()

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, port))
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    def _rebind(self) -> None:
        self._close_sockets()
        self._listener = self._bind(self.port)

    def _close_sockets(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers = []
        self._listener.close()

    def _fill(self) -> None:
        self._listener.listen(0)
        for _ in range(_FILLERS):
            filler = socket.socket(self._listener.family, socket.SOCK_STREAM)
            self._fillers.append(filler)
            filler.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                filler.connect((self.host, self.port))
                continue
            return  # the queue is full: this one was left unanswered
