"""Fill a store with a million executions, and show what lists, claims and timers cost then: plans and times.

    python -m bench.million [sqlite:///million.db | postgresql://…] [--executions 1000000]

Most have ended, over a year; one in a hundred runs, and waits for something due within a day.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from engine.stores import Store, Wanted, open_store
from engine.stores.listing import query
from engine.stores.sql import statements

NOW: Final = 1_767_225_600.0
YEAR: Final = 365 * 86_400.0
BATCH: Final = 100_000
REPEATS: Final = 5
HEADER: Final = '{"format":1,"machine_id":"booking","deadline":null,"history_limit":25000,"express":false}'
FILL: Final = """
INSERT INTO executions (name, flow, status, version, owner, wakes_at, state, events, sequence, runs, started_at,
    stopped_at, error, definition, header, frame, input, output)
SELECT 'e-' || n, CASE n % 3 WHEN 0 THEN 'booking' WHEN 1 THEN 'cancel' ELSE 'modify' END,
    CASE WHEN n % 100 = 0 THEN 'RUNNING' WHEN n % 10 = 1 THEN 'FAILED' ELSE 'SUCCEEDED' END, 9, NULL,
    CASE WHEN n % 100 = 0 THEN {now} + (n * 7919) % 86400 END, CASE WHEN n % 100 = 0 THEN 'AwaitRide' END, 30, 9, 1,
    {now} - {year} * ({count} - n) / {count}.0,
    CASE WHEN n % 100 <> 0 THEN {now} - {year} * ({count} - n) / {count}.0 + 60 END,
    CASE WHEN n % 10 = 1 THEN '"Taxi.NoVehicles"' END, 'd', '{header}',
    CASE WHEN n % 100 = 0 THEN '{{"path":"0","state":"AwaitRide","wait":"TIMER","token":3}}' END,
    '{payload}', CASE WHEN n % 100 <> 0 THEN '{payload}' END
FROM ({numbers}) numbers
"""
NUMBERS: Final = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT {low} UNION ALL SELECT n + 1 FROM c WHERE n < {high}) SELECT n FROM c",
    "postgresql": "SELECT generate_series({low}::bigint, {high}) AS n",
}
PAYLOAD: Final = '{"pickup":"LHR-T5","dropoff":"10 Downing Street","pax":2,"note":"' + "x" * 900 + '"}'
LISTS: Final = {
    "list": Wanted(limit=100),
    "list --since 1h": Wanted(since=NOW - 3600),
    "list --status FAILED": Wanted("FAILED"),
    "list --state AwaitRide --status RUNNING": Wanted("RUNNING", state="AwaitRide"),
    "list --state AwaitRide --since 1h": Wanted(since=NOW - 3600, state="AwaitRide"),
    "list --flow cancel": Wanted(flow="cancel"),
    "list --paused": Wanted(paused=True),
}


def fill(store: Store, dialect: str, count: int) -> None:
    """Write the executions, in a few large statements."""
    for low in range(1, count + 1, BATCH):
        high = min(low + BATCH - 1, count)
        numbers = NUMBERS[dialect].format(low=low, high=high)
        facts = {"now": NOW, "year": YEAR, "count": count, "header": HEADER, "payload": PAYLOAD, "numbers": numbers}
        with store.transaction() as db:
            db.execute(FILL.format(**facts))
        print(f"  {high:,} executions", flush=True)
    with store.transaction() as db:
        db.execute("ANALYZE")


def plan(store: Store, dialect: str, sql: str, parameters: Any) -> list[str]:
    """What the database says that it will do."""
    explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN (COSTS OFF)"
    with store.reading() as db:
        rows = db.execute(f"{explain} {sql}", parameters).fetchall()
    return [str(row[-1]) for row in rows]


def took(work: Callable[[], object]) -> float:
    """Milliseconds, the median of a few times."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def report(store: Store, dialect: str) -> None:
    """Plans and times of everything that is asked often."""
    for title, wanted in LISTS.items():
        sql, parameters = query(wanted)
        _show(title, plan(store, dialect, sql, parameters), took(lambda wanted=wanted: store.list(wanted)))  # type: ignore[misc]
    raw = statements("sqlite" if dialect == "sqlite" else "postgres")
    for title in ("any_due", "next_due", "count", "count_due"):
        sql = raw[title].replace("%s", "?")
        parameters = [NOW] if "?" in sql else []
        _show(title, plan(store, dialect, sql, parameters), took(lambda s=sql, p=parameters: _read(store, s, p)))  # type: ignore[misc]
    store.enter(60.0)
    _show("claim 100 (writes)", [], took(lambda: store.claim(NOW + 43_200, 100)))
    _show("beat", [], took(store.beat))
    _show("load one", [], took(lambda: store.load("e-100")))


def _read(store: Store, sql: str, parameters: Any) -> None:
    with store.reading() as db:
        db.execute(sql, parameters).fetchall()


def _show(title: str, lines: list[str], milliseconds: float) -> None:
    print(f"\n{title}: {milliseconds:.2f} ms")
    for line in lines:
        print(f"    {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", nargs="?", default="sqlite:///million.db")
    parser.add_argument("--executions", type=int, default=1_000_000)
    arguments = parser.parse_args()
    store = open_store(arguments.store)
    try:
        with store.reading() as db:
            dialect = db.dialect
        if not store.list(Wanted(limit=1)):
            fill(store, dialect, arguments.executions)
        report(store, dialect)
    finally:
        store.close()


if __name__ == "__main__":
    main()
