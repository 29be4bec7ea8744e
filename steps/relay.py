"""The relay: takes events from the outbox to the bus, in order per booking, at least once.

It runs beside every worker, and by itself: `python -m steps.relay --follow`. Any number of them may run. An event that
cannot be published stays queued and changes no booking; one that the bus refuses is held, with all later ones of its
booking, and people are called.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import Engine, EngineError, Host, StepError, on_idle
from steps.bookings.moments import later, stamp
from steps.bookings.repository import Repository
from steps.bookings.sql import statements
from steps.bus import DEFAULT, Bus, BusDown, Event, Fate
from steps.bus.opening import open_bus

LEASE_S = 60
"""How long claimed events are left to a relay before others try: longer than any call to a bus takes."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
REFUSED_WAIT_S = 3600.0
LOOK_S = 0.5
STEPS = "steps"

_buses: dict[tuple[str, int], Bus] = {}


@on_idle
def relay(host: Host) -> None:
    """Publish everything that is due."""
    publish(host)


def publish(host: Host) -> int:
    """Publish batch by batch until nothing is due or the bus is down; answer how many events were. Raises WrongBus."""
    target, sql, published = bus(host.settings), statements("relay.sql"), 0
    while True:
        now = stamp(host.now())
        with host.transaction() as db:
            batch = sql["claim"].rows(db, now=now, until=later(now, LEASE_S), limit=target.most)
        if not batch:
            return published
        batch.sort(key=lambda row: (row["created_at"], row["booking_id"]))
        events = [Event(row["event_id"], row["booking_id"], row["envelope"]) for row in batch]
        try:
            fates = target.publish(events)
        except BusDown as problem:
            _settle(host, batch, {event.event_id: Fate(str(problem), refused=False) for event in events})
            host.log("events stay queued: the event bus cannot take them", warning=True, problem=str(problem))
            return published
        _settle(host, batch, fates)
        published += len(batch) - len(fates)


def bus_url(settings: Mapping[str, str]) -> str:
    """Where events go: the setting EVENTS, else the file EVENT_LOG."""
    log = settings.get("EVENT_LOG")
    return settings.get("EVENTS") or (f"log:{log}" if log else DEFAULT)


def bus(settings: Mapping[str, str]) -> Bus:
    """One for each URL and thread: clients keep their connections."""
    key = (bus_url(settings), threading.get_ident())
    if key not in _buses:
        _buses[key] = open_bus(key[0])
    return _buses[key]


def _settle(host: Host, batch: Sequence[Mapping[str, Any]], fates: Mapping[str, Fate]) -> None:
    """Write down what became of a batch."""
    sql, now = statements("relay.sql"), stamp(host.now())
    refused = []
    with host.transaction() as db:
        for row in batch:
            event_id, fate = row["event_id"], fates.get(row["event_id"])
            if fate is None:
                sql["mark_published"].run(db, event_id=event_id, now=now)
                continue
            wait = REFUSED_WAIT_S if fate.refused else _back_off(row["attempts"])
            sql["postpone"].run(db, event_id=event_id, next_attempt_at=later(now, wait), last_error=fate.reason)
            if fate.refused:
                refused.append((row["booking_id"], fate.reason))
    for booking_id, reason in refused:
        host.log("the event bus refuses an event", warning=True, booking_id=booking_id, problem=reason)
        _need_people(host, booking_id)


def _back_off(attempts: int) -> float:
    """Seconds until the next attempt, after so many."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 10))
    return random.uniform(longest / 2, longest)


def _need_people(host: Host, booking_id: str) -> None:
    """Mark the booking. Its event for the operations queue waits behind the refused one; the mark does not."""
    try:
        with host.transaction() as db:
            repo = Repository(db, stamp(host.now()), host.settings)
            repo.need_people(repo.load(booking_id), "event_refused")
    except StepError as problem:  # busy at this moment, or not about a booking: the next refusal comes in an hour
        host.log("a refused event could not be marked", warning=True, booking_id=booking_id, problem=problem.error)


def main(arguments: Sequence[str]) -> int:
    """Drain the outbox of a store, 0 when nothing is left queued; or follow it until stopped."""
    parser = argparse.ArgumentParser(prog="python -m steps.relay", description="Publish queued booking events.")
    parser.add_argument(
        "--store",
        default=os.environ.get("ENGINE_STORE") or "sqlite:///bookings.db",
        metavar="URL",
        help="sqlite:///FILE, a file's name, or postgresql://… (default %(default)s)",
    )
    parser.add_argument(
        "--events",
        default=bus_url(os.environ),
        metavar="URL",
        help="where to: log:FILE, sns://TOPIC-ARN or sqs://QUEUE, with ?region=&endpoint= (default %(default)s)",
    )
    parser.add_argument("--follow", action="store_true", help="go on until stopped by Ctrl-C or SIGTERM")
    options = parser.parse_args(arguments)
    url = options.store if ":" in options.store else f"sqlite:///{options.store}"
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        print(f"there is no store {url} yet; book a ride first, or name another store with --store", file=sys.stderr)
        return 2
    try:
        with Engine(url, steps=STEPS, settings={**os.environ, "EVENTS": options.events}) as engine:
            return _follow(engine.host) if options.follow else _drain(engine.host)
    except EngineError as problem:
        print(problem, file=sys.stderr)
        return 2


def _drain(host: Host) -> int:
    published = publish(host)
    with host.transaction() as db:
        left = statements("relay.sql")["unpublished"].rows(db)[0]["queued"]
    print(f"published {published} events, {left} left")
    return 1 if left else 0


def _follow(host: Host) -> int:
    """Until SIGINT or SIGTERM. A store that is away for a while is waited for."""
    over, published = threading.Event(), 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    print("the relay runs; stop it with Ctrl-C", file=sys.stderr)
    while not over.is_set():
        try:
            published += publish(host)
        except EngineError as problem:
            print(f"the relay waits: {problem}", file=sys.stderr)
        over.wait(LOOK_S)
    print(f"published {published} events")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
