"""`Worker`: runs every execution that is due in a store, many at once. As many workers as wanted share a store."""

from __future__ import annotations

import gc
import queue
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

from engine.runtime.context import logger
from engine.runtime.engine import Engine
from engine.runtime.machines import Definition, begin, new_name
from engine.runtime.making import HERE_SECONDS, Calls, Replaced
from engine.runtime.pool import Pool
from engine.runtime.scheduler import Scheduler
from engine.runtime.simulate import Outcome
from engine.runtime.writing import Submission
from engine.stores import Start
from engine.values import JSON

LEASE_SECONDS: Final = 15.0
DRAIN_SECONDS: Final = 30.0
MANY: Final = 1_000_000
REST_SECONDS: Final = 2.0
"""How often the hooks work when nothing happens."""
SWITCH_SECONDS: Final = 0.001
"""How long a step may keep the interpreter from the scheduler: Python's own 5 ms would show in every commit."""
COLLECT: Final = (50_000, 20, 50)
"""When the collector of cyclic garbage looks: the engine makes many containers and hardly a cycle, and Python's own
setting has it spend a fifth of the time."""


def prepare_process() -> None:
    """Set the interpreter of a process that is there to be a worker, after everything has been loaded."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


class Worker:
    """Runs what is due in the store of `engine`, whose store belongs to the worker from now on.

    `concurrency`: most steps at once beside the scheduler. `most`: most executions held at once; further ones wait in
    the store, for this or another worker. `limits`: most calls at once by step name or pattern (`{"taxi.*": 4}`).
    `each`: most steps of one execution at once beside the scheduler (default: as many as there is room for; executions
    take turns either way).
    `lease`: seconds after which others take over from a worker that has stopped but not ended.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        concurrency: int = 32,
        most: int = 1000,
        limits: Mapping[str, int] | None = None,
        each: int | None = None,
        lease: float = LEASE_SECONDS,
    ) -> None:
        self.engine = engine
        self._pool = Pool(concurrency, limits or {})
        self._machines = engine.machines
        calls = Calls(engine.host, engine.machines.resources, self._pool, queue.SimpleQueue(), each or MANY)
        self._scheduler = Scheduler(engine.host, calls, engine.machines, lease=lease, most=most)
        self._failure: BaseException | None = None
        self._over = threading.Event()
        self._restless = threading.Event()

    @property
    def ended(self) -> int:
        """How many executions have ended here."""
        return self._scheduler.ended

    def submit(self, flow: Definition, input: JSON = None, *, name: str | None = None) -> Future[Outcome]:
        """Start an execution and have this very worker run it. From any thread.

        The future brings its outcome; or ExecutionAlreadyExists, ExecutionBusy when the name is taken, LeaseLost when
        another worker had to take it over. Raises as `Engine.start`.
        """
        scheduler = self._scheduler
        machine = self._machines.ready(flow)
        digest = self._machines.digest(machine)
        now = scheduler.host.clock.now()
        name = name or new_name()
        input = self.engine.steps.prepared(scheduler.calls.aside, name, input)
        pins = self._machines.pins(machine)
        decision = begin(machine, input, name, now, runs=1, limit=self.engine.history_limit, pins=pins, apart=True)
        start = Start(decision, decision.execution.machine_id, digest, owned=True)
        future: Future[Outcome] = Future()
        scheduler.inbox.put(Submission(start, machine, future))
        return future

    def run(self) -> None:
        """Work until `stop`, and then until the calls that are out have ended (30 s at most). Raises what the scheduler
        could not cope with."""
        self.engine.workers += 1
        try:
            self._run()
        finally:
            self.engine.workers -= 1
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        self._scheduler.outside = True
        hooks = threading.Thread(target=self._rest_beside, name="hooks", daemon=True)
        hooks.start()
        self._begin_turn()
        turn = self._scheduler.calls.turn
        while not self._over.wait(HERE_SECONDS / 2):
            if turn.pass_on():
                self._begin_turn()
        self._pool.close()
        self._restless.set()
        hooks.join(REST_SECONDS)

    def run_until_idle(self) -> int:
        """Work in this thread until nothing is left to do, now or later, unless something comes from outside. Answers
        how many executions have ended."""
        scheduler = self._scheduler
        before = scheduler.ended
        if scheduler.store.owner is None:
            scheduler.store.enter(scheduler.lease)
        scheduler.look_around(now=True)
        while not scheduler.idle:
            if not scheduler.round() and scheduler.restless:
                self._rest()
            if scheduler.lookout.stirred:
                scheduler.look_around()
        self._rest()
        return scheduler.ended - before

    def stop(self, *, patience: float = DRAIN_SECONDS) -> None:
        """Take up nothing more; end when the calls that are out have ended, after `patience` seconds at the latest.
        From any thread, and from a signal handler."""
        self._scheduler.drain(patience)

    def _begin_turn(self) -> None:
        number = self._scheduler.calls.turn.number
        threading.Thread(target=self._work, args=(number,), name=f"scheduler-{number}", daemon=True).start()

    def _work(self, number: int) -> None:
        """Go round, as long as it is this thread's turn."""
        scheduler = self._scheduler
        try:
            while not scheduler.drained:
                scheduler.round()
                if scheduler.restless:
                    scheduler.restless = False
                    self._restless.set()
        except Replaced:
            return
        except BaseException as problem:
            self._failure = problem
        self._over.set()

    def _rest_beside(self) -> None:
        """Let the hooks work beside the scheduler, which must not wait for them: after each thing that happened, now
        and then in any case, and a last time in the end."""
        while True:
            self._restless.wait(REST_SECONDS)
            over = self._over.is_set()
            self._restless.clear()
            self._rest()
            if over:
                return

    def _rest(self) -> None:
        """Let the hooks of the steps package work, such as a relay."""
        self._scheduler.restless = False
        for hook in self.engine.steps.hooks["idle"]:
            try:
                hook(self._scheduler.calls.aside)
            except Exception as problem:
                logger.warning("hook %s failed: %s", hook.__name__, problem)
