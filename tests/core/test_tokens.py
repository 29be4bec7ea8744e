"""Task tokens: taken apart as they were made, and never made by anybody else."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.execution import Execution
from engine.core.tokens import genuine, read_token, task_token

NAMES = st.text(string.ascii_letters + string.digits + "-_.é", min_size=1, max_size=80)
PATHS = st.lists(st.integers(0, 9999), max_size=3).map(lambda parts: ".".join(["0", *map(str, parts)]))


@given(NAMES, PATHS, st.integers(1, 10**9), st.sampled_from(["", "s3cret"]))
def test_a_token_is_taken_apart_as_it_was_made(name: str, path: str, number: int, secret: str) -> None:
    execution = Execution(name, None, secret=secret)
    token = task_token(execution, f"{path}#{number}")
    parts = read_token(token)
    assert parts is not None
    assert (parts.name, parts.inner) == (name, f"{path}#{number}")
    assert genuine(execution, parts)
    assert not genuine(Execution(name, None, secret="other"), parts)


def test_a_plain_token_opens_nothing_that_has_a_secret() -> None:
    plain = read_token(task_token(Execution("x", None), "0#1"))
    assert plain is not None
    assert not genuine(Execution("x", None, secret="s"), plain)


@pytest.mark.parametrize("text", ["", "x", "x:0", "x~0~1", "x~0~1~", "~0~1~c", "x~0~1~c~d"])
def test_what_is_no_token_is_not_taken_for_one(text: str) -> None:
    assert read_token(text) is None


def test_an_older_snapshot_has_no_secret() -> None:
    header = Execution("x", None, secret="s").header()
    del header["secret"]
    assert Execution.from_json(header, []).secret == ""
