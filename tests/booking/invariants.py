"""What must hold for all bookings, whatever happened: the queries of invariants.sql, and what SQL does not see.

I15 and I18 are about answers of the API, I22 about what a killed process leaves: they have tests of their own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from steps.bookings.following import OURS, RIDE
from steps.bookings.lifecycle import lifecycle
from steps.bookings.moments import later, parse, stamp

QUERIES = dict(
    re.findall(
        r"^-- name: (I\d\d [^\n]+)\n(.+?;)$", Path(__file__).with_name("invariants.sql").read_text(), re.M | re.S
    )
)
SECRETS = ("Rivera", "RIVERA", "+447700900123", "ana.rivera", "Example Boulevard", "Example Tower", "55.3644")
"""What the example's request has of personal data."""
CREATES, GENERATIONS, CALLS_IN_AN_HOUR = 3, 2, 25
CANCELLED = "SELECT DISTINCT booking_id, generation FROM ride_attempts WHERE op = 'CANCEL' AND resolution = 'CANCELLED'"
"""After a ride that the taxi company has cancelled, another one may be asked for."""

Rows = Callable[[str], list[dict[str, Any]]]


class Company(Protocol):
    """The taxi company's own knowledge."""

    def rides(self) -> list[dict[str, Any]]:
        """Every ride there is: ride_ref, client_reference, booking_id, live, status, sequence ..."""

    def calls(self, op: str, client_reference: str | None = None) -> int:
        """How often an operation was called, in all or for one reference."""


def violations(rows: Rows, sim: Company, log: Path, now: str) -> list[str]:
    """The names of the invariants that do not hold."""
    yesterday = f"'{stamp(parse(now) - timedelta(hours=1))}'"
    found = [name for name, query in QUERIES.items() if rows(query.replace("${yesterday}", yesterday))]
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    others = {
        "I16 every transition is an edge": impossible_transitions(rows),
        "I17 a message changes a booking once, and a booking is where its ride is": not_where_the_ride_is(rows, sim),
        "I19 no personal data in events, logs and rows": leaks(rows, log),
        "I20 the taxi company is not called without end": called_too_often(rows, sim),
        "I23 the end of every booking was told, once per event id": untold_ends(rows, lines),
    }
    return found + [name for name, wrong in others.items() if any(True for _ in wrong)]


def impossible_transitions(rows: Rows) -> Iterator[str]:
    """I16."""
    cycle = lifecycle()
    for row in rows("SELECT * FROM booking_transitions"):
        edge = cycle.edges.get((row["from_status"], row["cause"]))
        first = row["from_status"] is None and row["to_status"] == cycle.initial
        if not first and (edge is None or row["to_status"] not in edge.targets):
            yield row["booking_id"]


def not_where_the_ride_is(rows: Rows, sim: Company) -> Iterator[str]:
    """I17, as far as the booking has seen its ride: the sequence that it saw last is the ride's status then."""
    now = {ride["ride_ref"]: ride for ride in sim.rides()}
    for row in rows("SELECT booking_id, status, ride_ref, doc FROM bookings WHERE terminal_at IS NULL"):
        known, ride = json.loads(row["doc"]).get("ride") or {}, now.get(row["ride_ref"])
        if ride is None or known.get("sequence") != ride["sequence"] or row["status"] in OURS:
            continue
        if RIDE.get(ride["status"], (row["status"],))[0] != row["status"]:
            yield row["booking_id"]


def leaks(rows: Rows, log: Path) -> Iterator[str]:
    """I19."""
    tables = ("bookings", "booking_transitions", "ride_attempts", "outbox", "webhook_inbox", "booking_pii")
    places = {table: json.dumps(rows(f"SELECT * FROM {table}"), ensure_ascii=False) for table in tables}
    places["the event log"] = log.read_text() if log.exists() else ""
    yield from (place for place, text in places.items() if any(secret in text for secret in SECRETS))


def called_too_often(rows: Rows, sim: Company) -> Iterator[str]:
    """I20."""
    references = {row["client_reference"] for row in rows("SELECT client_reference FROM ride_attempts")}
    yield from (reference for reference in references if sim.calls("createRide", reference) > CREATES)
    yield from asked_too_often(rows)


def asked_too_often(rows: Rows) -> Iterator[str]:
    """I20, as far as our own rows tell: creates that were not carried out, by the taxi company's own word, are none."""
    sent = "FROM ride_attempts WHERE op = 'CREATE' AND outcome <> 'NOT_SENT'"
    for row in rows(f"SELECT client_reference, COUNT(*) AS creates {sent} GROUP BY client_reference"):
        if row["creates"] > CREATES:
            yield f"{row['client_reference']}: {row['creates']} creates"
    references = {row["client_reference"] for row in rows("SELECT client_reference FROM ride_attempts")}
    generations = Counter(reference.rpartition("-r")[0] for reference in references)
    ended = Counter(row["booking_id"] for row in rows(CANCELLED))
    yield from (booking for booking, count in generations.items() if count > GENERATIONS + ended[booking])
    query = "SELECT booking_id, started_at FROM ride_attempts WHERE op IN ('CREATE', 'LOOKUP') ORDER BY started_at"
    begun: dict[str, list[str]] = {}
    for row in rows(query):
        begun.setdefault(row["booking_id"], []).append(row["started_at"])
    for booking, moments in begun.items():
        calls = sum(moment <= later(moments[0], 3600) for moment in moments)
        if calls > CALLS_IN_AN_HOUR:
            yield f"{booking}: {calls} calls"


def untold_ends(rows: Rows, lines: list[dict[str, Any]]) -> Iterator[str]:
    """I23, once the relay has been through."""
    told = {line["id"]: line["subject"] for line in lines if line["data"].get("terminal")}
    ends = Counter(told.values())
    yield from (booking for booking, count in ends.items() if count > 1)
    published = "SELECT booking_id FROM outbox WHERE terminal = 1 AND published_at IS NOT NULL"
    yield from (row["booking_id"] for row in rows(published) if lines and ends[row["booking_id"]] != 1)
