"""Random flows under random schedules: whatever the order of answers, repeats and delays, an execution ends, nothing
late changes it, and nothing is left behind.

Two defects of the obvious design show only here: tokens that repeat when a Parallel is retried, and events for a frame
that has not started yet.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine import load_flow
from engine.core.decide import decide
from engine.core.events import Event, ExecutionStarted, ScheduleTask, StartTimer, TaskFailed, TaskSucceeded, TimerFired
from engine.core.execution import RUNNING, Execution
from engine.machine import StateMachine
from engine.values import dump
from tests.core.drivers import START, _changes_nothing, _reload

SCHEDULES = 300


def random_machine(chance: random.Random, depth: int, names: list[int]) -> dict[str, Any]:
    """One to three states in a row, of any type; containers nest to `depth`."""
    states: dict[str, Any] = {}
    for number in range(chance.randint(1, 3)):
        names[0] += 1
        name = f"S{names[0]}"
        states[name] = random_state(chance, depth, names)
        if number:
            previous = list(states)[-2]
            states[previous]["Next"] = list(states)[-1]
    states[list(states)[-1]]["End"] = True
    return {"StartAt": next(iter(states)), "States": states}


def random_state(chance: random.Random, depth: int, names: list[int]) -> dict[str, Any]:
    kind = chance.choice(["Task", "Task", "Wait", "Pass", *(["Parallel", "Map"] if depth else [])])
    state: dict[str, Any] = {"Type": kind}
    match kind:
        case "Task":
            state["Resource"] = "step:work"
            if chance.random() < 0.3:
                state["TimeoutSeconds"] = chance.randint(2, 9)
        case "Wait":
            state["Seconds"] = chance.randint(0, 20)
        case "Parallel":
            state["Branches"] = [random_machine(chance, depth - 1, names) for _ in range(chance.randint(1, 3))]
        case "Map":
            state["ItemsPath"] = "$$.Execution.Input.items"
            state["MaxConcurrency"] = chance.randint(0, 2)
            state["ItemProcessor"] = random_machine(chance, depth - 1, names)
    if kind in ("Task", "Parallel", "Map") and chance.random() < 0.5:
        attempts = chance.randint(0, 3)
        state["Retry"] = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": attempts, "IntervalSeconds": 1}]
    return state


def random_events(chance: random.Random, command: ScheduleTask, now: float) -> list[Event]:
    """One answer, perhaps twice, perhaps only after its time-out."""
    at = now + chance.choice([0, 0, 1, 5, 30])
    if chance.random() < 0.4:
        answer: Event = TaskFailed(command.token, "Boom", None, at)
    else:
        answer = TaskSucceeded(command.token, chance.randint(0, 9), at)
    limits = [TimerFired(command.token, command.due)] if command.due is not None else []
    return [answer, *limits, *([answer] if chance.random() < 0.3 else [])]


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_random_flow_under_a_random_schedule_ends_well(seed: int) -> None:
    chance = random.Random(seed)
    machine = load_flow(random_machine(chance, 2, [0]))
    execution = run(machine, chance)
    assert execution.status in ("SUCCEEDED", "FAILED")
    assert execution.frames == {}, "an execution that has ended leaves no frame behind"


def run(machine: StateMachine, chance: random.Random) -> Execution:
    execution = Execution(f"random-{chance.random()}", {"items": [1, 2, 3]})
    pending: list[Event] = [ExecutionStarted(START)]
    past: list[Event] = []
    now = START
    tokens: set[str] = set()
    while execution.status == RUNNING:
        assert pending, f"the execution is stuck: {dump([frame.to_json() for frame in execution.frames.values()])}"
        # Any event may come first; none comes before its time. Answers of cancelled calls come all the same.
        event = pending.pop(chance.randrange(len(pending)))
        now = event.time = max(now, event.time)
        decision = decide(machine, _reload(execution), event)
        execution = decision.apply()
        past.append(event)
        for stale in chance.sample(past, min(2, len(past))):
            _changes_nothing(machine, execution, stale, now)
        for command in decision.commands:
            if isinstance(command, ScheduleTask):
                assert command.token not in tokens, "a token was given out twice"
                tokens.add(command.token)
                pending += random_events(chance, command, now)
            elif isinstance(command, StartTimer):
                pending.append(TimerFired(command.token, command.due))
    return execution
