"""The relay: takes events from the outbox to the event log, in order per booking, at least once.

It runs whenever an engine has nothing else to do, and by itself: `python -m steps.relay --store bookings.db`. An event
that cannot be written stays queued and changes no booking.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import Engine, EngineError, Host, on_idle
from steps.bookings.moments import later, stamp
from steps.bookings.sql import statements

BATCH = 50
EVENT_LOG = "events.jsonl"
STEPS = "steps"
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0


@on_idle
def relay(host: Host) -> None:
    """Publish everything that is due."""
    publish(host)


def publish(host: Host) -> int:
    """Publish batch by batch until nothing is due or the log cannot be written; answer how many events were."""
    sql, log, published = statements("relay.sql"), host.settings.get("EVENT_LOG") or EVENT_LOG, 0
    while True:
        with host.transaction() as db:
            batch = sql["due_events"].rows(db, now=stamp(host.now()), limit=BATCH)
        if not batch:
            return published
        try:
            append(log, [event["envelope"] for event in batch])
        except OSError as problem:
            _postpone(host, batch, f"{type(problem).__name__}: {problem.strerror}")
            said = "events stay queued: the event log cannot be written"
            host.log(said, warning=True, file=log, problem=problem.strerror)
            return published
        with host.transaction() as db:
            for event in batch:
                sql["mark_published"].run(db, event_id=event["event_id"], now=stamp(host.now()))
        published += len(batch)


def append(path: str, lines: Sequence[str]) -> None:
    """Add lines to the log and bring them to the disk. A line torn by a crash is closed first."""
    with open(path, "ab+") as log:
        size = log.seek(0, os.SEEK_END)
        torn = size > 0 and log.seek(size - 1) >= 0 and log.read(1) != b"\n"
        log.write((b"\n" if torn else b"") + "".join(f"{line}\n" for line in lines).encode())
        log.flush()
        os.fsync(log.fileno())


def _postpone(host: Host, batch: Sequence[Mapping[str, Any]], problem: str) -> None:
    now = stamp(host.now())
    with host.transaction() as db:
        for event in batch:
            longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(event["attempts"], 10))
            wait = random.uniform(longest / 2, longest)
            next_attempt = later(now, wait)
            statements("relay.sql")["mark_failed"].run(
                db, event_id=event["event_id"], next_attempt_at=next_attempt, last_error=problem
            )


def main(arguments: Sequence[str]) -> int:
    """Drain the outbox of a store; 0 when nothing is left queued."""
    parser = argparse.ArgumentParser(prog="python -m steps.relay", description="Publish queued booking events.")
    parser.add_argument(
        "--store",
        default=os.environ.get("ENGINE_STORE") or "sqlite:///bookings.db",
        metavar="URL",
        help="sqlite:///FILE, a file's name, or postgresql://… (default %(default)s)",
    )
    url = parser.parse_args(arguments).store
    url = url if ":" in url else f"sqlite:///{url}"
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        print(f"there is no store {url} yet; book a ride first, or name another store with --store", file=sys.stderr)
        return 2
    try:
        with Engine(url, steps=STEPS) as engine:
            published = publish(engine.host)
            with engine.host.transaction() as db:
                left = statements("relay.sql")["unpublished"].rows(db)[0]["queued"]
    except EngineError as problem:
        print(problem, file=sys.stderr)
        return 2
    print(f"published {published} events, {left} left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
