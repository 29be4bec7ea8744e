"""`engine store`."""

from __future__ import annotations

import json
from pathlib import Path

from engine.stores.schema import newest
from tests.cli.conftest import Project

LAST = newest("sqlite")


def test_migrate_makes_a_store_once_and_status_tells_how_it_is(project: Project) -> None:
    assert project("store", "migrate").stdout == f"sqlite:///bookings.db: schema none -> {LAST}\n"
    assert project("store", "migrate").stdout == f"sqlite:///bookings.db is up to date: schema {LAST}\n"
    assert json.loads(project("store", "migrate", "--json").stdout) == {"before": LAST, "after": LAST}
    project("run", "order.yaml", "--name", "o1")
    project("start", "order.yaml", "--name", "n1")
    lines = project("store", "status").stdout.splitlines()
    told = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    assert told["store"] == "sqlite:///bookings.db"
    assert told["schema"] == f"{LAST}, up to date"
    assert told["executions"] == "1 RUNNING, 1 SUCCEEDED"
    assert told["due"] == "now     1 wait for somebody to run them"
    found = json.loads(project("store", "status", "--json").stdout)
    assert found["executions"] == {"RUNNING": 1, "SUCCEEDED": 1}
    assert (found["schema"], found["newest"], found["owners"]) == (LAST, LAST, [])


def test_a_store_that_is_not_there_is_not_made_by_looking(project: Project) -> None:
    told = project("store", "status")
    assert told.exit_code == 2
    assert told.stderr == (
        "Error: there is no store sqlite:///bookings.db yet; run a flow first, or name another store with --store\n"
    )
    assert not Path("bookings.db").exists()


def test_what_is_no_store_is_named_with_exit_code_2(project: Project) -> None:
    for command in (("store", "status"), ("store", "migrate"), ("list",)):
        told = project(*command, "--store", "mysql://x")
        assert (told.exit_code, told.stdout) == (2, "")
        assert "'mysql://x' is no store: write sqlite:///path/to/file.db" in told.stderr
