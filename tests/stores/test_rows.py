"""The texts of rows: everything comes back as it was, and a payload that stands in several places is written once."""

from __future__ import annotations

import json
from typing import Any

from engine import load_flow
from engine.core.decide import decide
from engine.core.events import Decision, ExecutionStarted, HistoryEvent, TaskSucceeded
from engine.core.execution import ROOT, SUCCEEDED, TASK, Execution
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


MANY = load_flow(
    """
StartAt: M
States:
  M:
    Type: Map
    ItemsPath: $.items
    MaxConcurrency: 1
    ItemProcessor: {StartAt: T, States: {T: {Type: Task, Resource: "step:t", End: true}}}
    End: true
"""
)
ITEMS = [{"number": number, "text": "y" * 100} for number in range(100)]


def taken(execution: Execution, bodies: dict[str, str]) -> Execution:
    """The execution as it comes out of its rows."""
    constant = json.dumps({name: value for name, value in execution.header().items() if name not in rows.COLUMNS})
    facts = (execution.runs, execution.events, execution.sequence, execution.started, None, None, None, "hash")
    further = [body for path, body in bodies.items() if path != ROOT]
    row = (1, execution.name, execution.status, 1, *facts, constant, bodies[ROOT], json.dumps(execution.input), None)
    return rows.stored(row, further).execution


def put(bodies: dict[str, str], decision: Decision) -> int:
    """Write the frames of a decision to those rows; answers how many characters that took."""
    written, gone = rows.frame_rows([(1, decision)])
    made = {path: body for _, path, body in written}
    _, body = rows.root(decision)
    if body is not None:
        made[ROOT] = body
    for _, path in gone:
        bodies.pop(path, None)
    bodies.update(made)
    return sum(map(len, made.values()))


def test_the_end_of_one_of_many_items_does_not_write_them_again() -> None:
    bodies: dict[str, str] = {}
    decision = decide(MANY, Execution("one", {"items": ITEMS}), ExecutionStarted(1.0))
    assert put(bodies, decision) > len(json.dumps(ITEMS))
    execution = decision.apply()
    for _ in ITEMS:
        loaded = taken(execution, bodies)
        assert loaded.frames[ROOT].to_json() == execution.frames[ROOT].to_json(), "nothing is lost on the way"
        (waiting,) = (frame for frame in loaded.frames.values() if frame.wait == TASK)
        decision = decide(MANY, loaded, TaskSucceeded(f"{waiting.path}#{waiting.token}", None, 2.0))
        assert put(bodies, decision) < 2_000
        execution = decision.apply()
    assert (execution.status, set(bodies)) == (SUCCEEDED, {ROOT}), "what stood beside the frame is gone with it"


def test_a_map_from_before_items_stood_apart_goes_on_as_it_was() -> None:
    execution = decide(MANY, Execution("one", {"items": ITEMS}), ExecutionStarted(1.0)).apply()
    bodies = {path: json.dumps(frame.to_json()) for path, frame in execution.frames.items()}
    for number in range(2):
        loaded = taken(execution, bodies)
        decision = decide(MANY, loaded, TaskSucceeded(f"0.{number}#{loaded.sequence}", None, 2.0))
        assert put(bodies, decision) > len(json.dumps(ITEMS))
        execution = decision.apply()
        assert set(bodies) == set(execution.frames)
