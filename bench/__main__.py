"""Measure what the engine costs, beside the floor of this machine: `make bench`.

Prints one line a figure. Compare figures of one run only: machines differ, and so does their mood.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import Engine, StateMachine, load_flow, simulate

TEN_STATES = """
StartAt: S0
States:
  S0: {Type: Pass, Next: T1}
  T1: {Type: Task, Resource: "step:work", Next: P2}
  P2: {Type: Pass, Result: {ready: true}, ResultPath: $.flags, Next: C3}
  C3:
    Type: Choice
    Choices: [{Variable: $.flags.ready, BooleanEquals: true, Next: T4}]
    Default: S9
  T4: {Type: Task, Resource: "step:work", ResultPath: $.quote, Next: P5}
  P5: {Type: Pass, Parameters: {"id.$": $.id, "quote.$": $.quote}, Next: T6}
  T6: {Type: Task, Resource: "step:work", ResultPath: $.ride, Next: P7}
  P7: {Type: Pass, InputPath: $, Next: T8}
  T8: {Type: Task, Resource: "step:work", ResultPath: null, Next: S9}
  S9: {Type: Succeed}
"""
TEN_STATES_JMESPATH = """
QueryLanguage: JMESPath
StartAt: S0
States:
  S0: {Type: Pass, Next: T1}
  T1: {Type: Task, Resource: "step:work", Arguments: "{% states.input %}", Next: P2}
  P2: {Type: Pass, Assign: {ready: true}, Next: C3}
  C3:
    Type: Choice
    Choices: [{Condition: "{% ready %}", Next: T4}]
    Default: S9
  T4: {Type: Task, Resource: "step:work", Assign: {quote: "{% states.result.id %}"}, Next: P5}
  P5: {Type: Pass, Output: {id: "{% states.input.id %}", quote: "{% quote %}"}, Next: T6}
  T6: {Type: Task, Resource: "step:work", Output: "{% states.result %}", Next: P7}
  P7: {Type: Pass, Next: T8}
  T8: {Type: Task, Resource: "step:work", Output: "{% states.input %}", Next: S9}
  S9: {Type: Succeed}
"""
FIVE_STEPS = {
    "StartAt": "S0",
    "States": {
        f"S{i}": {"Type": "Task", "Resource": "step:work", **({"End": True} if i == 4 else {"Next": f"S{i + 1}"})}
        for i in range(5)
    },
}


def best(work: Callable[[], int], seconds: float = 1.0) -> float:
    """Units per second: the median of five rounds."""
    rates = []
    for _ in range(5):
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 5:
            done += work()
        rates.append(done / (time.perf_counter() - start))
    return statistics.median(rates)


def transitions(machine: StateMachine) -> float:
    data = {"id": 7, "name": "x"}

    def work() -> int:
        for _ in range(50):
            outcome = simulate(machine, data, tasks=lambda call: {"id": 1})
        assert outcome.status == "SUCCEEDED", outcome
        return 50 * 10

    return best(work)


def map_items(items: int) -> float:
    machine = load_flow(
        {
            "StartAt": "M",
            "States": {
                "M": {
                    "Type": "Map",
                    "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
                    "End": True,
                }
            },
        }
    )
    data = list(range(items))

    def work() -> int:
        assert simulate(machine, data, history_limit=10_000_000).output == data
        return items

    return best(work)


def floor_calls() -> float:
    def nothing(value: Any) -> Any:
        return value

    def work() -> int:
        for _ in range(10_000):
            nothing(1)
        return 10_000

    return best(work)


def floor_commits(folder: Path) -> float:
    import sqlite3

    db = sqlite3.connect(folder / "floor.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (a TEXT)")

    def work() -> int:
        db.execute("INSERT INTO t VALUES (?)", ("x" * 200,))
        return 1

    return best(work)


def durable_flows(folder: Path) -> float:
    with Engine(f"sqlite:///{folder}/bench.db", steps={"work": lambda payload, ctx: payload}) as engine:
        machine = load_flow(FIVE_STEPS, steps=engine.steps.names())

        def work() -> int:
            assert engine.run(machine, {"id": 1}).status == "SUCCEEDED"
            return 1

        return best(work)


def start_up(code: list[str]) -> float:
    """Milliseconds of a whole process: the median of 9."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run([sys.executable, *code], check=True, stdout=subprocess.DEVNULL)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def load_time(states: int) -> float:
    lines = ["StartAt: S0", "States:"]
    for i in range(states):
        follow = "End: true" if i == states - 1 else f"Next: S{i + 1}"
        lines += [
            f"  S{i}:",
            "    Type: Task",
            "    Resource: step:work",
            "    Parameters:",
            "      id.$: $.id",
            "      name.$: States.Format('{}-{}', $.name, $.id)",
            "    ResultPath: $.result",
            "    Retry: [{ErrorEquals: [Taxi.NotSent], IntervalSeconds: 1, MaxAttempts: 3}]",
            f"    {follow}",
        ]
    text = "\n".join(lines) + "\n"
    return 1000 / best(lambda: 1 if load_flow(text) else 0)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = floor_calls()
        print(f"floor: function calls            {floor:12,.0f} /s")
        for label, text in (("JSONPath", TEN_STATES), ("JMESPath", TEN_STATES_JMESPATH)):
            rate = transitions(load_flow(text))
            print(f"in memory, 10 states, {label}   {rate:12,.0f} transitions/s   (1/{floor / rate:.0f} of the floor)")
        print(f"in memory, Map of 10,000         {map_items(10_000):12,.0f} items/s")
        commits = floor_commits(folder)
        flows = durable_flows(folder)
        print(f"floor: SQLite commits, FULL      {commits:12,.0f} /s")
        share = f"{6 * flows / commits:.0%} of the floor"
        print(f"durable, 5 steps, alone          {flows:12,.0f} flows/s         (6 commits each: {share})")
        print(f"load a flow of 100 states, YAML  {load_time(100):12.1f} ms")
        print(f"start-up: python -c pass         {start_up(['-c', 'pass']):12.0f} ms")
        print(f"start-up: import engine          {start_up(['-c', 'import engine']):12.0f} ms")
        print(f"start-up: engine --help          {start_up(['-m', 'engine.cli', '--help']):12.0f} ms")


if __name__ == "__main__":
    main()
