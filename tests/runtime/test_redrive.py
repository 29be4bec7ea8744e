"""Redriving: an execution that did not succeed goes on where it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, StepError, VirtualClock, step
from engine.errors import ExecutionNotFound, InvalidInput, NotRedrivable
from engine.runtime.redriving import merged
from engine.runtime.worker import Worker
from engine.step import StepRegistry
from tests.stores.servers import schema

START = 1_767_225_600.0
Flow = dict[str, Any]


class Shop:
    """Steps that fail as long as they are told to, and remember each call: name, arguments, key, attempt, retries."""

    def __init__(self) -> None:
        self.broken = {"b"}
        self.calls: list[tuple[str, Any, str, int]] = []

    def steps(self) -> dict[str, Callable[..., Any]]:
        return {name: self.handler(name) for name in "abcd"}

    def handler(self, name: str) -> Callable[..., Any]:
        def work(payload: Any, ctx: Any) -> Any:
            self.calls.append((name, payload, ctx.idempotency_key, ctx.attempt))
            if name in self.broken:
                raise StepError("Shop.Broken", f"{name} is broken")
            return {"from": name}

        return work

    @property
    def names(self) -> str:
        return "".join(name for name, *_ in self.calls)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgresql":
        with schema(request.getfixturevalue("server")) as found:
            yield found
    else:
        yield "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/runs.db"


@contextmanager
def opened(url: str = "memory:") -> Iterator[tuple[Engine, Shop]]:
    shop = Shop()
    with Engine(url, steps=shop.steps(), clock=VirtualClock(START)) as engine:
        yield engine, shop


def task(name: str, next: str | None = None, **fields: Any) -> Flow:
    return {"Type": "Task", "Resource": f"step:{name}", **({"Next": next} if next else {"End": True}), **fields}


def one(name: str, **fields: Any) -> Flow:
    return {"StartAt": name.upper(), "States": {name.upper(): task(name, **fields)}}


CHAIN: Flow = {"StartAt": "A", "States": {"A": task("a", "B"), "B": task("b", "C"), "C": task("c")}}


def kinds(engine: Engine, name: str) -> list[str]:
    return [event["type"] for event in engine.history(name)]


def test_what_had_succeeded_is_not_run_again_and_the_history_goes_on(url: str) -> None:
    with opened(url) as (engine, shop):
        assert engine.run(CHAIN, {"n": 1}, name="x").error == "Shop.Broken"
        before = engine.history("x")
        shop.broken.clear()
        assert engine.redrive("x").status == "RUNNING"
        outcome = engine.resume("x")
        assert (outcome.status, outcome.output, shop.names) == ("SUCCEEDED", {"from": "c"}, "abbc")
        after = engine.history("x")
        assert after[: len(before)] == before
        assert [event["id"] for event in after] == list(range(1, len(after) + 1))
        redriven, scheduled = after[len(before) : len(before) + 2]
        assert (redriven["type"], redriven["previousEventId"]) == ("ExecutionRedriven", before[-1]["id"])
        assert redriven["executionRedrivenEventDetails"] == {"redriveCount": 1}
        assert (scheduled["type"], scheduled["previousEventId"]) == ("TaskScheduled", redriven["id"])
        assert engine.describe("x")["waiting"] == []


def test_the_same_is_asked_for_once_more_under_the_same_key_and_a_new_input_is_another_request(url: str) -> None:
    with opened(url) as (engine, shop):
        engine.run(CHAIN, {"n": 1}, name="x")
        engine.redrive("x")
        assert engine.resume("x").status == "FAILED"
        engine.redrive("x", patch={"more": {"deep": None}, "from": None})
        engine.resume("x")
        engine.redrive("x", input={"n": 2})
        engine.resume("x")
        _, first, again, patched, replaced = shop.calls
        assert (first[2], first[3], again[2], again[3]) == (again[2], 1, first[2], 2)
        assert len({first[2], patched[2], replaced[2]}) == 3
        assert (again[1], patched[1], replaced[1]) == ({"from": "a"}, {"more": {}}, {"n": 2})
        assert kinds(engine, "x").count("ExecutionRedriven") == 3


def test_retries_are_unspent_and_counted_anew() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "IntervalSeconds": 1}]
    flow = {"StartAt": "B", "States": {"B": task("b", Retry=retry, Parameters={"n.$": "$$.State.RetryCount"})}}
    flow["States"]["B"]["Parameters"]["redrives.$"] = "$$.Execution.RedriveCount"
    with opened() as (engine, shop):
        engine.run(flow, name="x")
        engine.redrive("x")
        engine.resume("x")
        assert [payload["n"] for _, payload, _, _ in shop.calls] == [0, 1, 2, 0, 1, 2]
        assert [payload["redrives"] for _, payload, _, _ in shop.calls] == [0, 0, 0, 1, 1, 1]
        assert [attempt for *_, attempt in shop.calls] == [1, 2, 3, 4, 5, 6]
        assert len({key for _, _, key, _ in shop.calls}) == 1


def test_branches_and_iterations_that_succeeded_keep_their_results(url: str) -> None:
    each = {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ItemProcessor": one("b"), "End": True}
    flow = {
        "StartAt": "P",
        "States": {
            "P": {
                "Type": "Parallel",
                "Branches": [one("a"), {"StartAt": "M", "States": {"M": each}}],
                "End": True,
            }
        },
    }
    with opened(url) as (engine, shop):
        assert engine.run(flow, {"items": [1, 2, 3]}, name="x").status == "FAILED"
        shop.broken.clear()
        engine.redrive("x")
        outcome = engine.resume("x")
        assert outcome.output == [{"from": "a"}, [{"from": "b"}] * 3]
        assert shop.names.count("a") == 1


def test_what_failed_behind_a_join_is_tried_again_without_the_branches() -> None:
    flow = {
        "QueryLanguage": "JSONata",
        "StartAt": "P",
        "States": {"P": {"Type": "Parallel", "Branches": [one("a")], "Output": "{% $nothing.x + 'a' %}", "End": True}},
    }
    newer = {**flow, "States": {"P": {**flow["States"]["P"], "Output": "{% $states.result[0] %}"}}}  # type: ignore[dict-item, index]
    with opened() as (engine, shop):
        assert engine.run(flow, name="x").status == "FAILED"
        engine.redrive("x", flow=newer)
        assert engine.resume("x").output == {"from": "a"}
        assert shop.names == "a"


def test_a_newer_definition_takes_over_if_it_has_the_states_in_the_same_place(url: str) -> None:
    newer = {"StartAt": "A", "States": {"A": task("a", "B"), "B": task("d", "D"), "D": task("d")}}
    with opened(url) as (engine, shop):
        engine.run(CHAIN, name="x")
        engine.redrive("x", flow=newer)
        assert engine.resume("x").status == "SUCCEEDED"
        assert shop.names == "abdd"
        engine.run(CHAIN, name="y")
        with pytest.raises(NotRedrivable, match=r"no state 'B' where the execution stands \(0\)"):
            engine.redrive("y", flow=one("a"))
        inner = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [one("b"), one("a")], "End": True}}}
        engine.run(inner, name="z")
        fewer = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [one("b")], "End": True}}}
        with pytest.raises(NotRedrivable, match="'P' has not the branches that have begun"):
            engine.redrive("z", flow=fewer)
        other = {"StartAt": "P", "States": {"P": {**inner["States"]["P"], "Branches": [one("c"), one("d")]}}}  # type: ignore[dict-item, index]
        with pytest.raises(NotRedrivable, match=r"no state 'B' where the execution stands \(0\.0\)"):
            engine.redrive("z", flow=other)
        assert engine.describe("z")["status"] == "FAILED"


def test_with_more_than_one_unfinished_state_the_one_to_patch_is_named() -> None:
    flow = {
        "StartAt": "P",
        "States": {
            "P": {
                "Type": "Parallel",
                "Branches": [one("b"), {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9, "End": True}}}],
                "End": True,
            }
        },
    }
    with opened() as (engine, shop):
        engine.run(flow, {"n": 1}, name="x")
        with pytest.raises(
            InvalidInput, match=r"more than one state to go on from; name one of: B \(0\.0\), W \(0\.1\)"
        ):
            engine.redrive("x", patch={"n": 2})
        with pytest.raises(InvalidInput, match="no state 'Z'"):
            engine.redrive("x", patch={"n": 2}, at="Z")
        with pytest.raises(InvalidInput, match="no new input"):
            engine.redrive("x", at="B")
        with pytest.raises(InvalidInput, match="larger than"):
            engine.redrive("x", input="x" * 300_000, at="B")
        engine.redrive("x", patch={"n": 2}, at="0.0")
        shop.broken.clear()
        engine.resume("x")
        assert shop.calls[-1][1] == {"n": 2}


def test_what_was_stopped_or_timed_out_goes_on_and_its_time_begins_anew() -> None:
    flow = {
        "StartAt": "W",
        "TimeoutSeconds": 10,
        "States": {
            "W": {"Type": "Wait", "Seconds": 8, "Next": "W2"},
            "W2": {"Type": "Wait", "Seconds": 8, "End": True},
        },
    }
    with opened() as (engine, _):
        assert engine.run(flow, name="x").status == "TIMED_OUT"
        engine.redrive("x")
        assert engine.resume("x").status == "SUCCEEDED"
        assert engine.host.clock.now() == START + 10 + 8
        assert kinds(engine, "x").count("WaitStateEntered") == 2
        engine.start(flow, name="y")
        engine.stop("y")
        engine.redrive("y")
        assert engine.stop("y").status == "ABORTED"
        engine.redrive("y")
        assert engine.describe("y")["status"] == "RUNNING"


def test_a_fail_state_is_entered_again_and_fails_again() -> None:
    flow = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Never"}}}
    with opened() as (engine, _):
        engine.run(flow, name="x")
        assert engine.redrive("x").error == "Never"
        assert kinds(engine, "x")[-3:] == ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"]
        assert engine.describe("x")["status"] == "FAILED"


def test_after_results_that_were_too_large_all_branches_run_again() -> None:
    big = {"StartAt": "A", "States": {"A": task("a", ResultSelector={"x.$": "States.ArrayRange(1, 900, 1)"})}}
    flow = {
        "StartAt": "P",
        "States": {
            "P": {
                "Type": "Parallel",
                "Branches": [{"StartAt": f"S{i}", "States": {f"S{i}": {**big["States"]["A"]}}} for i in range(80)],  # type: ignore[index]
                "End": True,
            }
        },
    }
    with opened() as (engine, shop):
        assert engine.run(flow, name="x").error == "States.DataLimitExceeded"
        engine.redrive("x")
        engine.resume("x")
        assert shop.names == "a" * 160


def test_children_of_a_distributed_map_that_failed_tolerably_run_again_with_the_others() -> None:
    flow = {
        "StartAt": "M",
        "States": {
            "M": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "ToleratedFailureCount": 1,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Which",
                    "States": {
                        "Which": {
                            "Type": "Choice",
                            "Choices": [{"Variable": "$", "NumericLessThan": 2, "Next": "A"}],
                            "Default": "B",
                        },
                        "A": task("a"),
                        "B": task("b"),
                    },
                },
                "End": True,
            }
        },
    }
    with opened() as (engine, shop):
        assert engine.run(flow, {"items": [0, 1, 2, 3]}, name="x").error == "States.ExceedToleratedFailureThreshold"
        shop.broken.clear()
        engine.redrive("x")
        assert len(engine.resume("x").output) == 4
        assert (shop.names.count("a"), shop.names.count("b")) == (2, 4)
        assert "MapRunRedriven" in kinds(engine, "x")


def test_what_cannot_be_redriven_says_why() -> None:
    with opened() as (engine, shop):
        engine.run(one("a"), name="done")
        engine.start(one("a"), name="new")
        for name, why in (("done", "SUCCEEDED"), ("new", "RUNNING")):
            with pytest.raises(NotRedrivable, match=f"{name}: Execution is {why} and cannot be redriven"):
                engine.redrive(name)
        with pytest.raises(ExecutionNotFound):
            engine.redrive("nobody")
        engine.history_limit = 7
        engine.run(one("b"), name="full")
        with pytest.raises(NotRedrivable, match="history event limit exceeded"):
            engine.redrive("full")
        assert shop.names == "ab"


def test_a_worker_goes_on_with_it_and_a_step_that_must_not_run_twice_is_not_in_doubt(url: str) -> None:
    broken = [True]

    @step("once", idempotency="none")
    def once(payload: Any, ctx: Any) -> Any:
        if broken[0]:
            raise StepError("Shop.Broken", None)
        return ctx.attempt

    registry = StepRegistry()
    registry.add(once.__step__)  # type: ignore[attr-defined]
    with Engine(url, steps=registry, clock=VirtualClock(START)) as engine:
        engine.run(one("once"), name="x")
        broken[0] = False
        engine.redrive("x")
        assert Worker(engine).run_until_idle() == 1
        assert engine.describe("x")["output"] == 2


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_merge_as_in_the_examples_of_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result
