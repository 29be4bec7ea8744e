"""`engine pause` and `engine unpause`, and how lists and views show what is paused."""

from __future__ import annotations

import json

from tests.cli.conftest import Project


def test_an_execution_is_paused_and_goes_on(project: Project) -> None:
    project("start", "nap.yaml", "--name", "nap-1")
    assert project("pause", "nap-1").stdout == "nap-1 is paused\n"
    assert project("pause", "nap-1").stdout == "nap-1 was paused before\n"
    assert "(paused)" in project("list").stdout
    assert "(paused)" in project("show", "nap-1").stdout
    assert json.loads(project("list", "--paused", "--json").stdout)["executions"][0]["paused"]
    told = project("resume", "nap-1")
    assert (told.exit_code, "engine unpause nap-1" in told.stderr) == (2, True)
    assert json.loads(project("pause", "--json").stdout) == {"steps": [], "executions": ["nap-1"]}
    assert project("unpause", "nap-1").stdout == "nap-1 goes on\n"
    assert project("unpause", "nap-1").stdout == "nap-1 was not paused\n"
    assert project("pause").stderr == "nothing is paused\n"
    assert "did you mean 'nap-1'" in project("pause", "nap-2").stderr


def test_a_step_is_paused_and_what_is_parked_before_it_goes_on(project: Project) -> None:
    told = project("pause", "step", "shop.*", "--reason", "repair", "--store", "sqlite:///bookings.db")
    assert told.exit_code == 2, "there is no store yet"
    project("store", "migrate")
    told = project("pause", "step", "shop.*", "--reason", "repair")
    assert told.stdout == "steps shop.* are paused; go on with: engine unpause step 'shop.*'\n"
    assert project("run", "order.yaml", "--input", '{"id": 1}', "--name", "o1").exit_code == 0
    assert "(parked: shop.check paused)" in project("list").stdout
    assert "parked: what it calls is paused" in project("show", "o1").stdout
    lines = project("pause").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["step", "shop.*"]]
    assert lines[1].endswith("repair")
    told = project("unpause", "step", "shop.*", "--rate", "5", "--json")
    assert json.loads(told.stdout) == {"step": "shop.*", "paused": False, "released": 1}
    assert project("unpause", "step", "shop.*").exit_code == 2
    assert json.loads(project("resume", "o1").stdout) == {"order": 1}


def test_what_is_neither_is_refused(project: Project) -> None:
    for arguments in (
        ("pause", "steps", "x"),
        ("unpause",),
        ("unpause", "o1", "--rate", "0"),
        ("pause", "a", "b", "c"),
    ):
        assert project(*arguments).exit_code == 2


def test_lists_are_filtered_by_state_and_flow(project: Project) -> None:
    project("start", "nap.yaml", "--name", "n1")
    project("start", "ask.yaml", "--name", "a1")
    for options, expected in (
        (("--state", "Nap", "--status", "RUNNING", "--since", "1h"), ["n1"]),
        (("--flow", "ask"), ["a1"]),
        (("--state", "Nowhere"), []),
    ):
        found = json.loads(project("list", "--json", *options).stdout)["executions"]
        assert [summary["name"] for summary in found] == expected
    assert "no executions in sqlite:///bookings.db match" in project("list", "--state", "Nowhere").stderr
