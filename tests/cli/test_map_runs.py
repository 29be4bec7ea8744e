"""Children of a distributed Map on the command line: counted at their parent, listed when they are asked for."""

from __future__ import annotations

import json

from tests.cli.conftest import Project

SPREAD = """
StartAt: Each
States:
  Each:
    Type: Map
    ToleratedFailureCount: 1
    ItemProcessor:
      ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
      StartAt: Odd
      States:
        Odd: {Type: Choice, Choices: [{Variable: $, NumericEquals: 2, Next: Bad}], Default: Good}
        Good: {Type: Succeed}
        Bad: {Type: Fail, Error: Even}
    End: true
"""


def test_show_counts_the_children_and_list_has_them_by_their_parent(project: Project) -> None:
    (project.folder / "spread.yaml").write_text(SPREAD, encoding="utf-8")
    assert project("start", "spread.yaml", "--input", "[1, 2, 3]", "--name", "m1").exit_code == 0
    waiting = project("show", "m1").stdout
    assert "map run of" not in waiting
    assert project("resume", "m1").exit_code == 0
    assert "map run of Each: SUCCEEDED, 2 succeeded, 1 failed of 3" in project("show", "m1").stdout
    (run,) = json.loads(project("show", "m1", "--json").stdout)["map_runs"]
    assert (run["total"], run["succeeded"], run["failed"]) == (3, 2, 1)
    everyone = json.loads(project("list", "--json").stdout)["executions"]
    assert [found["name"] for found in everyone] == ["m1"]
    failed = json.loads(project("list", "--map-of", "m1", "--status", "FAILED", "--json").stdout)["executions"]
    assert [(found["parent"], found["error"]) for found in failed] == [("m1", "Even")]
    assert "started by execution m1" in project("show", failed[0]["name"]).stdout
    assert "no executions" in project("list", "--map-of", "m1", "--status", "RUNNING").stderr
    told = {
        line.split("  ")[0]: line.split("  ")[-1].strip() for line in project("store", "status").stdout.splitlines()
    }
    assert (told["executions"], told["of map runs"]) == ("1 SUCCEEDED", "2 succeeded, 1 failed")
    found = json.loads(project("store", "status", "--json").stdout)
    assert (found["executions"], found["children"]) == ({"SUCCEEDED": 1}, {"succeeded": 2, "failed": 1})
