"""The event log: a file with one event in each line. The bus of an installation without one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence

from steps.bus import BusDown, Event, Fate


class EventLog:
    """Appends events to a file; several processes may, one at a time."""

    most = 500

    def __init__(self, path: str) -> None:
        self.path = path

    def publish(self, events: Sequence[Event]) -> dict[str, Fate]:
        """Add lines and bring them to the disk. Raises BusDown."""
        try:
            append(self.path, [event.text for event in events])
        except OSError as problem:
            raise BusDown(f"{type(problem).__name__}: {problem.strerror}") from problem
        return {}


def append(path: str, lines: Sequence[str]) -> None:
    """Add lines to the log and bring them to the disk. A line torn by a crash is closed first."""
    with open(path, "ab+") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        size = log.seek(0, os.SEEK_END)
        torn = size > 0 and log.seek(size - 1) >= 0 and log.read(1) != b"\n"
        log.write((b"\n" if torn else b"") + "".join(f"{line}\n" for line in lines).encode())
        log.flush()
        os.fsync(log.fileno())
