"""The soak: thousands of bookings over HTTP, at processes that are killed, with a taxi company that fails; and then all
invariants.

Two `engine serve` (API, worker and relay in one) and two relays of their own share one PostgreSQL, a dispatcher takes
their events in, the taxi company is a process too. Some members cancel, change their ride, ask twice, or for what is
somebody else's. Every so often a process is killed with SIGKILL and started again. When all have asked, the faults and
the killing stop, everything has time to become quiet, and then every invariant is asked.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from psycopg import sql

from tests.booking.world import ROOT
from tests.http.issuer import AUDIENCE, Issuer
from tests.soak import plan
from tests.soak.audit import SHOWN, Audit
from tests.soak.company import Company
from tests.soak.processes import Processes, free_port
from tests.soak.riders import Riders

SLOW_CANCEL: Final = ("Seconds: 900", "Seconds: 15")
"""Between two rounds of cancels that fail: nobody wants to wait for that here."""
SWEEPS: Final = ("every_s: 60", "every_s: 15")
SETTLED: Final = "status NOT IN ('REQUESTED','PENDING_CONFIRMATION','COMPENSATING','CANCELLATION_PENDING')"
GOES_ON: Final = "b.status IN ('CONFIRMED','DRIVER_ASSIGNED','DRIVER_EN_ROUTE','DRIVER_ARRIVED','IN_PROGRESS')"
LATEST_COMMIT_S: Final = 60
UNPUBLISHED: Final = "outbox WHERE published_at IS NULL"
KINDS: Final = (("api-1", "api-2"), ("api-1", "api-2"), ("relay-1", "relay-2", "dispatcher"))


@dataclass
class Report:
    """What a soak did and found."""

    seed: int
    asked: int = 0
    seconds: float = 0.0
    quiet_seconds: float = 0.0
    unsettled: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    rides: dict[str, int] = field(default_factory=dict)
    attention: int = 0
    executions: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    events: int = 0
    repeated_events: int = 0
    messages: int = 0
    invariants: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[Any]] = field(default_factory=dict)

    def text(self) -> str:
        """For people and machines."""
        return json.dumps(vars(self), indent=2, default=dict)


class Soak:
    """One soak on the PostgreSQL of `url`, with its files in `folder`.

    `rate`: the share of calls that each fault strikes. `scale`: of the taxi company's time limits. `hang_s`: how long
    it is silent, its plan's 30 s unless given. `resolve_s`: the longest wait for a pending ride. `longest`: seconds
    after which nobody begins any more.
    """

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
        clients: int = 16,
        scale: float = 1.0,
        hang_s: float | None = None,
        resolve_s: float = 600,
        longest: float = inf,
    ) -> None:
        self.url = url
        self.folder = folder
        self.seed = seed
        self.kill_every = kill_every
        self.patience = patience
        self.clients = clients
        self.longest = longest
        self.report = Report(seed)
        self.wishes = plan.wishes(seed, bookings, datetime.now(UTC))
        self.issuer = Issuer()
        self.bases = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
        self.company = Company(f"http://127.0.0.1:{free_port()}/v1")
        self.processes = Processes(folder, self._settings(scale, resolve_s))
        (folder / "faults.json").write_text(json.dumps(plan.faults(rate, hang_s)))
        self.db = psycopg.connect(url, autocommit=True)
        self._tokens: dict[str, tuple[float, str]] = {}
        self._began = 0.0

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> Report:
        """All of it."""
        over, riders = threading.Event(), Riders(self.bases, self._token, self.seed, self.patience)
        killing = (self.kill_every, KINDS, over, random.Random(self.seed), self._ready)
        killer = threading.Thread(target=self.processes.keep_killing, args=killing, daemon=True)
        self._start()
        self._began = time.monotonic()
        killer.start()
        try:
            self.report.asked = riders.work(self.wishes, self.clients, self.longest, self._tell)
        finally:
            over.set()
            killer.join()
        self.report.seconds = round(time.monotonic() - self._began, 1)
        self._say(f"all have asked, after {self.report.seconds} s; the faults and the killing stop")
        self._become_quiet()
        broken = self.processes.broken()
        self._dispatch_the_rest()
        self._count(riders)
        self._ask([*riders.wrong, *broken])
        return self.report

    def close(self) -> None:
        """Let go of everything."""
        self.processes.close()
        self.issuer.close()
        self.db.close()

    def _become_quiet(self) -> None:
        """The faults stop, and no late ride can come any more: wait until nothing is under way, all events are out, and
        the sweep has gone round once more."""
        began = time.monotonic()
        self.report.faults = dict(self.company.look()["faults"])
        self.company.set_plan(json.dumps(plan.calm()))
        self.company.advance(LATEST_COMMIT_S)
        told, calm_since = 0.0, inf
        while time.monotonic() < began + self.patience:
            left = self._left()
            calm_since = inf if any(left.values()) else min(calm_since, time.time())
            if calm_since < inf and self._swept(calm_since):
                break
            if time.monotonic() > told + 15:
                told = time.monotonic()
                self._say("waiting for quiet: " + ", ".join(f"{count} {what}" for what, count in left.items()))
            time.sleep(1)
        self.report.quiet_seconds = round(time.monotonic() - began, 1)
        self.report.unsettled = self._unsettled()

    # -- processes -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """The taxi company first; then one API alone, which makes the tables; then all others."""
        port, target = self.company.url.split(":")[2].split("/")[0], f"{self.bases[0]}/v1/webhooks/globaltaxi"
        company = ["--port", port, "--plan", str(self.folder / "faults.json"), "--seed", str(self.seed), "--quiet"]
        self.processes.start("company", "steps.simulator", *company, "--webhook-url", target)
        for number, base in enumerate(self.bases, 1):
            api = str(self.folder / "schemas/openapi.yaml")
            serve = ["serve", "--store", self.url, "--api", api, "--port", base.rpartition(":")[2]]
            self.processes.start(f"api-{number}", "engine.cli", *serve)
            self._wait_for(base)
        for number in (1, 2):
            self.processes.start(f"relay-{number}", "steps.relay", "--store", self.url, "--follow")
        self.processes.start("dispatcher", "steps.dispatcher", *self._dispatching, "--follow")

    def _wait_for(self, base: str) -> None:
        until = time.monotonic() + self.patience
        while not _answers(base):
            if time.monotonic() > until or self.processes.broken():
                raise AssertionError(f"{base} does not answer; what it says is in {self.folder}")
            time.sleep(0.2)

    def _ready(self) -> bool:
        return all(_answers(base) for base in self.bases)

    @property
    def _dispatching(self) -> list[str]:
        files = {"--inbox": "dispatcher.db", "--out": "sent.jsonl"}
        where = [text for option, name in files.items() for text in (option, str(self.folder / name))]
        return ["--events", f"log:{self.folder / 'events.jsonl'}", *where]

    def _dispatch_the_rest(self) -> None:
        """All processes but the taxi company end, those that make events first: rides go on while everybody is quiet,
        and what they tell is to be relayed. The dispatcher then takes in what is left."""
        apis, _, others = KINDS
        self.processes.end(*apis)
        until = time.monotonic() + self.patience
        while self._one(UNPUBLISHED) and time.monotonic() < until:
            time.sleep(0.2)
        self.processes.end(*others)
        command = [sys.executable, "-m", "steps.dispatcher", *self._dispatching]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=self.patience)

    def _settings(self, scale: float, resolve_s: float) -> dict[str, str]:
        """The environment of all processes, with files of their own for what is not as in the project."""
        for name in ("flows", "schemas", "steps/bookings"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        for file in (*(self.folder / "flows").glob("*.yaml"), self.folder / "schemas/openapi.yaml"):
            file.write_text(file.read_text("utf-8").replace(*SLOW_CANCEL).replace(*SWEEPS), encoding="utf-8")
        reference = self.folder / "flows/reference"
        (reference / "members.yaml").write_text(json.dumps(plan.members(len(self.wishes))))
        return {
            "ENGINE_STEPS": "steps",
            "TAXI_URL": self.company.url,
            "TAXI_TIMEOUT_SCALE": str(scale),
            "RESOLVE_LONGEST_S": str(resolve_s),
            "TAXI_MAX_COMMIT_DELAY_S": str(LATEST_COMMIT_S),
            "TAXI_WEBHOOK_SECRET": f"whsec_{b64encode(b'a secret of this soak').decode()}",
            "JWT_ISSUER": self.issuer.url,
            "JWT_AUDIENCE": AUDIENCE,
            "MEMBER_REF_KEY": "soak",
            "PERSONAL_DATA_KEYS": "demo",
            "EVENTS": f"log:{self.folder / 'events.jsonl'}",
            "REFERENCE_DIR": str(reference),
        }

    def _token(self, member: str) -> str:
        """A member's token, good for some minutes more."""
        made, token = self._tokens.get(member, (0.0, ""))
        if time.monotonic() > made + 200 or not token:
            token = self.issuer.token(sub=member)
            self._tokens[member] = (time.monotonic(), token)
        return token

    # -- looking ---------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _tell(self, done: int) -> None:
        step = max(10, len(self.wishes) // 20)
        if done % step == 0:
            seconds = time.monotonic() - self._began
            kills = sum(self.processes.kills.values())
            self._say(f"{done} of {len(self.wishes)} have asked, {done / seconds:.1f}/s, {kills} kills")

    def _one(self, what: str) -> int:
        row = self.db.execute(f"SELECT COUNT(*) FROM {what}").fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0

    def _left(self) -> dict[str, int]:
        """What is still to come. Executions that follow a confirmed ride or go round are always there, and those of
        messages about nothing, which are taken up again for an hour, too."""
        unseen = (
            f"bookings b LEFT JOIN ride_looks l ON l.booking_id = b.booking_id WHERE l.booking_id IS NULL AND {GOES_ON}"
        )
        return {
            "unsettled": self._unsettled(),
            "executions running": self._one(
                "executions WHERE status = 'RUNNING' AND flow NOT IN ('track', 'sweep', 'webhook')"
                " AND state NOT IN ('CancelRide', 'NeedPeople', 'SlowCancel')"  # unsettled, or for people to decide
            ),
            "events unpublished": self._one(UNPUBLISHED),
            "rides that nobody has looked at": self._one(unseen),
            "references that nobody has looked at": self._one("orphan_watch WHERE result IS NULL"),
        }

    def _swept(self, since: float) -> bool:
        """Whether the sweep has gone round after a moment."""
        return self._one(f"executions WHERE flow = 'sweep' AND status = 'SUCCEEDED' AND started_at > {since}") > 0

    def _unsettled(self) -> int:
        """Bookings on their way that nobody was called for."""
        return self._one(f"bookings WHERE NOT ({SETTLED}) AND attention = 0")

    def _count(self, riders: Riders) -> None:
        def by(column: str, table: str) -> dict[str, int]:
            query = f"SELECT {column}, COUNT(*) FROM {table} GROUP BY 1 ORDER BY 2 DESC"
            return {str(key): count for key, count in self.db.execute(query).fetchall()}  # type: ignore[arg-type]

        report = self.report
        report.kills = self.processes.kills
        report.outcomes = dict(sorted(riders.outcomes.items()))
        report.statuses = by("status", "bookings")
        report.failures = by("status || ' ' || failure_code", "bookings WHERE failure_code IS NOT NULL")
        report.attention = self._one("bookings WHERE attention = 1")
        report.executions = by("concat_ws(' ', flow, status, error)", "executions")

    def _ask(self, wrong: list[str]) -> None:
        audit = Audit(self.db, self.company, self.folder)
        found, report = audit.ask(wrong), self.report
        report.rides = dict(Counter(str(ride["status"]) for ride in self.company.rides()))
        report.events, report.repeated_events = len(audit.events), audit.repeated
        report.messages = len((self.folder / "sent.jsonl").read_bytes().splitlines())
        report.invariants = {name: len(rows) for name, rows in found.items()}
        report.violations = {name: rows[:SHOWN] for name, rows in found.items() if rows}
        if report.violations:
            self._keep_evidence()

    def _keep_evidence(self) -> None:
        """All tables, and the taxi company's rides, beside the logs: the database does not outlive the soak."""
        (self.folder / "rides.json").write_text(json.dumps(self.company.rides()))
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        for (table,) in self.db.execute(query).fetchall():
            copy = sql.SQL("COPY {} TO STDOUT WITH (FORMAT csv, HEADER)").format(sql.Identifier(table))
            with self.db.cursor().copy(copy) as rows, (self.folder / f"{table}.csv").open("wb") as file:
                file.writelines(rows)
        self._say(f"what was found is to be read in the tables, which are in {self.folder}")


def _answers(base: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{base}/readyz", timeout=10).status_code == 200
    return False
