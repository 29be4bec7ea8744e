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
from engine.cli.trace import Trace
from engine.core.decide import decide
from engine.core.events import (
    Event,
    ExecutionRedriven,
    ExecutionStarted,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TaskFailed,
    TaskSucceeded,
    TimerFired,
)
from engine.core.execution import OVER, RUNNING, Execution
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


def random_events(chance: random.Random, command: ScheduleTask, now: float, boom: float) -> list[Event]:
    """One answer, perhaps twice, perhaps only after its time-out."""
    at = now + chance.choice([0, 0, 1, 5, 30])
    if chance.random() < boom:
        answer: Event = TaskFailed(command.token, "Boom", None, at)
    else:
        answer = TaskSucceeded(command.token, chance.randint(0, 9), at)
    limits = [TimerFired(command.token, command.due)] if command.due is not None else []
    return [answer, *limits, *([answer] if chance.random() < 0.3 else [])]


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_random_flow_under_a_random_schedule_ends_well(seed: int) -> None:
    chance = random.Random(seed)
    run = Run(load_flow(random_machine(chance, 2, [0])), chance)
    run.feed(ExecutionStarted(START))
    run.to_its_end()
    assert run.execution.status in ("SUCCEEDED", "FAILED")
    if run.execution.status == "SUCCEEDED":
        assert run.execution.frames == {}, "an execution that has succeeded leaves no frame behind"


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_random_flow_that_is_redriven_until_it_succeeds_runs_nothing_again_that_had_succeeded(seed: int) -> None:
    chance = random.Random(seed)
    run = Run(load_flow(random_machine(chance, 2, [0])), chance)
    run.feed(ExecutionStarted(START))
    for redrives in range(50):
        run.to_its_end()
        execution = run.execution
        assert execution.redrives == redrives
        assert sum(event[3] == "ExecutionRedriven" for event in run.history) == redrives
        if execution.status == "SUCCEEDED":
            break
        run.done |= {path for path, frame in execution.frames.items() if frame.wait == OVER}
        run.boom = 0.4 / (redrives + 2)
        run.feed(ExecutionRedriven(run.now))
        run.done.clear()
    assert run.execution.status == "SUCCEEDED"
    assert [event[0] for event in run.history] == list(range(1, run.execution.events + 1))
    assert Trace.of(run.history).status == "SUCCEEDED"


class Run:
    """One execution under a random schedule. `boom`: how often a task fails; `done`: paths that must not be called."""

    def __init__(self, machine: StateMachine, chance: random.Random) -> None:
        self.machine = machine
        self.chance = chance
        self.execution = Execution(f"random-{chance.random()}", {"items": [1, 2, 3]})
        self.pending: list[Event] = []
        self.past: list[Event] = []
        self.history: list[HistoryEvent] = []
        self.tokens: set[str] = set()
        self.done: set[str] = set()
        self.now = START
        self.boom = 0.4

    def feed(self, event: Event) -> None:
        self.now = event.time = max(self.now, event.time)
        decision = decide(self.machine, _reload(self.execution), event)
        self.execution = decision.apply()
        self.history += decision.history
        self.past += [event] if not isinstance(event, ExecutionRedriven) else []
        for stale in self.chance.sample(self.past, min(2, len(self.past))):
            _changes_nothing(self.machine, self.execution, stale, self.now)
        for command in decision.commands:
            if isinstance(command, ScheduleTask):
                assert command.token not in self.tokens, "a token was given out twice"
                assert command.path not in self.done, "a branch that had succeeded was run again"
                self.tokens.add(command.token)
                self.pending += random_events(self.chance, command, self.now, self.boom)
            elif isinstance(command, StartTimer):
                self.pending.append(TimerFired(command.token, command.due))

    def to_its_end(self) -> None:
        while self.execution.status == RUNNING:
            frames = [frame.to_json() for frame in self.execution.frames.values()]
            assert self.pending, f"the execution is stuck: {dump(frames)}"
            # Any event may come first; none comes before its time. Answers of cancelled calls come all the same.
            self.feed(self.pending.pop(self.chance.randrange(len(self.pending))))
