"""A trace, made of events that carry no paths, against what really ran: random machines, simulated."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from engine import StepError, simulate
from engine.cli.trace import ABORTED, CAUGHT, RUNNING, SUCCEEDED, Lane, Trace, Visit
from engine.core.events import HistoryEvent

DEPTH = 3
FAIL = {"Type": "Fail", "Error": "E"}


class RandomMachine:
    """A machine of Tasks, Passes, Waits, Parallels and Maps, with retriers and catchers here and there."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"S{self.count}"

    def machine(self, depth: int = 0) -> dict[str, Any]:
        names = [self.name() for _ in range(self.random.randint(1, 3))]
        states: dict[str, dict[str, Any]] = {}
        for name, following in zip(names, [*names[1:], None], strict=True):
            if following is None and self.random.random() < 0.1:
                end = self.name()
                never = {"Variable": "$.items", "IsString": True, "Next": end}
                choice = {"Type": "Choice", "Choices": [never]}
                states |= {name: choice, end: {"Type": "Succeed"}} if self.random.random() < 0.5 else {name: FAIL}
                continue
            state = self.mishap() if self.random.random() < 0.1 else self.state(depth)
            states[name] = state | ({"Next": following} if following else {"End": True})
            if state["Type"] in ("Task", "Parallel", "Map"):
                states[name] |= self.care(following, jmespath="QueryLanguage" in state)
        return {"StartAt": names[0], "States": states}

    def state(self, depth: int) -> dict[str, Any]:
        kind = self.random.choice(["Task", "Task", "Pass", "Wait", "Parallel", "Map"])
        if depth == DEPTH or kind == "Task":
            return {"Type": "Task", "Resource": "step:any", "ResultPath": None}
        if kind == "Parallel":
            branches = [self.machine(depth + 1) for _ in range(self.random.randint(1, 3))]
            return {"Type": kind, "Branches": branches, "ResultPath": None}
        if kind == "Map":
            limit = self.random.choice([0, 1, 2])
            return {
                "Type": kind,
                "ItemsPath": "$.items",
                "ItemSelector": {"items.$": "$.items"},
                "MaxConcurrency": limit,
                "ItemProcessor": self.machine(depth + 1),
                "ResultPath": None,
            }
        return {"Type": "Wait", "Seconds": self.random.randint(0, 3)} if kind == "Wait" else {"Type": "Pass"}

    def mishap(self) -> dict[str, Any]:
        """A state that fails of itself: before, behind or without a call, or while its children start."""
        wrong = "{% abs(states.input.items) %}"
        iteration = {"StartAt": (name := self.name()), "States": {name: {"Type": "Pass", "End": True}}}
        mishaps: list[dict[str, Any]] = [
            {"Type": "Task", "Resource": "step:any", "Arguments": wrong},
            {"Type": "Task", "Resource": "step:any", "Output": wrong},
            {"Type": "Pass", "Output": wrong},
            {"Type": "Map", "Items": [1, 2], "ItemSelector": wrong, "ItemProcessor": iteration},
            {"Type": "Map", "Items": [1, 2], "Output": wrong, "ItemProcessor": iteration},
        ]
        return self.random.choice(mishaps) | {"QueryLanguage": "JMESPath"}

    def care(self, following: str | None, *, jmespath: bool) -> dict[str, Any]:
        care: dict[str, Any] = {}
        if self.random.random() < 0.5:
            care["Retry"] = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": self.random.randint(1, 2)}]
        if following and self.random.random() < 0.4:
            kept = {"Output": "{% states.input %}"} if jmespath else {"ResultPath": None}
            care["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": following, **kept}]
        return care


class Run:
    """One simulation: its events, and for each state the frames in which its calls were made."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.calls: Counter[tuple[str, str]] = Counter()
        items = {"items": list(range(self.chance.randint(0, 3)))}
        outcome = simulate(RandomMachine(seed).machine(), items, tasks=self.call)
        self.status = outcome.status
        self.events: list[HistoryEvent] = outcome._events()

    def call(self, call: Any) -> Any:
        self.calls[call.frame, call.state] += 1
        if self.chance.random() < 0.2:
            raise StepError("Random.Failure", "chance")
        return None


def every_visit(lane: Lane) -> Iterator[Visit]:
    for visit in lane.visits:
        yield visit
        for attempt in visit.tries:
            for child in attempt.lanes:
                yield from every_visit(child)


def picture(lane: Lane) -> Any:
    """Everything about a lane as plain values; of what was aborted only that."""
    return [
        (visit.name, visit.entered)
        if visit.status == ABORTED
        else (
            visit.name,
            visit.status,
            visit.entered,
            visit.ended,
            visit.next,
            [(attempt.failure, [picture(child) for child in attempt.lanes]) for attempt in visit.tries],
        )
        for visit in lane.visits
    ]


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [Run(seed) for seed in range(400)]


def test_the_random_runs_end_in_every_way_and_use_retries_in_forks(runs: list[Run]) -> None:
    assert {run.status for run in runs} == {"SUCCEEDED", "FAILED"}
    kinds = Counter(event[3] for run in runs for event in run.events)
    for kind in ("ParallelStateFailed", "MapStateFailed", "MapIterationFailed", "TaskFailed"):
        assert kinds[kind] > 20
    assert kinds["ParallelStateStarted"] > kinds["ParallelStateEntered"]


def test_every_call_is_found_in_the_frame_in_which_it_was_made(runs: list[Run]) -> None:
    for run in runs:
        found: Counter[tuple[str, str]] = Counter()
        for visit in every_visit(Trace.of(run.events).root):
            if visit.kind == "Task":
                found[visit.lane.path, visit.name] += len(visit.tries)
        # A call that was scheduled when its sibling failed was never made; one without arguments is a try and no call.
        kinds = Counter(event[3] for event in run.events)
        assert all(found[place] >= number for place, number in run.calls.items())
        assert kinds["TaskScheduled"] <= sum(found.values()) <= kinds["TaskScheduled"] + kinds["EvaluationFailed"]


def test_every_state_that_was_entered_is_there_once_and_none_is_left_open(runs: list[Run]) -> None:
    for run in runs:
        trace = Trace.of(run.events)
        visits = list(every_visit(trace.root))
        entered = Counter(event[4]["name"] for event in run.events if event[3].endswith("StateEntered") and event[4])
        exited = Counter(event[4]["name"] for event in run.events if event[3].endswith("StateExited") and event[4])
        assert Counter(visit.name for visit in visits) == entered
        assert Counter(visit.name for visit in visits if visit.status in (SUCCEEDED, CAUGHT)) == exited
        assert trace.status == run.status
        assert not [visit.name for visit in visits if visit.status == RUNNING]


def test_portions_of_events_give_the_same_trace_as_all_at_once(runs: list[Run]) -> None:
    for run in runs[:100]:
        bit_by_bit = Trace()
        told = [news for event in run.events for news in bit_by_bit.add([event])]
        whole = Trace()
        assert [(what, visit.name) for what, visit in told] == [
            (what, visit.name) for what, visit in whole.add(run.events)
        ]
        same = picture(bit_by_bit.root) == picture(whole.root)
        assert same
