"""A world for bookings: a real engine on SQLite, a real HTTP taxi company, one virtual clock for both."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine import Engine, VirtualClock
from steps.simulator import Simulator
from steps.tables import create_tables

ROOT = Path(__file__).parents[2]
START = "2026-05-04T08:00:00Z"
BOOKING = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA"

HERE = Path(__file__).parent
INVARIANTS = dict(re.findall(r"^-- name: (I\d\d [^\n]+)\n(.+?;)$", (HERE / "invariants.sql").read_text(), re.M | re.S))
SIM_RIDES = "CREATE TEMP TABLE sim_rides (ride_ref TEXT, booking_id TEXT, client_reference TEXT, live INTEGER)"


def asap() -> dict[str, Any]:
    """The example: a car now, from Dubai."""
    found: dict[str, Any] = json.loads((ROOT / "flows/examples/booking.json").read_text())
    return found


def scheduled() -> dict[str, Any]:
    """A ride in two hours at no more than 40.00, so that pending rides are waited for as long as possible."""
    wish = asap()
    wish["request"]["pickup"] |= {"type": "SCHEDULED", "time": "2026-05-04T14:00:00+04:00"}
    wish["request"] |= {
        "flight": {"number": "EK999", "date": "2026-05-04"},
        "price": {"max_amount_minor": 4000, "currency": "GBP"},
    }
    return wish


class World:
    """Runs bookings and shows what came of them."""

    def __init__(self, folder: Path, simulator: Simulator, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.sim = simulator
        self.store = folder / "bookings.db"
        self.log = folder / "events.jsonl"
        self.on_advance: Callable[[float], None] = lambda seconds: None
        self.clock = VirtualClock(datetime.fromisoformat(START).astimezone(UTC).timestamp(), self._advance)
        self.settings = {
            "TAXI_URL": simulator.url,
            "TAXI_TIMEOUT_SCALE": "0.15",
            "EVENT_LOG": str(self.log),
            "MEMBER_REF_KEY": "key-for-tests",
            **settings,
        }
        self._engine: Engine | None = None

    def _advance(self, seconds: float) -> None:
        self.sim.advance(seconds)
        self.on_advance(seconds)

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(f"sqlite:///{self.store}", steps="steps", settings=self.settings, clock=self.clock)
        return self._engine

    def book(self, wish: Mapping[str, Any], name: str = BOOKING, flow: Any = ROOT / "flows/booking.yaml") -> Any:
        """Run the whole flow; the outcome."""
        return self.engine.run(flow, deepcopy(dict(wish)), name=name)

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """What a query finds, with the taxi company's knowledge as sim_rides."""
        db = sqlite3.connect(self.store)
        try:
            db.execute(
                "CREATE TEMP TABLE sim_rides (ride_ref TEXT, booking_id TEXT, client_reference TEXT, live INTEGER)"
            )
            keys = ("ride_ref", "booking_id", "client_reference", "live")
            rides = [tuple(ride[key] for key in keys) for ride in self.sim.rides()]
            db.executemany("INSERT INTO sim_rides VALUES (?, ?, ?, ?)", rides)
            cursor = db.execute(sql, values)
            return [dict(zip([name for name, *_ in cursor.description], row, strict=True)) for row in cursor]
        finally:
            db.close()

    def events(self, user_facing: bool = False) -> list[str]:
        """The short names of the events in the log."""
        bodies = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [body["type"].split(".")[-2] for body in bodies if body["data"]["user_facing"] or not user_facing]

    def violations(self) -> list[str]:
        """The invariants that do not hold."""
        return [name for name, query in INVARIANTS.items() if self.rows(query)]

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class Desk:
    """A StepContext (and Host) of its own, for steps without an engine: one SQLite file, a clock that tests move."""

    execution = BOOKING
    state = "Test"
    attempt = 1
    deadline = None
    token = "token"

    def __init__(self, path: Path, settings: Mapping[str, str] | None = None) -> None:
        self.idempotency_key = "key-1"
        self.settings = {"MEMBER_REF_KEY": "key-for-tests", **(settings or {})}
        self.moment = datetime.fromisoformat(START)
        self.logged: list[str] = []
        self._lock = threading.RLock()
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA foreign_keys = ON")
        create_tables(self)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def remaining(self, limit: float) -> float:
        return limit

    def heartbeat(self) -> None:
        pass

    def log(self, message: str, **fields: Any) -> None:
        self.logged.append(message)

    def note(self, text: str) -> None:
        pass

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self._lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                self.db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self.db.close()
