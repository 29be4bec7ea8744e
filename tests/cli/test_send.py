"""`engine send`: answers for calls that wait for their token, and what is refused."""

from __future__ import annotations

import json

import pytest

from engine import Engine
from tests.cli.conftest import Project

STORE = "sqlite:///bookings.db"


@pytest.fixture
def token(project: Project) -> str:
    """The token of an execution `order` that waits."""
    tokens = []
    flow = project.folder / "ask.yaml"
    with Engine(STORE, steps={"shop.ask": lambda payload, ctx: tokens.append(ctx.token)}) as engine:
        assert engine.run(flow, {}, name="order").status == "RUNNING"
    return tokens[0]


def test_a_result_is_left_for_whoever_runs_the_execution_next(project: Project, token: str) -> None:
    sent = project("send", "success", token, "--output", '{"driver": "Ana"}')
    assert (sent.exit_code, sent.stdout) == (0, "order has the answer\n"), sent.stderr
    assert "engine resume order" in sent.stderr
    resumed = project("resume", "order")
    assert json.loads(resumed.stdout) == {"driver": "Ana"}


def test_a_failure_has_its_error_and_cause(project: Project, token: str) -> None:
    sent = project("send", "failure", token, "--error", "Driver.Refused", "--cause", "on a break", "--json")
    assert json.loads(sent.stdout)["status"] == "RUNNING"
    assert project("resume", "order").exit_code == 1
    assert json.loads(project("show", "order", "--json").stdout)["error"] == "Driver.Refused"


def test_the_second_of_two_answers_changes_nothing(project: Project, token: str) -> None:
    for answer in ('"first"', '"second"'):
        assert project("send", "success", token, "--output", answer).exit_code == 0
    assert json.loads(project("resume", "order").stdout) == "first"
    late = project("send", "success", token, "--output", "3")
    assert late.exit_code == 2
    assert "has ended as SUCCEEDED; see: engine show order" in late.stderr


def test_a_heartbeat_is_taken_and_a_token_of_another_store_is_not(project: Project, token: str) -> None:
    assert project("send", "heartbeat", token).exit_code == 0
    with Engine("sqlite:///other.db"):
        pass
    other = project("send", "heartbeat", token, "--store", "sqlite:///other.db")
    assert (other.exit_code, "is this the store that it was started in" in other.stderr) == (2, True)


@pytest.mark.parametrize("wrong", ["order", "order~0~1~AAAA", "order:0#1"])
def test_a_token_that_was_never_handed_out_is_refused(project: Project, token: str, wrong: str) -> None:
    refused = project("send", "success", wrong, "--output", "1")
    assert refused.exit_code == 2
    assert "task token" in refused.stderr
    assert json.loads(project("show", "order", "--json").stdout)["status"] == "RUNNING"


def test_an_output_that_is_no_json_is_shown_with_a_caret(project: Project, token: str) -> None:
    refused = project("send", "success", token, "--output", "{a: [}")
    assert refused.exit_code == 2
    assert "^" in refused.stderr
