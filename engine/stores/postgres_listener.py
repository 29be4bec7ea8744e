"""Hearing that something was written to PostgreSQL, in a thread and on a connection of its own."""

from __future__ import annotations

import threading
import time
from typing import Final

import psycopg

from engine.errors import StoreUnavailable
from engine.stores.postgres_connection import connect

CHANNEL: Final = "engine_wake"
NOTIFY: Final = f"NOTIFY {CHANNEL}"
PATIENCE: Final = 1.0


class Listener:
    """Listens until it is closed. What it misses while the server is away, polling finds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._told = True
        self._closed = False
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def told(self) -> bool:
        """Whether something was written since the last call."""
        if not self._told:
            return False
        self._told = False
        return True

    def close(self) -> None:
        """Stop listening, within a second."""
        self._closed = True

    def _listen(self) -> None:
        while not self._closed:
            try:
                with connect(self._url, tuned=False) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._told = True
                    while not self._closed:
                        for _ in connection.notifies(timeout=PATIENCE, stop_after=1):
                            self._told = True
            except (psycopg.Error, StoreUnavailable):
                time.sleep(PATIENCE)
