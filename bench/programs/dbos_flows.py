"""DBOS, in a closed loop: `dbos_flows URL IN_FLIGHT SECONDS`. On SQLite with the write-ahead log, as ours."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from dbos import DBOS

from bench.flows import LENGTH
from bench.programs.protocol import answer, ready, threads_loop


def main(url: str, in_flight: str, seconds: str) -> None:
    if url.startswith("sqlite:///"):
        db = sqlite3.connect(url.removeprefix("sqlite:///"))
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "CRITICAL", "run_admin_server": False})

    @DBOS.step()
    def work(payload: Any) -> Any:
        return payload

    @DBOS.workflow()
    def flow(payload: Any) -> Any:
        for _ in range(LENGTH):
            payload = work(payload)
        return payload

    DBOS.launch()
    threads_loop(lambda: flow({"id": 1}), int(in_flight), min(0.5, float(seconds) / 4))
    ready()
    answer(threads_loop(lambda: flow({"id": 1}), int(in_flight), float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
