"""The soak: thousands of bookings on real processes that are killed, a taxi company that fails, and all invariants.

Two workers and two relays share one PostgreSQL. One after the other is killed with SIGKILL and started again. The taxi
company plays every fault of its catalogue with some probability. Some members cancel. When all is booked, the faults
stop, and everything has time to become quiet; then every invariant is asked.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import psycopg

from engine import Engine
from steps.bookings import identifiers
from steps.bookings.moments import stamp
from steps.simulator import Simulator
from steps.simulator.catalogue import catalogue
from tests.booking import invariants
from tests.booking.world import ROOT, SIM_RIDES, asap

DOORS = ("refuse", "black_hole")
"""Faults that strike all bookings of a moment, not one: they come more rarely."""
LASTING = "price_changed"
"""It changes what the route costs for everybody from then on: after some, no ride is cheap enough."""
CANCELS = 0.05
UNDER_WAY = 30
"""More at once on a busy machine, and calls time out because nobody gets round to them."""
SLOW_CANCEL = ("Seconds: 900", "Seconds: 15")
SCALE = "0.3"
HANG_S = 3.0
SETTLED = "status NOT IN ('REQUESTED','PENDING_CONFIRMATION','COMPENSATING','CANCELLATION_PENDING')"


@dataclass
class Report:
    """What a soak did and found."""

    seed: int
    bookings: int
    seconds: float = 0.0
    quiet_seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    cancels: int = 0
    events: int = 0
    repeated_events: int = 0
    violations: dict[str, list[Any]] = field(default_factory=dict)

    def text(self) -> str:
        """For people and machines."""
        return json.dumps(vars(self), indent=2, default=dict)


def plan(rate: float) -> dict[str, Any]:
    """Every fault of the catalogue that concerns a call, each with its share of the calls."""
    faults = []
    for entry in (entry for found in catalogue().values() for entry in found["plan"]["faults"]):
        if entry.get("op") == "webhook" or entry["fault"] == LASTING:
            continue
        often = rate / 20 if entry["fault"] in DOORS else rate
        kept = {key: value for key, value in entry.items() if key not in ("nth", "times")}
        faults.append({**kept, "probability": often})
    return {"faults": faults, "hang_s": HANG_S}


class Soak:
    """One soak on the PostgreSQL of `url`, with its files in `folder`."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        bookings: int,
        seed: int,
        rate: float,
        kill_every: float,
        patience: float,
        longest: float = inf,
    ) -> None:
        self.url = url
        self.folder = folder
        self.lot = random.Random(seed)
        self.kill_every = kill_every
        self.patience = patience
        self.longest = longest
        self.report = Report(seed, bookings)
        self.sim = Simulator(plan(rate), seed=seed).start()
        self.log = folder / "events.jsonl"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.over = threading.Event()
        self.db = psycopg.connect(url, autocommit=True)
        self.settings = self._settings()
        self.engine = Engine(url, steps="steps", settings=self.settings)
        self.names = [self._name(number) for number in range(bookings)]

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> Report:
        """All of it."""
        began = time.monotonic()
        killer = threading.Thread(target=self._kill, daemon=True)
        try:
            for name in ("worker-1", "worker-2", "relay-1", "relay-2"):
                self._start(name)
            killer.start()
            self._book()
            self._wait(lambda: self._unsettled() == 0, self.patience)
            self.report.seconds = round(time.monotonic() - began, 1)
            self.over.set()
            killer.join()
            self.report.faults = dict(self.sim.simulation.faults.struck)
            self.sim.set_plan({})
            self._become_quiet()
        finally:
            self.over.set()
            for process in self.processes.values():
                process.kill()
                process.wait()
        self._count()
        self._ask()
        return self.report

    def close(self) -> None:
        """Let go of everything."""
        self.engine.close()
        self.db.close()
        self.sim.stop()

    def _book(self) -> None:
        """Start all bookings, and cancel some of those that are there, with few of them under way at a time."""
        flow, cancel = self._flow("booking"), self._flow("cancel")
        until = time.monotonic() + self.longest
        for number, name in enumerate(self.names):
            if time.monotonic() > until:
                self.names = self.names[:number]
                self.report.bookings = number
                break
            wish = asap()
            wish["member_id"] = f"mem_soak_{number}"
            self.engine.start(flow, {**wish, "request_id": f"req_{number}"}, name=name)
            if number > 20 and self.lot.random() < CANCELS:
                earlier = self.lot.randrange(number - 20, number)
                given = {"member_id": f"mem_soak_{earlier}", "booking_id": self.names[earlier], "reason": "soak"}
                given |= {"accept_fee": {"amount_minor": 100_000, "currency": "GBP"}, "request_id": f"req_c{number}"}
                self.engine.start(cancel, given, name=f"cancel-{number}")
                self.report.cancels += 1
            if number % 10 == 9:
                self._wait(lambda: self._running() < UNDER_WAY, self.patience)
                if number % 100 == 99:
                    print(f"{number + 1} started, {self._running()} under way", file=sys.stderr)

    def _flow(self, name: str) -> str:
        """The flow among those that it starts, with a shorter wait between two cancels that fail."""
        for original in (ROOT / "flows").glob("*.yaml"):
            text = original.read_text(encoding="utf-8").replace(*SLOW_CANCEL)
            (self.folder / original.name).write_text(text, encoding="utf-8")
        return str(self.folder / f"{name}.yaml")

    def _become_quiet(self) -> None:
        """The faults have stopped: sweep, and wait until nothing is under way and all events are out."""
        began, sweep, number = time.monotonic(), ROOT / "flows/sweep.yaml", 0

        def quiet() -> bool:
            nonlocal number
            number += 1
            if sweep.exists() and number % 10 == 1:
                self.engine.start(str(sweep), {}, name=f"sweep-{number}")
            return (
                self._unsettled() == 0 and self._running() == 0 and self._one("outbox WHERE published_at IS NULL") == 0
            )

        self._wait(quiet, self.patience)
        self.report.quiet_seconds = round(time.monotonic() - began, 1)

    def _wait(self, done: Any, patience: float) -> None:
        until = time.monotonic() + patience
        while not done() and time.monotonic() < until:
            time.sleep(0.5)

    # -- processes -------------------------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "engine.cli", "worker", "--store", self.url, "--lease", "5"]
        if name.startswith("relay"):
            command = [sys.executable, "-m", "steps.relay", "--store", self.url, "--follow"]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **self.settings}, stdout=log, stderr=log
            )

    def _kill(self) -> None:
        while not self.over.wait(self.kill_every):
            name = self.lot.choice(sorted(self.processes))
            self.processes[name].kill()
            self.processes[name].wait()
            self.report.kills[name] += 1
            self._start(name)

    def _settings(self) -> dict[str, str]:
        reference = self.folder / "reference"
        shutil.copytree(ROOT / "flows/reference", reference)
        members = {
            f"mem_soak_{number}": {
                "member": {"id": f"mem_soak_{number}", "blocked": False, "adult": True, "outstanding_minor": 0},
                "membership": {"status": "ACTIVE", "valid_to": "2099-12-31T23:59:59Z", "tier": "PRESTIGE"},
                "usage": {"rides_in_period": 0},
            }
            for number in range(self.report.bookings)
        }
        (reference / "members.yaml").write_text(json.dumps(members))
        return {
            "ENGINE_STEPS": "steps",
            "TAXI_URL": self.sim.url,
            "TAXI_TIMEOUT_SCALE": SCALE,
            "TAXI_MAX_COMMIT_DELAY_S": "60",
            "MEMBER_REF_KEY": "soak",
            "PERSONAL_DATA_KEYS": "demo",
            "EVENTS": f"log:{self.log}",
            "REFERENCE_DIR": str(reference),
        }

    def _name(self, number: int) -> str:
        value = (int(time.time() * 1000) << 80) | self.lot.getrandbits(80)
        return "bkg_" + identifiers.base32(value, 26)

    # -- looking ---------------------------------------------------------------------------------------------------

    def _one(self, what: str) -> int:
        row = self.db.execute(f"SELECT COUNT(*) FROM {what}").fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0

    def _running(self) -> int:
        """Executions under way, without those that follow a confirmed ride: they go on for hours."""
        return self._one("executions WHERE status = 'RUNNING' AND flow <> 'track'")

    def _unsettled(self) -> int:
        """Bookings on their way that nobody was called for, and those that have no row yet."""
        missing = len(self.names) - self._one("bookings")
        return missing + self._one(f"bookings WHERE NOT ({SETTLED}) AND attention = 0")

    def _count(self) -> None:
        def by(column: str, table: str) -> dict[str, int]:
            query = f"SELECT {column}, COUNT(*) FROM {table} GROUP BY 1 ORDER BY 2 DESC"
            return {str(key): count for key, count in self.db.execute(query).fetchall()}  # type: ignore[arg-type]

        self.report.statuses = by("status", "bookings")
        self.report.failures = by("failure_code", "bookings WHERE failure_code IS NOT NULL")
        self.report.executions = by("flow || ' ' || status", "executions")

    def _ask(self) -> None:
        """Every invariant: those in SQL, and those that events, transitions and the taxi company's knowledge tell."""
        found = self.report.violations
        self.db.execute(SIM_RIDES)  # type: ignore[arg-type]
        with self.db.cursor() as cursor:
            for ride in self.sim.rides():
                row = (ride["ride_ref"], ride["booking_id"], ride["client_reference"], int(ride["live"]))
                cursor.execute("INSERT INTO sim_rides VALUES (%s, %s, %s, %s)", row)
        ago = f"'{stamp(datetime.now(UTC) - timedelta(hours=1))}'"
        for name, query in invariants.QUERIES.items():
            if rows := self._rows(query.replace("${yesterday}", ago)):
                found[name] = [list(row.values()) for row in rows[:20]]
        others: dict[str, Any] = {
            "I16 every transition is an edge": invariants.impossible_transitions(self._rows),
            "I17 a booking is where its ride is": invariants.not_where_the_ride_is(self._rows, self.sim),
            "I19 no personal data in events, logs and rows": invariants.leaks(self._rows, self.log),
            "I20 the taxi company is not called without end": self._called_too_often(),
            "I23 every event reached the log, in order": self._untold(),
        }
        found.update({name: wrong for name, rows in others.items() if (wrong := list(rows)[:20])})

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        cursor = self.db.execute(sql.replace("%", "%%"))  # type: ignore[arg-type]
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def _called_too_often(self) -> list[Any]:
        """References with more creates, bookings with more generations than the contract with the taxi company has."""
        sent = "FROM ride_attempts WHERE op = 'CREATE' AND outcome <> 'NOT_SENT'"
        creates = f"SELECT client_reference {sent} GROUP BY 1 HAVING COUNT(*) > {invariants.CREATES}"
        generations = f"SELECT booking_id {sent} GROUP BY 1 HAVING MAX(generation) > {invariants.GENERATIONS}"
        return [*self._rows(creates), *self._rows(generations)]

    def _untold(self) -> list[Any]:
        """Bookings whose events are not all in the log, or were first written in another order."""
        seen: dict[str, list[int]] = {}
        ids: set[str] = set()
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # a line torn by a kill is followed by the same event again
                body = json.loads(line)
                self.report.events += 1
                self.report.repeated_events += body["id"] in ids
                if body["id"] not in ids:
                    ids.add(body["id"])
                    seen.setdefault(body["subject"], []).append(int(body["sequence"]))
        rows = self.db.execute("SELECT booking_id, MAX(seq) FROM outbox GROUP BY booking_id").fetchall()
        return [(name, seen.get(name)) for name, last in rows if seen.get(name) != list(range(1, last + 1))]
