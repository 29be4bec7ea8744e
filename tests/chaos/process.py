"""The process that is disturbed: a flow with every kind of effect, its steps, and a worker whose clock can be set.

`process.py URL FOLDER LEASE` is one worker. The folder is the outside world: `effects` has a line for each call that
reached it, `mailbox` the tokens of those who wait for an answer, `clock` by how many seconds the clocks are wrong.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine import Engine, StepError, StepRegistry, step
from engine.runtime.clock import SystemClock
from engine.runtime.worker import Worker, prepare_process

FLOW = """
QueryLanguage: JMESPath
StartAt: Charge
States:
  Charge:
    Type: Task
    Resource: step:charge
    Arguments: {what: fare, number: "{% states.input.number %}"}
    Retry: [{ErrorEquals: [Flaky], IntervalSeconds: 1, MaxAttempts: 3}]
    Assign:
      number: "{% states.input.number %}"
      receipt: "{% states.result.receipt %}"
      pause: "{% states.input.pause %}"
      long: "{% states.input.long %}"
    Next: Record
  Record:
    Type: Task
    Resource: step:record
    Arguments: {kind: booked}
    Next: Pause
  Pause: {Type: Wait, Seconds: "{% pause %}", Next: Ask}
  Ask:
    Type: Task
    Resource: step:ask.waitForTaskToken
    Arguments: {number: "{% number %}"}
    Assign: {answer: "{% states.result %}"}
    Next: Both
  Both:
    Type: Parallel
    Branches:
      - StartAt: Mail
        States:
          Mail: {Type: Task, Resource: "step:charge", Arguments: {what: mail, number: "{% number %}"}, End: true}
      - StartAt: Tell
        States:
          Tell: {Type: Task, Resource: "step:record", Arguments: {kind: told}, End: true}
    Next: Each
  Each:
    Type: Map
    Items: [1, 2, 3]
    MaxConcurrency: 2
    ItemProcessor:
      StartAt: Item
      States:
        Item:
          Type: Task
          Resource: step:charge
          Arguments: {what: "{% states.input %}", number: "{% number %}"}
          End: true
    Next: Spread
  Spread:
    Type: Map
    Items: [a, b, c, d]
    ItemSelector: {what: "{% states.context.Map.Item.Value %}", number: "{% number %}"}
    MaxConcurrency: 3
    ItemProcessor:
      ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
      StartAt: Ride
      States:
        Ride: {Type: Task, Resource: "step:charge", Arguments: "{% states.input %}", Next: Note}
        Note: {Type: Task, Resource: "step:record", Arguments: {kind: spread}, Output: "{% states.input %}", End: true}
    Assign: {spread: "{% states.result[*].receipt %}"}
    Next: Once
  Once:
    Type: Task
    Resource: step:once
    Arguments: {}
    Output: &outcome {receipt: "{% receipt %}", answer: "{% answer %}", number: "{% number %}", spread: "{% spread %}"}
    Catch:
      - ErrorEquals: [Step.InDoubt]
        Output: *outcome
        Next: End
    Next: End
  End: {Type: Succeed}
"""
CHILDREN = 4
"""How many executions a distributed Map starts for each."""
KEYED, ROWS = 5 + CHILDREN, 2 + CHILDREN
"""Effects of one execution and its children: calls under keys of their own, and rows in the engine's database."""
LONG = 6.0
"""Longer than a worker holds an execution in memory for."""


def given(number: int) -> dict[str, Any]:
    """The input of that execution: every seventh waits so long that it is parked."""
    return {"number": number, "pause": LONG if number % 7 == 0 else number % 2, "long": "x" * (number % 5) * 500}


def answer(number: int) -> dict[str, Any]:
    """What the outside world answers."""
    return {"yes": number % 3 == 0}


def steps(folder: Path) -> StepRegistry:
    """The steps, whose effects can be counted."""

    def happen(*words: object) -> None:
        line = (" ".join(map(str, words)) + "\n").encode()
        file = os.open(folder / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    @step("charge", idempotency="keyed", errors={"Flaky": "now and then"})
    def charge(payload: Any, ctx: Any) -> Any:
        if payload["what"] == "fare" and payload["number"] % 4 == ctx.attempt:
            raise StepError("Flaky")
        happen("charge", ctx.idempotency_key)
        return {"receipt": f"{payload['number']}-{payload['what']}"}

    @step("record", transactional=True)
    def record(payload: Any, ctx: Any) -> Any:
        with ctx.transaction() as db:
            db.execute("INSERT INTO chaos_outbox VALUES (?, ?)", (ctx.execution, payload["kind"]))
        return payload

    @step("ask")
    def ask(payload: Any, ctx: Any) -> Any:
        file = os.open(folder / "mailbox", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{payload['number']} {ctx.token}\n".encode())
        finally:
            os.close(file)
        return None

    @step("once", idempotency="none", errors={"Step.InDoubt": "it may have happened"})
    def once(payload: Any, ctx: Any) -> Any:
        happen("once", ctx.idempotency_key)
        return {}

    registry = StepRegistry()
    registry.add(*(getattr(declared, "__step__") for declared in (charge, record, ask, once)))  # noqa: B009
    registry.hooks["open"].append(create_outbox)
    return registry


def create_outbox(host: Any) -> None:
    with host.transaction() as db:
        db.execute("CREATE TABLE IF NOT EXISTS chaos_outbox (execution TEXT, kind TEXT)")


class WrongClock(SystemClock):
    """A clock that somebody sets, forwards and back."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._read = -1.0
        self._wrong = 0.0

    def now(self) -> float:
        moment = time.monotonic()
        if moment > self._read + 0.1:
            self._read = moment
            self._wrong = float(self._file.read_text()) if self._file.exists() else 0.0
        return time.time() + self._wrong


def main(url: str, place: str, lease: str) -> None:
    folder = Path(place)
    with Engine(url, steps=steps(folder), clock=WrongClock(folder)) as engine:
        prepare_process()
        worker = Worker(engine, concurrency=4, lease=float(lease))
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        print("ready", flush=True)
        worker.run()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main(*sys.argv[1:])
