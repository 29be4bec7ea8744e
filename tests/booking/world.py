"""A world for bookings: a real engine and database, a real HTTP taxi company, one virtual clock for both."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml

from engine import Engine, VirtualClock
from engine.stores import open_store
from steps.bookings.moments import stamp
from steps.simulator import Simulator
from steps.tables import migrate
from tests.booking import invariants

ROOT = Path(__file__).parents[2]
START = "2026-05-04T08:00:00Z"
BOOKING = "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA"

SIM_RIDES = "CREATE TEMP TABLE sim_rides (ride_ref TEXT, booking_id TEXT, client_reference TEXT, live INTEGER)"
NOT_UNIQUE = (sqlite3.IntegrityError, psycopg.IntegrityError)


def connect(url: str) -> Any:
    """A connection of the test's own to a store: each statement is a transaction, parameters are `?`."""
    if url.startswith("sqlite:///"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
    return _Postgres(url)


class _Postgres:
    def __init__(self, url: str) -> None:
        self._db = psycopg.connect(url, autocommit=True)

    def execute(self, sql: str, values: Any = ()) -> Any:
        return self._db.execute(sql.replace("%", "%%").replace("?", "%s"), values)

    def close(self) -> None:
        self._db.close()


@contextmanager
def looking(url: str, simulator: Simulator) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """What finds the rows of a query, with the taxi company's knowledge as sim_rides; all on one connection."""
    with closing(connect(url)) as db:
        db.execute(SIM_RIDES)
        for ride in simulator.rides():
            known = (ride["ride_ref"], ride["booking_id"], ride["client_reference"], int(ride["live"]))
            db.execute("INSERT INTO sim_rides VALUES (?, ?, ?, ?)", known)

        def rows(sql: str, *values: Any) -> list[dict[str, Any]]:
            cursor = db.execute(sql, values)
            return [dict(zip([name for name, *_ in cursor.description], row, strict=True)) for row in cursor]

        yield rows


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

    def __init__(self, folder: Path, url: str, simulator: Simulator, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.sim = simulator
        self.url = url
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
            self._engine = Engine(self.url, steps="steps", settings=self.settings, clock=self.clock)
        return self._engine

    def book(self, wish: Mapping[str, Any], name: str = BOOKING, flow: Any = ROOT / "flows/booking.yaml") -> Any:
        """Run the whole flow; the outcome."""
        return self.engine.run(flow, deepcopy(dict(wish)), name=name)

    def edited(self, change: Callable[[dict[str, Any]], None]) -> Path:
        """A copy of the booking flow with a change to its states, among copies of the flows that it starts."""
        flows = self.folder / "flows"
        shutil.copytree(ROOT / "flows", flows, dirs_exist_ok=True)
        flow = yaml.safe_load((flows / "booking.yaml").read_text())
        change(flow["States"])
        (flows / "booking.yaml").write_text(json.dumps(flow))
        return flows / "booking.yaml"

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """What a query finds, with the taxi company's knowledge as sim_rides."""
        with looking(self.url, self.sim) as rows:
            return rows(sql, *values)

    def change(self, sql: str) -> None:
        """Change the tables behind the program's back, even against what they check."""
        with closing(connect(self.url)) as db:
            if isinstance(db, sqlite3.Connection):
                db.execute("PRAGMA ignore_check_constraints = ON")
            else:
                checks = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'bookings'::regclass"
                for (name,) in db.execute(checks).fetchall():
                    db.execute(f"ALTER TABLE bookings DROP CONSTRAINT {name}")
            for statement in sql.split(";"):
                if statement.strip():
                    db.execute(statement)

    def events(self, user_facing: bool = False) -> list[str]:
        """The short names of the events in the log."""
        bodies = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [body["type"].split(".")[-2] for body in bodies if body["data"]["user_facing"] or not user_facing]

    def violations(self) -> list[str]:
        """The invariants that do not hold."""
        now = stamp(datetime.fromtimestamp(self.clock.now(), UTC))
        with looking(self.url, self.sim) as rows:
            return invariants.violations(rows, self.sim, self.log, now)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class Desk:
    """A StepContext (and Host) of its own, for steps without an engine: one store, a clock that tests move."""

    execution = BOOKING
    state = "Test"
    attempt = 1
    deadline = None
    token = "token"

    def __init__(self, url: str, settings: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.idempotency_key = "key-1"
        self.settings = {"MEMBER_REF_KEY": "key-for-tests", **(settings or {})}
        self.moment = datetime.fromisoformat(START)
        self.logged: list[str] = []
        self._lock = threading.RLock()
        self._store = open_store(url)
        self._within: Any = None
        migrate(self)

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
    def transaction(self, *, reading: bool = False) -> Iterator[Any]:
        with self._lock, self._store.transaction() as db:
            before, self._within = self._within, db
            try:
                yield db
            finally:
                self._within = before

    @property
    def db(self) -> Any:
        """The present transaction, else one for each statement."""
        return self._within or self

    def execute(self, sql: str, values: Any = ()) -> Any:
        with self.transaction() as db:
            cursor = db.execute(sql, values)
            return _Rows(cursor.fetchall() if cursor.description else [])

    def close(self) -> None:
        self._store.close()


class _Rows(list[Any]):
    """What a statement found, after its transaction."""

    def fetchall(self) -> list[Any]:
        return list(self)

    def fetchone(self) -> Any:
        return self[0] if self else None
