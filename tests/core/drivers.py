"""Ways to run a case: plainly, with adversaries, and durably. All must end the same.

The adversarial driver takes every snapshot through JSON before each decision, delivers every event twice (the second
must change nothing), and sends old events again at random later moments (they must change nothing either).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from engine import Engine, Outcome, StepError, TaskTimeout, VirtualClock, simulate
from engine.core.decide import decide
from engine.core.events import (
    DeadlineReached,
    Event,
    ExecutionStarted,
    HistoryEvent,
    ScheduleTask,
    StartTimer,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
    TimerFired,
)
from engine.core.execution import RUNNING, Execution
from engine.machine import StateMachine
from engine.states.task import Task
from engine.values import JSON, dump

START = 1_767_225_600.0
Answers = Mapping[str, list[Any]]


class Script:
    """Answers of tasks by state name: each call takes the next one, the last one repeats.

    `{"result": …}` or `{"error": …, "cause": …, "retry_after": …}` or `"timeout"`; a state without answers echoes.
    """

    def __init__(self, answers: Answers | None) -> None:
        self.left = {state: list(entries) for state, entries in (answers or {}).items()}
        self.keys: list[str] = []

    def answer(self, state: str, arguments: JSON) -> JSON:
        entries = self.left.get(state)
        if not entries:
            return arguments
        entry = entries.pop(0) if len(entries) > 1 else entries[0]
        if entry == "timeout":
            raise TaskTimeout
        if "error" in entry:
            raise StepError(entry["error"], entry.get("cause"), retry_after=entry.get("retry_after"))
        return entry["result"]


def scripted(machine: StateMachine, script: Script) -> dict[str, Callable[[JSON, Any], JSON]]:
    """The steps of a flow: all one function, which answers as the script says."""

    def work(payload: JSON, ctx: Any) -> JSON:
        try:
            return script.answer(ctx.state, payload)
        except TaskTimeout:
            ctx.sleep(ctx.remaining(1e9))
            raise

    return {state.resource.name: work for state in machine.walk() if isinstance(state, Task)}


def in_memory(machine: StateMachine, data: JSON, answers: Answers | None, name: str) -> Outcome:
    """The public `simulate`."""
    script = Script(answers)
    return simulate(machine, data, tasks=lambda call: script.answer(call.state, call.arguments), name=name)


def on_store(url: str) -> Callable[[StateMachine, JSON, Answers | None, str], Outcome]:
    """A durable engine on that store, with virtual time; the flow's steps are all one function."""

    def run(machine: StateMachine, data: JSON, answers: Answers | None, name: str) -> Outcome:
        steps = scripted(machine, Script(answers))
        with Engine(url, steps=steps, clock=VirtualClock(START)) as engine:
            outcome = engine.run(machine, data, name=name)
            assert outcome.history == engine.history(name)
            return outcome

    return run


def with_adversaries(machine: StateMachine, data: JSON, answers: Answers | None, name: str, seed: int = 0) -> Outcome:
    """Drive `decide` by hand against everything a hostile delivery can do."""
    script, chance = Script(answers), random.Random(seed)
    execution, events = Execution(name, data), list[HistoryEvent]()
    pending: list[tuple[float, int, Event | ScheduleTask]] = [(START, 0, ExecutionStarted(START))]
    past: list[Event] = []
    now, order = START, 0
    while execution.status == RUNNING and pending:
        pending.sort(key=lambda entry: entry[:2])
        due, _, item = pending.pop(0)
        now = max(now, due)
        event = _answered(item, script, now) if isinstance(item, ScheduleTask) else item
        if event is None:
            limits = [limit for limit in (item.due, item.beat) if limit is not None]  # type: ignore[union-attr]
            order += 1
            pending.append((min(limits), order, TimerFired(item.token, min(limits))))  # type: ignore[union-attr]
            event = TaskStarted(item.token, now)  # type: ignore[union-attr]
        event.time = max(event.time, now)
        before = _snapshot(execution)
        decision = decide(machine, _reload(execution), event)
        assert _snapshot(execution) == before, "decide changed its argument"
        again = decide(machine, _reload(execution), event)
        assert dump(again.history) == dump(decision.history), "decide is not a function of its arguments"
        execution = decision.apply()
        events += decision.history
        for stale in [event, *chance.sample(past, min(2, len(past)))]:
            _changes_nothing(machine, execution, stale, now)
        past.append(event)
        if execution.deadline is not None and len(past) == 1:
            pending.append((execution.deadline, 1_000_000, DeadlineReached(execution.deadline)))
        for command in decision.commands:
            order += 1
            if isinstance(command, ScheduleTask):
                pending.append((now, order, command))
            elif isinstance(command, StartTimer):
                pending.append((command.due, order, TimerFired(command.token, command.due)))
    return Outcome(execution, lambda: events)


def _answered(command: ScheduleTask, script: Script, now: float) -> Event | None:
    try:
        return TaskSucceeded(command.token, script.answer(command.state, command.arguments), now)
    except StepError as failure:
        return TaskFailed(command.token, failure.error, failure.cause, now, retry_after=failure.retry_after)
    except TaskTimeout:
        return None


def _changes_nothing(machine: StateMachine, execution: Execution, event: Event, now: float) -> None:
    late = decide(machine, _reload(execution), event)
    assert not late.history, f"a repeated {type(event).__name__} was written to the history"
    assert not late.commands, f"a repeated {type(event).__name__} had consequences"


def _snapshot(execution: Execution) -> str:
    return dump([execution.header(), [frame.to_json() for frame in execution.frames.values()]])


def _reload(execution: Execution) -> Execution:
    header, frames = json.loads(_snapshot(execution))
    return Execution.from_json(header, frames)
