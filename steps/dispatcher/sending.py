"""Where messages go: a file, standing in for the providers of push messages, SMS and mail.

A provider that takes an idempotency key needs no more than `dedupe_key`. The file has none, so it is read once at the
start: what a crash left between sending and writing it down is found there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from steps.dispatcher.inbox import Inbox, Message


class Outgoing:
    """Appends each message once, by its `dedupe_key`."""

    def __init__(self, path: Path | str) -> None:
        self._file = open(path, "ab+")  # noqa: SIM115 - open as long as this lives
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        if lines[-1]:
            self._file.truncate(self._file.tell() - len(lines[-1]))  # torn by a crash: it is sent again, whole
        self._keys = {json.loads(line)["dedupe_key"] for line in lines[:-1]}

    def send(self, message: Message) -> None:
        """Send it, unless it has been."""
        if message.dedupe_key in self._keys:
            return
        self._file.write(json.dumps(message.body).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._keys.add(message.dedupe_key)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def send_waiting(inbox: Inbox, out: Outgoing, clock: Callable[[], datetime]) -> int:
    """Send all that waits; how many messages. Those whose time is over are dropped."""
    count = 0
    while messages := inbox.waiting():
        for message in messages:
            now = clock()
            if message.not_after is None or datetime.fromisoformat(message.not_after) >= now:
                out.send(message)
                count += 1
            inbox.sent(message, now)
    return count
