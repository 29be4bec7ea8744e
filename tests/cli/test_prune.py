"""`engine prune`."""

from __future__ import annotations

import json

from tests.cli.conftest import Project


def test_what_ended_long_ago_is_removed_and_nothing_else(project: Project) -> None:
    project("run", "order.yaml", "--name", "o1")
    project("start", "nap.yaml", "--name", "n1")
    assert project("prune", "--older-than", "1h").stdout == "0 executions were removed\n"
    assert project("prune", "--older-than", "0s", "--dry-run").stdout == "1 executions would be removed\n"
    assert project("prune", "--older-than", "0s", "--status", "FAILED").stdout == "0 executions were removed\n"
    assert json.loads(project("prune", "--older-than", "0s", "--json").stdout) == {"removed": 1}
    assert [found["name"] for found in json.loads(project("list", "--json").stdout)["executions"]] == ["n1"]
    assert project("show", "o1").exit_code == 2


def test_without_a_moment_nothing_is_removed(project: Project) -> None:
    project("run", "order.yaml", "--name", "o1")
    assert project("prune").exit_code == 2
    assert project("prune", "--older-than", "soon").exit_code == 2
