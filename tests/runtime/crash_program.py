"""A program that kills itself with SIGKILL at a chosen moment: `crash_program.py URL EFFECTS MOMENT NUMBER WAY`.

MOMENT is `before-commit`, `after-commit`, `before-effect`, `after-effect` or `never`; NUMBER counts from 1. It prints
how many commits and effects an undisturbed run has. WAY is `inline`, `worker`, or
`submit`: a start that the worker makes itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import Engine, StepRegistry, step
from engine.runtime import making, pool
from engine.runtime.worker import Worker

FLOW = """
QueryLanguage: JMESPath
StartAt: Charge
States:
  Charge:
    Type: Task
    Resource: step:charge
    Arguments: {order: "{% states.input.order %}"}
    Assign: {receipt: "{% states.result.receipt %}"}
    Next: Record
  Record: {Type: Task, Resource: "step:record", Arguments: {order: 1}, Next: Pause}
  Pause: {Type: Wait, Seconds: 0, Next: Both}
  Both:
    Type: Parallel
    Branches:
      - StartAt: Mail
        States: {Mail: {Type: Task, Resource: "step:charge", Arguments: {order: mail}, End: true}}
      - StartAt: Book
        States: {Book: {Type: Task, Resource: "step:record", Arguments: {order: 2}, End: true}}
    Next: Each
  Each:
    Type: Map
    Items: [1, 2]
    ItemProcessor:
      StartAt: Item
      States: {Item: {Type: Task, Resource: "step:charge", Arguments: {order: "{% states.input %}"}, End: true}}
    Next: Once
  Once:
    Type: Task
    Resource: step:once
    Arguments: {}
    Output: {receipt: "{% receipt %}", once: true}
    Catch: [{ErrorEquals: [Step.InDoubt], Output: {receipt: "{% receipt %}", once: true}, Next: End}]
    Next: End
  End: {Type: Succeed}
"""


class Fuse:
    """Counts moments, and kills the process at the chosen one."""

    def __init__(self, moment: str, number: int) -> None:
        self.moment, self.number = moment, number
        self.seen: dict[str, int] = {}

    def pass_by(self, moment: str) -> None:
        self.seen[moment] = self.seen.get(moment, 0) + 1
        if moment == self.moment and self.seen[moment] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """A connection whose commits pass by the fuse."""

    def __init__(self, real: Any, fuse: Fuse) -> None:
        self.real, self.fuse = real, fuse
        self.within = self.piped = False

    def execute(self, sql: str, *parameters: Any) -> Any:
        with self._passing(self._commits(sql)):
            return self.real.execute(sql, *parameters)

    def command(self, sql: str) -> None:
        with self._passing(sql == "COMMIT"):
            self.real.command(sql)

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """What is sent in it is one transaction, which ends with it."""
        self.piped = False
        self.within = True
        try:
            with self.real.pipeline():
                yield
                if self.piped:
                    self.fuse.pass_by("before-commit")
        finally:
            self.within = False
        if self.piped:
            self.fuse.pass_by("after-commit")

    @contextmanager
    def _passing(self, commits: bool) -> Iterator[None]:
        if commits and not self.within:
            self.fuse.pass_by("before-commit")
        yield
        if commits and not self.within:
            self.fuse.pass_by("after-commit")
        self.piped |= commits

    def _commits(self, sql: str) -> bool:
        if sql == "COMMIT" or not hasattr(self.real, "info"):
            return sql == "COMMIT"
        # On PostgreSQL a statement outside a transaction is one of its own.
        idle = self.within or self.real.info.transaction_status == 0
        return idle and sql.startswith(("WITH", "INSERT", "UPDATE", "DELETE"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def steps(effects: Path, fuse: Fuse) -> StepRegistry:
    """Steps with effects that can be counted: a line in a file, or a row in the engine's database."""

    def effect(kind: str, key: str) -> None:
        fuse.pass_by("before-effect")
        with effects.open("a") as file:
            file.write(f"{kind} {key}\n")
            file.flush()
            os.fsync(file.fileno())
        fuse.pass_by("after-effect")

    @step("charge", idempotency="keyed")
    def charge(payload: Any, ctx: Any) -> Any:
        effect("charge", ctx.idempotency_key)
        return {"receipt": f"r-{payload['order']}"}

    @step("record", transactional=True)
    def record(payload: Any, ctx: Any) -> Any:
        with ctx.transaction() as db:
            db.execute("INSERT INTO records VALUES (?, ?)", (payload["order"], ctx.idempotency_key))
        return {}

    @step("once", idempotency="none", errors={"Step.InDoubt": "it may have happened"})
    def once(payload: Any, ctx: Any) -> Any:
        effect("once", ctx.idempotency_key)
        return {}

    registry = StepRegistry()
    registry.add(*(getattr(declared, "__step__") for declared in (charge, record, once)))  # noqa: B009
    registry.hooks["open"].append(create_table)
    return registry


def create_table(host: Any) -> None:
    with host.transaction() as db:
        db.execute("CREATE TABLE IF NOT EXISTS records (number INTEGER, key TEXT)")


def main(url: str, effects: str, moment: str, number: str, way: str) -> None:
    fuse = Fuse(moment, int(number))
    with Engine(url, steps=steps(Path(effects), fuse)) as engine:
        store: Any = engine._store
        store.use(Watched(store.connection, fuse))
        if way == "inline":
            engine.run(FLOW, {"order": 7}, name="order-7")
        else:
            # However long calls take: all in one thread, and siblings in one batch, so that runs can be compared.
            pool.SLOW_SECONDS = making.HERE_SECONDS = 1e9  # type: ignore[misc]
            worker = Worker(engine)
            start = worker.submit if way == "submit" else engine.start
            start(FLOW, {"order": 7}, name="order-7")
            worker.run_until_idle()
        seen = dict(fuse.seen)
        status = engine.describe("order-7")["status"]
    print(status, seen["before-commit"], seen["before-effect"])


if __name__ == "__main__":
    main(*sys.argv[1:])
