"""Where events go: a file, an SNS topic or an SQS queue, named by a URL.

    log:events.jsonl
    sns://arn:aws:sns:eu-west-1:123456789012:booking-events.fifo?region=eu-west-1&endpoint=http://127.0.0.1:5000
    sqs://booking-events.fifo?region=eu-west-1          (a queue's name, its ARN, or its URL)

Region, endpoint and credentials that the URL does not name come from where AWS's tools look for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

from engine import EngineError

DEFAULT = "log:events.jsonl"


class WrongBus(EngineError):
    """The URL of the event bus is not one: write log:FILE, sns://TOPIC-ARN or sqs://QUEUE."""


class BusDown(Exception):
    """The bus cannot take events now; nothing is known of those that were on their way."""


class Event:
    """An event on its way: its id, whose it is (the order is kept within that), and its envelope as text."""

    def __init__(self, event_id: str, subject: str, text: str) -> None:
        self.event_id = event_id
        self.subject = subject
        self.text = text

    @cached_property
    def attributes(self) -> dict[str, str]:
        """What subscribers may filter by: six texts, none of them personal."""
        body = json.loads(self.text)
        data = body["data"]
        found = {
            "type": body["type"],
            "schema": body["dataschema"],
            "status": data.get("status"),
            "airport": data.get("airport_iata"),
            "user_facing": json.dumps(bool(data.get("user_facing"))),
            "terminal": json.dumps(bool(data.get("terminal"))),
        }
        return {name: value for name, value in found.items() if value}


class Fate(NamedTuple):
    """What became of an event that was not accepted. `refused`: the bus will never take it; else it may next time."""

    reason: str
    refused: bool


class Bus(Protocol):
    """Takes events. Belongs to one thread at a time."""

    most: int
    """The most events at once."""

    def publish(self, events: Sequence[Event]) -> dict[str, Fate]:
        """Hand over events, at most one of each subject. Answers, by id, those that were not accepted.

        An event may be accepted and the answer be lost: it is published again then, under the same id. Raises BusDown.
        """
