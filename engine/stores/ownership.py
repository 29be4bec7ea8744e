"""Which processes live, on SQLite: one byte of a file beside the database is locked by each owner.

The byte's position is the owner's id. The kernel gives the lock back the moment the process dies, `kill -9` included.
POSIX locks do not hold within one process, so a process also keeps its own list.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Final

from engine.errors import StoreUnavailable

OWNER_BITS: Final = 52
"""Ids of owners are drawn at random: two never meet."""

_guard = threading.Lock()
_held: dict[str, set[int]] = {}
"""The owners whose locks this process holds, by database."""
_files: dict[str, int] = {}
"""The lock files of these databases, one descriptor each: closing any would drop all of this process's locks in it."""


class Locks:
    """The locks of the owners of one database. `file` None: the database is this process's own, and so are they."""

    def __init__(self, file: Path | None, database: str) -> None:
        self._file = None if file is None else str(file.resolve())
        self._database = self._file or database

    def hold(self, owner: int) -> bool:
        """Take the lock of that owner; False when it is held, by this process or another one."""
        with _guard:
            if owner in _held.get(self._database, ()):
                return False
            if self._file is not None:
                try:
                    fcntl.lockf(_descriptor(self._file), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, owner)
                except (BlockingIOError, PermissionError):
                    self._close_unused()
                    return False
            _held.setdefault(self._database, set()).add(owner)
            return True

    def give_back(self, owner: int) -> None:
        """Let go of a lock that this process holds."""
        with _guard:
            _held.get(self._database, set()).discard(owner)
            if self._file is not None:
                fcntl.lockf(_descriptor(self._file), fcntl.LOCK_UN, 1, owner)
            self._close_unused()

    def free(self, owner: int) -> bool:
        """Whether nobody holds the lock: that owner's process has ended."""
        if not self.hold(owner):
            return False
        self.give_back(owner)
        return True

    def _close_unused(self) -> None:
        """Close the file when this process holds no lock in it: who opens many databases must not run out of files."""
        if not _held.get(self._database):
            _held.pop(self._database, None)
            if self._database in _files:
                os.close(_files.pop(self._database))


def _descriptor(path: str) -> int:
    if path not in _files:
        try:
            _files[path] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise StoreUnavailable(f"the lock file {path} cannot be written: {problem.strerror}") from problem
    return _files[path]
