"""Whether a call that is asked for again may have been made before."""

from __future__ import annotations

import pytest

from engine import load_flow
from engine.core.decide import decide
from engine.core.events import CallsReturned, Event, ExecutionResumed, ExecutionStarted, ScheduleTask, TaskHeld
from engine.core.execution import Execution

MACHINE = load_flow({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "step:t", "End": True}}})

CASES = [
    pytest.param("R", 0, id="nobody had it before"),
    pytest.param("RR", 1, id="somebody had it"),
    pytest.param("RbR", 0, id="it was given back unbegun"),
    pytest.param("RbRR", 1, id="it was given back unbegun, and somebody else had it since"),
    pytest.param("RRbR", 1, id="somebody had it before the one who gave it back"),
    pytest.param("RbRbR", 0, id="it was given back twice"),
    pytest.param("RhR", 0, id="it was held back"),
    pytest.param("RhbRR", 1, id="it was held back and given back, and somebody had it since"),
    pytest.param("RBR", 1, id="another call was given back"),
]


@pytest.mark.parametrize(("happens", "again"), CASES)
def test_only_what_may_have_begun_counts_as_made(happens: str, again: int) -> None:
    execution = decide(MACHINE, Execution("x", None), ExecutionStarted(0.0)).apply()
    token = "0#1"
    events: dict[str, Event] = {
        "R": ExecutionResumed(1.0),
        "b": CallsReturned([token], 1.0),
        "B": CallsReturned(["0#7", "0.1#1"], 1.0),
        "h": TaskHeld(token, "t", 1.0),
    }
    for letter in happens:
        decision = decide(MACHINE, execution, events[letter])
        execution = decision.apply()
        execution = Execution.from_json(execution.header(), [frame.to_json() for frame in execution.frames.values()])
    (asked,) = [command for command in decision.commands if isinstance(command, ScheduleTask)]
    assert (asked.token, asked.again, asked.attempt) == (token, again, 1 + again)
