"""A trial: executions, workers, somebody who answers, adversaries, and the audit at the end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import Engine, VirtualClock
from engine.errors import StoreUnavailable, TaskTimedOut
from engine.runtime.worker import Worker
from tests.chaos.process import CHILDREN, FLOW, KEYED, ROWS, answer, given, steps

PROGRAM = Path(__file__).with_name("process.py")
LEASE = 2.0
PATIENCE = 180.0
"""Seconds for the store to come back, and seconds in which anything at all is to happen in it."""
DELIVERIES = 3
"""Every answer from outside comes that many times."""


class Trial:
    """Everything that happens in one store. `seen` counts what was done to it."""

    def __init__(self, url: str, folder: Path, seed: int, executions: int, workers: int) -> None:
        self.url = url
        self.folder = folder
        self.random = random.Random(seed)
        self.names = [f"x{number}" for number in range(executions)]
        self.seen: Counter[str] = Counter()
        self.workers: list[subprocess.Popen[str]] = []
        self._count = workers
        self._over = threading.Event()
        self._guard = threading.Lock()

    # -- the good side ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every execution, each of them twice."""
        with self.engine() as engine:
            for number, name in enumerate(self.names):
                for _ in range(2):
                    self.insist(lambda number=number, name=name: engine.start(FLOW, given(number), name=name))

    def engine(self) -> Engine:
        return self.insist(lambda: Engine(self.url, steps=steps(self.folder)))

    def insist(self, work: Callable[[], Any]) -> Any:
        """Try until the store answers."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return work()
            except StoreUnavailable:
                assert time.monotonic() < until, "the store never came back"
                time.sleep(0.1)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Workers, and somebody who answers their questions."""
        for _ in range(self._count):
            self.launch()
        threads = [threading.Thread(target=work) for work in (self._answer, self._supervise)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            for worker in self.workers:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
                worker.communicate()

    def launch(self) -> None:
        """One more worker."""
        command = [sys.executable, "-m", "tests.chaos.process", self.url, str(self.folder), str(LEASE)]
        with (self.folder / "workers.log").open("a") as log:
            self.workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True))

    @contextmanager
    def taken(self) -> Iterator[subprocess.Popen[str]]:
        """Some worker, for an adversary; afterwards one that has ended is replaced."""
        with self._guard:
            worker = self.random.choice(self.workers)
            yield worker
            if worker.poll() is not None:
                worker.communicate()
                self.workers.remove(worker)
                self.launch()

    def _supervise(self) -> None:
        """Start another worker for one that ended by itself. It may do so only when the store is away at its start."""
        while not self._over.wait(0.2):
            with self._guard:
                for worker in [worker for worker in self.workers if worker.poll() is not None]:
                    said, _ = worker.communicate()
                    self.workers.remove(worker)
                    self.seen["workers broken" if "ready" in said else "workers that found no store"] += 1
                    self.launch()

    def _answer(self) -> None:
        """Answer each question, several times, and some of them late."""
        mailbox, asked = self.folder / "mailbox", 0
        late: list[tuple[float, int, str]] = []
        with self.engine() as engine:
            while not self._over.is_set():
                lines = mailbox.read_text().splitlines() if mailbox.exists() else []
                for line in lines[asked:]:
                    number, token = line.split(" ", 1)
                    for _ in range(DELIVERIES):
                        late.append((time.monotonic() + self.random.random() * 2, int(number), token))
                asked = len(lines)
                late.sort()
                while late and late[0][0] <= time.monotonic():
                    _, number, token = late.pop(0)
                    self.seen["answers delivered"] += 1
                    try:
                        engine.send_task_success(token, answer(number), drive=False)
                    except StoreUnavailable:
                        late.append((time.monotonic() + 0.2, number, token))
                    except TaskTimedOut:
                        self.seen["answers that nobody waited for"] += 1
                time.sleep(0.02)

    def wait(self) -> None:
        """Until every execution has ended, however slow the machine is, as long as they move."""
        moved, until = -1, 0.0
        with self.engine() as engine:
            while left := self.insist(engine.unfinished):
                events = self.insist(lambda: _events(engine))
                if events != moved:
                    moved, until = events, time.monotonic() + PATIENCE
                assert time.monotonic() < until, f"{len(left)} never ended, such as {engine.describe(left[0])}"
                time.sleep(0.5)

    # -- the other side --------------------------------------------------------------------------------------------

    @contextmanager
    def disturbed(self, *adversaries: Callable[[Trial], None], pause: float) -> Iterator[None]:
        """One of the adversaries acts, again and again, until the block ends."""
        calm = threading.Event()

        def act() -> None:
            while not calm.wait(pause * (0.5 + self.random.random())):
                self.random.choice(adversaries)(self)

        thread = threading.Thread(target=act)
        thread.start()
        try:
            yield
        finally:
            calm.set()
            thread.join()

    def set_clock(self, wrong: float) -> None:
        """By how many seconds every clock is wrong from now on."""
        fresh = self.folder / "clock.new"
        fresh.write_text(str(wrong))
        fresh.replace(self.folder / "clock")

    # -- the audit -------------------------------------------------------------------------------------------------

    def audit(self) -> dict[str, int]:
        """What was found; raises AssertionError when anything was lost or done twice."""
        expected = undisturbed(len(self.names))
        log = (self.folder / "workers.log").read_text()
        assert not self.seen["workers broken"], f"a worker ended that was neither killed nor told to:\n{log[-5000:]}"
        with self.engine() as engine:
            found = {name: engine.describe(name) for name in self.names}
            for name in self.names:
                history = engine.history(name)
                assert [event["id"] for event in history] == list(range(1, len(history) + 1)), f"history of {name}"
            children = _children(engine, self.names)
            with engine.host.transaction() as db:
                outbox = Counter(map(tuple, db.execute("SELECT execution, kind FROM chaos_outbox").fetchall()))
                signals = db.execute("SELECT count(*) FROM signals").fetchone()[0]
        outcomes = {name: (one["status"], one["output"]) for name, one in found.items()}
        assert outcomes == expected, _difference(outcomes, expected)
        assert len(outbox) == ROWS * len(self.names), "a row of the outbox is lost"
        assert set(outbox.values()) == {1}, f"a row of the outbox is there twice: {outbox.most_common(3)}"
        effects = [line.split(" ", 1) for line in (self.folder / "effects").read_text().splitlines()]
        keys = Counter(key for kind, key in effects if kind == "charge")
        assert len(keys) == KEYED * len(self.names), "an effect is lost, or has a key that it should not have"
        once = Counter(key for kind, key in effects if kind == "once")
        assert not once or max(once.values()) == 1, f"a step that must not run twice did: {once.most_common(3)}"
        return {
            "executions": len(self.names),
            "children of map runs": children,
            "effects by key": len(keys),
            "repeated under the same key": sum(keys.values()) - len(keys),
            "steps in doubt": len(self.names) - len(once),
            "outbox rows": sum(outbox.values()),
            "signals left": signals,
            **+self.seen,
        }


