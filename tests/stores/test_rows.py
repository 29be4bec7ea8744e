"""The texts of rows: everything comes back as it was, and a payload that stands in several places is written once."""

from __future__ import annotations

import json
from typing import Any

from engine import load_flow
from engine.core.decide import decide
from engine.core.events import ExecutionStarted, HistoryEvent, TaskSucceeded
from engine.core.execution import ROOT, Execution
from engine.stores import rows

FLOW = {
    "StartAt": "A",
    "States": {
        "A": {"Type": "Task", "Resource": "step:a", "Next": "B"},
        "B": {"Type": "Task", "Resource": "step:b", "End": True},
    },
}
LARGE = {"text": "x" * 2000, "list": [1, {"deep": None}]}


def events(result: Any) -> list[HistoryEvent]:
    """What is written when the first step has answered."""
    machine = load_flow(FLOW)
    first = decide(machine, Execution("one", {"id": 1}), ExecutionStarted(1.0))
    execution = first.apply()
    return decide(machine, execution, TaskSucceeded(f"0#{execution.frames[ROOT].token}", result, 2.0)).history


def test_a_large_result_is_written_once_and_read_wherever_it_stood() -> None:
    made = events(LARGE)
    text = rows.history_text(made)
    assert sum(detail is LARGE for event in made for detail in (event[4] or {}).values()) == 4
    assert text.count("x" * 2000) == 1
    assert rows.history([text]) == made


def test_details_keep_their_order() -> None:
    made = events(LARGE)
    read = rows.history([rows.history_text(made)])
    assert [list(event[4] or ()) for event in read] == [list(event[4] or ()) for event in made]


def test_small_events_are_written_as_they_are() -> None:
    made = events({"id": 1})
    text = rows.history_text(made)
    assert json.loads(text) == [list(event) for event in made]
    assert rows.history([text]) == made


def test_equal_texts_and_empty_values_come_back_as_they_were() -> None:
    made: list[HistoryEvent] = [
        (1, 0, 1.0, "A", {"input": {}, "name": "n", "cause": "y" * 900, "error": "z" * 900}),
        (2, 1, 1.0, "B", {"output": [], "cause": "y" * 900, "number": 3, "nothing": None}),
        (3, 2, 1.0, "C", None),
    ]
    assert rows.history([rows.history_text(made)]) == made


def test_arguments_that_are_the_input_are_written_once() -> None:
    machine = load_flow(FLOW)
    frame = decide(machine, Execution("one", LARGE), ExecutionStarted(1.0)).apply().frames[ROOT]
    text = rows.frame_body(frame)
    assert text.count("x" * 2000) == 1
    row = (1, "one", "RUNNING", 1, 0, 4, 1, 1.0, None, None, None, "hash", "{}", text, json.dumps(LARGE), None)
    header = {name: value for name, value in Execution("one", LARGE).header().items() if name not in rows.COLUMNS}
    stored = rows.stored((*row[:12], json.dumps(header), *row[13:]), [])
    found = stored.execution.frames[ROOT]
    assert found.to_json() == frame.to_json()
    assert rows.frame_body(found) == text
