"""`engine publish`, `engine alias`, and starting by version or alias."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Project


def test_a_flow_is_published_routed_to_and_started(project: Project) -> None:
    assert project("publish", "order.yaml", "--description", "first").stdout == "order:1\n"
    Path("order.yaml").write_text(Path("order.yaml").read_text().replace("order:", "ordered:"))
    assert json.loads(project("publish", "order.yaml", "--json").stdout) == {"flow": "order", "version": 2}
    told = project("alias", "order:live", "1=90", "2=10")
    assert told.stdout.splitlines()[-1].split(None, 2)[2] == "90 % order:1, 10 % order:2"
    assert project("start", "order:live", "--name", "o1", "--input", '{"id": 7}').stdout == "o1\n"
    assert project("start", "order:live", "--name", "o1", "--input", '{"id": 7}').stdout == "o1\n"
    project("start", "order:2", "--name", "o2", "--input", '{"id": 7}')
    assert json.loads(project("resume", "o2").stdout) == {"ordered": 7}
    found = json.loads(project("alias", "order", "--json").stdout)
    assert [version["number"] for version in found["versions"]] == [1, 2]
    assert found["aliases"] == {"live": {"1": 90, "2": 10}}


def test_what_is_wrong_is_refused_with_exit_code_2(project: Project) -> None:
    project("publish", "order.yaml")
    for arguments in (
        ("alias", "order:live"),
        ("alias", "order", "1"),
        ("alias", "order:live", "x=1"),
        ("start", "order:x"),
    ):
        assert project(*arguments).exit_code == 2
    assert "has no version 9" in project("alias", "order:live", "9").stderr
    assert project("alias", "nobody").stderr.startswith("flow nobody has no version yet")
