"""From a URL to its bus."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from steps.bus import Bus, WrongBus, aws
from steps.bus.log import EventLog


def open_bus(url: str) -> Bus:
    """The bus of a URL. Raises WrongBus."""
    scheme, _, rest = url.partition(":")
    if scheme == "log" and rest:
        return EventLog(rest.removeprefix("//"))
    target, _, query = rest.removeprefix("//").partition("?")
    options: dict[str, Any] = dict(parse_qsl(query))
    if scheme in ("sns", "sqs") and target and set(options) <= {"region", "endpoint"}:
        return aws.Topic(target, **options) if scheme == "sns" else aws.Queue(target, **options)
    raise WrongBus(f"{url!r} is no event bus: write log:FILE, sns://TOPIC-ARN or sqs://QUEUE, with ?region=&endpoint=")
