"""`python -m steps.dispatcher`: take in booking events and send each member's messages once."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from engine import EngineError
from steps.bus import WrongBus
from steps.bus.aws import Queue
from steps.bus.log import EventLog
from steps.bus.opening import open_bus
from steps.dispatcher.inbox import Inbox
from steps.dispatcher.sending import Outgoing, send_waiting
from steps.dispatcher.sources import LogSource, QueueSource, Source

LOOK_S = 0.2


def source_of(url: str) -> Source:
    """The source of a URL: log:FILE or sqs://QUEUE. Raises WrongBus."""
    bus = open_bus(url)
    if isinstance(bus, EventLog):
        return LogSource(bus.path)
    if isinstance(bus, Queue):
        return QueueSource(bus)
    raise WrongBus("a topic cannot be read: subscribe a queue to it, and name that: sqs://QUEUE")


def main(arguments: Sequence[str]) -> int:
    """Take in and send until nothing is left; or follow until stopped."""
    parser = argparse.ArgumentParser(prog="python -m steps.dispatcher", description=__doc__)
    parser.add_argument("--events", default="log:events.jsonl", metavar="URL", help="log:FILE or sqs://QUEUE")
    parser.add_argument("--inbox", default="dispatcher.db", metavar="FILE", help="what has been handled (%(default)s)")
    parser.add_argument("--out", default="sent.jsonl", metavar="FILE", help="where messages go (%(default)s)")
    parser.add_argument("--follow", action="store_true", help="go on until stopped by Ctrl-C or SIGTERM")
    options = parser.parse_args(arguments)
    try:
        source = source_of(options.events)
    except EngineError as problem:
        print(problem, file=sys.stderr)
        return 2
    over, fates = threading.Event(), Counter[str]()
    if options.follow:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: over.set())
    inbox, out = Inbox(options.inbox), Outgoing(options.out)

    def take(event: dict[str, Any]) -> None:
        fates[inbox.take_in(event, datetime.now(UTC))] += 1

    sent = 0
    while not over.is_set():
        taken = source.read(inbox, take)
        sent += send_waiting(inbox, out, lambda: datetime.now(UTC))
        if not taken and not options.follow:
            break
        if not taken:
            over.wait(LOOK_S)
    inbox.close()
    out.close()
    told = ", ".join(f"{count} {fate.lower()}" for fate, count in sorted(fates.items()))
    print(f"{sent} messages sent; events: {told or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
