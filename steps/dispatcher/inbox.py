"""The inbox: which events have been handled, what is to be sent because of them, and what has been.

Rules of the contract: only user-facing events are told; a message is sent once per `dedupe_key`, not after `not_after`,
and not when a later event of the same booking has been told. `member.erased` deletes what is kept of those bookings.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
  source TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, sequence TEXT NOT NULL, type TEXT NOT NULL,
  received_at TEXT NOT NULL, fate TEXT NOT NULL, PRIMARY KEY (source, id));
CREATE TABLE IF NOT EXISTS told (subject TEXT PRIMARY KEY, sequence TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
  dedupe_key TEXT PRIMARY KEY, subject TEXT NOT NULL, body TEXT NOT NULL, not_after TEXT, sent_at TEXT);
CREATE INDEX IF NOT EXISTS messages_waiting ON messages (sent_at) WHERE sent_at IS NULL;
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, position INTEGER NOT NULL);
"""
SHOWN = ("failure", "driver", "price", "cancellation", "loyalty", "changes")
"""What templates show beside the parameters of the notification."""
ERASED = ".member.erased.v1"


class Message(NamedTuple):
    """What a member is to be told."""

    dedupe_key: str
    body: dict[str, Any]
    not_after: str | None


class Inbox:
    """One file. Any number of events may be taken in at once, from any number of sources."""

    def __init__(self, path: Path | str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes durable together."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def take_in(self, event: Mapping[str, Any], now: datetime) -> str:
        """Handle one event, inside a transaction; what became of it: TOLD, SILENT, LATE, STALE, ERASED, or REPEATED.

        What is no event raises KeyError, TypeError, ValueError or AttributeError, and then nothing of it is written.
        """
        known = self.db.execute("SELECT 1 FROM inbox WHERE source = ? AND id = ?", (event["source"], event["id"]))
        if known.fetchone():
            return "REPEATED"
        fate = self._handle(event, now)
        row = (event["source"], event["id"], event["subject"], event["sequence"], event["type"], now.isoformat(), fate)
        self.db.execute("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return fate

    def _handle(self, event: Mapping[str, Any], now: datetime) -> str:
        if event["type"].endswith(ERASED):
            for booking in event["data"]["bookings"]:
                self.db.execute("DELETE FROM messages WHERE subject = ?", (booking,))
            return "ERASED"
        notification = event["data"].get("notification")
        if not event["data"].get("user_facing") or notification is None:
            return "SILENT"
        last = self.db.execute("SELECT sequence FROM told WHERE subject = ?", (event["subject"],)).fetchone()
        if last and last[0] > event["sequence"]:
            return "STALE"
        limit = notification.get("not_after")
        if limit and datetime.fromisoformat(limit) < now:
            return "LATE"
        shown = {name: event["data"][name] for name in SHOWN if event["data"].get(name)}
        body = {**notification, "subject": event["subject"], **shown}
        row = (str(notification["dedupe_key"]), event["subject"], json.dumps(body), limit)
        self.db.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (event["subject"], event["sequence"]))
        self.db.execute("INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, NULL)", row)
        return "TOLD"

    def waiting(self, limit: int = 100) -> list[Message]:
        """Messages that are to be sent, in the order in which they came."""
        query = "SELECT dedupe_key, body, not_after FROM messages WHERE sent_at IS NULL ORDER BY rowid LIMIT ?"
        return [Message(key, json.loads(body), until) for key, body, until in self.db.execute(query, (limit,))]

    def sent(self, message: Message, now: datetime) -> None:
        """The message has gone out, or its time is over."""
        self.db.execute(
            "UPDATE messages SET sent_at = ? WHERE dedupe_key = ? AND sent_at IS NULL",
            (now.isoformat(), message.dedupe_key),
        )

    def position(self, source: str) -> int:
        """How far a source that keeps its events has been read."""
        row = self.db.execute("SELECT position FROM positions WHERE source = ?", (source,)).fetchone()
        return int(row[0]) if row else 0

    def move(self, source: str, position: int) -> None:
        """Remember it."""
        self.db.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (source, position))

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()
