"""`engine redrive`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Project


def test_an_execution_goes_on_where_it_failed_with_a_patched_input(project: Project) -> None:
    project("run", "order.yaml", "--input", '{"closed": true, "id": 7}', "--name", "o1")
    told = project("redrive", "o1", "--patch", '{"closed": null}')
    assert told.stdout == "o1 goes on\n"
    assert "engine resume o1" in told.stderr
    assert json.loads(project("resume", "o1").stdout) == {"order": 7}
    shown = project("show", "o1").stdout.splitlines()
    assert [line.split()[1:3] for line in shown if "Check" in line or "try 1" in line] == [["✓", "Check"], ["↻", "try"]]
    assert any(line.startswith("✓ SUCCEEDED") for line in shown)
    assert "ExecutionRedriven" in project("history", "o1").stdout


def test_a_newer_flow_takes_over(project: Project) -> None:
    project("run", "crash.yaml", "--name", "c1", "--steps", "shop")
    text = Path("crash.yaml").read_text().replace("shop.crash", "shop.check")
    Path("crash.yaml").write_text(text)
    answer = json.loads(project("redrive", "c1", "--flow", "crash.yaml", "--json").stdout)
    assert answer == {"name": "c1", "status": "RUNNING"}
    assert project("resume", "c1", "--json").exit_code == 0


def test_what_cannot_be_redriven_is_refused_with_exit_code_2(project: Project) -> None:
    project("run", "order.yaml", "--name", "order-1")
    told = project("redrive", "order-1")
    assert (told.exit_code, told.stderr) == (2, "Error: order-1: Execution is SUCCEEDED and cannot be redriven\n")
    assert "did you mean 'order-1'" in project("redrive", "order-2").stderr
    told = project("redrive", "order-1", "--patch", "{")
    assert (told.exit_code, told.stdout) == (2, "")
