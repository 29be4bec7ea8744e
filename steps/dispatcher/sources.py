"""Where events come from: the event log, read on from where it was left, or an SQS queue."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from steps.bus.aws import Queue
from steps.dispatcher.inbox import Inbox

Take = Callable[[dict[str, Any]], None]
"""Handles one event, inside the inbox's transaction."""

BATCH = 100
WAIT_S = 1
NEEDED = ("id", "source", "type", "subject", "sequence")
logger = logging.getLogger("dispatcher")


class Source(Protocol):
    """Gives events to an inbox: `read` takes in one batch durably and answers how many events there were."""

    def read(self, inbox: Inbox, take: Take) -> int: ...


class LogSource:
    """The file that the relay writes. Lines that are not whole, or no JSON, are skipped: their event comes again."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.name = f"log:{self.path.resolve()}"

    def read(self, inbox: Inbox, take: Take) -> int:
        """Take in the next lines; the position moves with them."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as log:
            log.seek(inbox.position(self.name))
            lines = whole_lines(log)
        if not lines:
            return 0
        with inbox.transaction():
            for line in lines:
                _is_taken(take, _event(line))
            inbox.move(self.name, inbox.position(self.name) + sum(map(len, lines)))
        return len(lines)


class QueueSource:
    """An SQS queue, subscribed to the topic with raw delivery or without. A message is deleted once it is taken in."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def read(self, inbox: Inbox, take: Take) -> int:
        """Take in what the queue has now. What is no event stays there, and ends in the dead-letter queue."""
        answer = self.queue.client.receive_message(
            QueueUrl=self.queue.url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_S
        )
        messages = answer.get("Messages", ())
        with inbox.transaction():
            good = [message for message in messages if _is_taken(take, _event(message["Body"]))]
        for message in good:
            self.queue.client.delete_message(QueueUrl=self.queue.url, ReceiptHandle=message["ReceiptHandle"])
        return len(good)


def whole_lines(log: BinaryIO, limit: int = BATCH) -> list[bytes]:
    """The next lines, up to the first that is still being written: what follows it later is its own rest."""
    lines: list[bytes] = []
    while len(lines) < limit and (line := log.readline()).endswith(b"\n"):
        lines.append(line)
    return lines


def _event(text: str | bytes) -> dict[str, Any] | None:
    """The envelope, unpacked from SNS's own if need be."""
    try:
        found = json.loads(text)
        if isinstance(found, dict) and "specversion" not in found and isinstance(found.get("Message"), str):
            found = json.loads(found["Message"])
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("specversion") == "1.0" else None


def _is_taken(take: Take, event: dict[str, Any] | None) -> bool:
    """Whether it was an event and is handled. One that breaks the contract must not keep the others waiting."""
    if event is None:
        return False
    if all(isinstance(event.get(name), str) for name in NEEDED):
        try:
            take(event)
            return True
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
    logger.warning("what is no whole event is left alone: %s", event.get("id"))
    return False
