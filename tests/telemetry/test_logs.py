"""Two nets keep personal data out of the log: a list of fields, and a mask over what looks like a number or address."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from engine import Engine, StepRegistry, step
from engine.telemetry.logs import JsonLine, PlainLine, mask, permitted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call +447700900123 now", "call +44•••23 now"),
        ("+44 7700 900-123", "+44•••23"),
        ("ana.rivera@example.com wrote", "a•••@e•••.com wrote"),
        ("from a@b.co.uk, to x_y+z@mail.example.org", "from a•••@b•••.co.uk, to x•••@m•••.example.org"),
        ("2026-05-04T10:00:00+04:00", "2026-05-04T10:00:00+04:00"),
        ("1+1 is 2, +12 too", "1+1 is 2, +12 too"),
        ("bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA", "bkg_01HX5ZJ8Q4M6T2V9C3N7R1K5PA"),
        ("user@host", "user@host"),
    ],
)
def test_numbers_and_addresses_are_masked(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_only_fields_on_the_list_are_written() -> None:
    fields = {"execution": "x", "name": "Ana", "phone": 4477, "booking": "b", "problem": "to a.b@c.de"}
    assert permitted(fields, {"booking"}) == {"execution": "x", "booking": "b", "problem": "to a•••@c•••.de"}


@step("talks")
def talks(payload: Any, ctx: Any) -> Any:
    """Says more than it should."""
    ctx.log("a member at +447700900123", warning=True, booking="b-1", name="Ana Rivera")
    return {}


def test_a_step_that_says_too_much_is_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    steps = StepRegistry()
    steps.add(talks.__step__)  # type: ignore[attr-defined]
    steps.log_keys = frozenset({"booking"})
    flow = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:talks", "End": True}}}
    with Engine("memory:", steps=steps) as engine:
        engine.run(flow, {}, name="run-1")
    (record,) = [found for found in caplog.records if found.levelname == "WARNING"]
    line = json.loads(JsonLine().format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "engine",
        "message": "a member at +44•••23",
        "execution": "run-1",
        "state": "T",
        "booking": "b-1",
    }
    plain = PlainLine(debug=False).format(record)
    assert plain == "WARNING engine: a member at +44•••23 execution=run-1 state=T booking=b-1"
    assert "Rivera" not in caplog.text


def test_a_traceback_is_masked_too() -> None:
    try:
        raise ValueError("no such number: +447700900123")
    except ValueError:
        record = logging.LogRecord("engine", logging.ERROR, "f", 1, "broken", None, sys.exc_info())
    for formatter in (JsonLine(), PlainLine(debug=True)):
        text = formatter.format(record)
        assert "+44•••23" in text
        assert "7700900" not in text
