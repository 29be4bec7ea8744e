"""What must hold when all is quiet: every invariant, asked of tables, events, the taxi company and the consumer.

I15 and I18 are seen by the clients (riders.py); I22, what a killed process leaves, is what all of the others say.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from steps.bookings.moments import stamp
from tests.booking import invariants
from tests.booking.world import SIM_RIDES
from tests.soak.company import Company

SHOWN = 20
OWED = ("TOLD", "SILENT", "LATE", "STALE")


class Audit:
    """Asks everything once. `found` has for each invariant the violations, [] where it holds."""

    def __init__(self, db: psycopg.Connection[Any], company: Company, folder: Path) -> None:
        self.db = db
        self.company = company
        self.log, self.inbox, self.sent = (folder / name for name in ("events.jsonl", "dispatcher.db", "sent.jsonl"))
        self.events: dict[str, dict[str, Any]] = {}
        self.repeated = 0
        self.found: dict[str, list[Any]] = {}

    def ask(self, wrong: Iterable[str]) -> dict[str, list[Any]]:
        """Every invariant; `wrong` is what the clients saw."""
        self._take_in_truth()
        self._read_log()
        ago = f"'{stamp(datetime.now(UTC) - timedelta(hours=1))}'"
        for name, query in invariants.QUERIES.items():
            found = self.rows(query.replace("${yesterday}", ago))
            if name.startswith("I04"):
                name, found = f"{name}, or the passenger sits in it and people were told", self._not_for_people(found)
            self._note(name, (list(row.values()) for row in found))
        wrong = list(wrong)
        self._note("I15 one key, one booking, one answer", (text for text in wrong if text.startswith("I15")))
        self._note("I16 every transition is an edge", invariants.impossible_transitions(self.rows))
        told = {row["booking_id"] for row in self.rows("SELECT booking_id FROM bookings WHERE attention = 1")}
        lost = (name for name in invariants.not_where_the_ride_is(self.rows, self.company) if name not in told)
        self._note("I17 a booking is where its ride is, or people were told", lost)
        self._note("I18 nobody sees another's booking", (text for text in wrong if text.startswith("I18")))
        self._note("I19 no personal data in events, logs and rows", invariants.leaks(self.rows, self.log))
        self._note("I20 the taxi company is not called without end", invariants.asked_too_often(self.rows))
        self._note("I23 every event reached the log, in order", self._untold())
        self._note("I23 the consumer took every event in once, and told each message once", self._told_wrongly())
        self._note("every client got its answers", (text for text in wrong if text[:3] not in ("I15", "I18")))
        return self.found

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query finds."""
        cursor = self.db.execute(sql.replace("%", "%%"))  # type: ignore[arg-type]
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def _note(self, name: str, violations: Iterable[Any]) -> None:
        self.found[name] = list(violations)

    def _not_for_people(self, found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Of bookings that ended without a ride those whose live ride could still be cancelled, or that nobody was told
        of. A taxi company that makes two rides of one create (two_live_rides) may have a passenger in the second one
        before anybody knows of it: it refuses to cancel that, and only people can sort it out."""
        alive = [ride for ride in self.company.rides() if ride["live"]]
        told = {row["booking_id"] for row in self.rows("SELECT booking_id FROM bookings WHERE attention = 1")}
        open_ = {ride["booking_id"] for ride in alive if ride["status"] != "PASSENGER_ON_BOARD"}
        return [row for row in found if row["booking_id"] in open_ or row["booking_id"] not in told]

    def _take_in_truth(self) -> None:
        self.company.look()
        self.db.execute(SIM_RIDES)  # type: ignore[arg-type]
        with self.db.cursor() as cursor, cursor.copy("COPY sim_rides FROM STDIN") as rows:
            for ride in self.company.rides():
                rows.write_row((ride["ride_ref"], ride["booking_id"], ride["client_reference"], int(ride["live"])))

    def _read_log(self) -> None:
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # a line torn by a kill is followed by the same event again
                body = json.loads(line)
                self.repeated += body["id"] in self.events
                self.events.setdefault(body["id"], body)

    def _untold(self) -> Iterator[Any]:
        """Bookings whose events are not all in the log, or were first written in another order."""
        seen: dict[str, list[int]] = {}
        for body in self.events.values():
            if "expirytime" not in body:  # what comes too late is not stored
                seen.setdefault(body["subject"], []).append(int(body["sequence"]))
        for row in self.rows("SELECT booking_id, MAX(seq) AS last FROM outbox GROUP BY booking_id"):
            if seen.get(row["booking_id"]) != list(range(1, row["last"] + 1)):
                yield row["booking_id"], seen.get(row["booking_id"])

    def _told_wrongly(self) -> Iterator[str]:
        """Events that the consumer does not have, messages that went out twice, not at all, or for no event."""
        with closing(sqlite3.connect(self.inbox)) as inbox:
            fates = dict(inbox.execute("SELECT id, fate FROM inbox").fetchall())
        yield from (f"event {name} was not taken in" for name in self.events.keys() - fates.keys())
        sent = Counter(json.loads(line)["dedupe_key"] for line in self.sent.read_bytes().splitlines())
        yield from (f"message {key} was sent {count} times" for key, count in sent.items() if count != 1)
        owed = {
            body["data"]["notification"]["dedupe_key"]
            for name, body in self.events.items()
            if fates.get(name) == "TOLD"
        }
        yield from (f"message {key} belongs to no event" for key in sent.keys() - owed)
        late = self._over(owed - sent.keys())
        yield from (f"message {key} was not sent" for key in owed - sent.keys() - late)

    def _over(self, keys: set[str]) -> set[str]:
        """Of these messages those that may have been too late when their turn came."""
        now = datetime.now(UTC)
        found = set()
        for body in self.events.values():
            told = body["data"].get("notification") or {}
            limit = told.get("not_after")
            if told.get("dedupe_key") in keys and limit and datetime.fromisoformat(limit) < now:
                found.add(told["dedupe_key"])
        return found
