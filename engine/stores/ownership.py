"""Who runs an execution: a lock on one byte of a file beside the database. It dies with its process, kill -9 included.

The byte's position comes from the execution's name. POSIX locks do not hold within one process, so a process also
keeps its own list.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ExecutionBusy, StoreUnavailable

_held: set[tuple[str, str]] = set()
_guard = threading.Lock()
_files: dict[str, int] = {}
"""Open lock files by path. One descriptor each for the life of the process: closing any would drop all its locks."""


@contextmanager
def own(lock_file: Path | None, database: str, name: str) -> Iterator[None]:
    """Hold the execution `name` of `database`. Raises ExecutionBusy when it is held elsewhere."""
    held = (database, name)
    busy = ExecutionBusy(f"execution {name!r} is being run by another process; wait for it, or look with: engine show")
    with _guard:
        if held in _held:
            raise busy
        position = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
        if lock_file is not None:
            try:
                fcntl.lockf(_descriptor(lock_file), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
            except (BlockingIOError, PermissionError):
                raise busy from None
        _held.add(held)
    try:
        yield
    finally:
        with _guard:
            _held.discard(held)
            if lock_file is not None:
                fcntl.lockf(_descriptor(lock_file), fcntl.LOCK_UN, 1, position)


def _descriptor(lock_file: Path) -> int:
    key = str(lock_file.resolve())
    if key not in _files:
        try:
            _files[key] = os.open(key, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise StoreUnavailable(f"the lock file {lock_file} cannot be written: {problem.strerror}") from problem
    return _files[key]