def undisturbed(executions: int) -> dict[str, tuple[str, Any]]:
    """The outcomes of a run that nobody disturbs."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clock = VirtualClock(1_767_225_600.0)
        with Engine("memory:", steps=steps(folder), clock=clock) as engine:
            for number in range(executions):
                engine.start(FLOW, given(number), name=f"x{number}")
            worker = Worker(engine)
            worker.run_until_idle()
            for line in (folder / "mailbox").read_text().splitlines():
                number, token = line.split(" ", 1)
                engine.send_task_success(token, answer(int(number)), drive=False)
            worker.run_until_idle()
            found = [engine.describe(f"x{number}") for number in range(executions)]
    outcomes = {one["name"]: (one["status"], one["output"]) for one in found}
    assert {status for status, _ in outcomes.values()} == {"SUCCEEDED"}, outcomes
    return outcomes


def _events(engine: Engine) -> int:
    """How many events have happened in the whole store."""
    with engine.host.transaction() as db:
        return int(db.execute("SELECT coalesce(sum(events), 0) FROM executions").fetchone()[0])


def _children(engine: Engine, names: list[str]) -> int:
    """How many executions the map runs have started. Raises AssertionError when one is lost, or counted wrongly."""
    count = 0
    for name in names:
        children = engine.list(map_of=name, limit=1000)
        assert [child.status for child in children] == ["SUCCEEDED"] * CHILDREN, f"children of {name}: {children}"
        for child in children:
            history = engine.history(child.name)
            assert [event["id"] for event in history] == list(range(1, len(history) + 1)), f"history of {child.name}"
        (run,) = engine.describe(name)["map_runs"]
        counts = {what: run[what] for what in ("succeeded", "failed", "aborted", "running", "pending")}
        assert counts == {"succeeded": CHILDREN, "failed": 0, "aborted": 0, "running": 0, "pending": 0}, (
            f"{name}: {run}"
        )
        count += len(children)
    return count


def _difference(found: dict[str, Any], expected: dict[str, Any]) -> str:
    wrong = [name for name in expected if found.get(name) != expected[name]]
    return f"{len(wrong)} have another outcome, such as {wrong[0]}: {found.get(wrong[0])} for {expected[wrong[0]]}"
