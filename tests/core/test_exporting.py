"""The results of children that are executions of their own are written part by part."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import load_flow, simulate
from engine.core import forks
from engine.core.decide import decide
from engine.core.events import ExecutionStarted, ScheduleTask, TaskFailed, TaskSucceeded
from engine.core.execution import Execution
from engine.core.spreading import Family
from engine.errors import ExecutionFailure
from engine.values import JSON

FLOW = """
QueryLanguage: JSONata
StartAt: M
States:
  M:
    Type: Map
    ItemProcessor:
      ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
      StartAt: P
      States: {P: {Type: Pass, End: true}}
    ResultWriter: {Resource: "arn:aws:states:::s3:putObject", Arguments: {Bucket: "{% BUCKET %}", Prefix: out}}
    End: true
"""
ITEMS = 5
ENDED: dict[int, list[JSON]] = {
    0: ["SUCCEEDED", "a", 1.0, 2.0, 0],
    1: ["FAILED", {"Error": "Boom"}, 1.0, 2.0, 0],
    2: ["SUCCEEDED", "c", 1.0, 2.0, 0],
    3: ["SUCCEEDED", "d", 1.0, 2.0, 0],
    4: ["PENDING", {}],
}


class Played:
    """A run whose calls are answered here: two results in a part."""

    def __init__(
        self,
        bucket: str = "'b'",
        status: str = "SUCCEEDED",
        broken: str = "never",
        over: JSON = None,
        parts: bool = True,
    ) -> None:
        self.parts = parts
        self.over = over or {"status": status}
        self.machine = load_flow(FLOW.replace("BUCKET", bucket))
        self.broken = broken
        self.written: dict[str, JSON] = {}
        execution = Execution("one", list(range(ITEMS)), spreads=True)
        decision = decide(self.machine, execution, ExecutionStarted(1.0))
        while calls := [command for command in decision.commands if isinstance(command, ScheduleTask)]:
            execution = Execution.from_json(
                json.loads(json.dumps(execution.header())),
                [json.loads(json.dumps(frame.to_json())) for frame in decision.apply().frames.values()],
            )
            (call,) = calls
            decision = decide(self.machine, execution, self.answer(execution.frames["0"].call, call))
            execution = decision.execution
        self.ended = decision

    def answer(self, waiting: Any, call: ScheduleTask) -> TaskSucceeded | TaskFailed:
        if "spread" not in waiting:
            key = call.arguments["Key"].rpartition("/")[2]
            if key == self.broken:
                return TaskFailed(call.token, "S3.Slow", None, 2.0)
            self.written[key] = json.loads(call.arguments["Body"])
            return TaskSucceeded(call.token, {}, 2.0)
        if waiting["spread"] == "start":
            return TaskSucceeded(call.token, self.over, 2.0)
        if not self.parts:
            return TaskSucceeded(call.token, {"results": [ended for _, ended in sorted(ENDED.items())]}, 2.0)
        at = waiting.get("part") or {"group": "PENDING", "first": 0}
        inside = [item for item, ended in ENDED.items() if ended[0] == at["group"] and item >= at["first"]]
        following = inside[2] if len(inside) > 2 else None
        return TaskSucceeded(
            call.token, {"part": [[item, *ENDED[item]] for item in inside[:2]], "next": following}, 2.0
        )


def test_every_group_is_written_and_the_manifest_names_all() -> None:
    run = Played()
    assert run.ended.execution.status == "SUCCEEDED"
    assert list(run.written) == [
        "PENDING_0.json",
        "FAILED_0.json",
        "SUCCEEDED_0.json",
        "SUCCEEDED_1.json",
        "manifest.json",
    ]
    assert [found["Input"] for found in run.written["SUCCEEDED_0.json"] + run.written["SUCCEEDED_1.json"]] == [
        "0",
        "2",
        "3",
    ]
    files = run.written["manifest.json"]["ResultFiles"]
    assert {group: len(named) for group, named in files.items()} == {"FAILED": 1, "PENDING": 1, "SUCCEEDED": 2}


def test_a_run_that_has_failed_fails_when_its_results_are_written() -> None:
    run = Played(status="FAILED")
    assert run.ended.execution.error == "States.ExceedToleratedFailureThreshold"
    assert len(run.written) == 5


@pytest.mark.parametrize("broken", ["PENDING_0.json", "SUCCEEDED_1.json", "manifest.json"])
def test_a_part_that_cannot_be_written_fails_the_state(broken: str) -> None:
    assert Played(broken=broken).ended.execution.error == "States.ResultWriterFailed"


def test_a_place_that_cannot_be_found_fails_the_state_before_anything_is_written() -> None:
    run = Played(bucket="$states.nothing.of")
    assert (run.ended.execution.status, run.written) == ("FAILED", {})


def test_all_parts_go_to_one_place_whatever_the_expression_says_later() -> None:
    run = Played(bucket="$uuid()")
    assert run.ended.execution.status == "SUCCEEDED"
    assert isinstance(run.ended.execution.output["ResultWriterDetails"]["Bucket"], str)
    assert (
        run.written["manifest.json"]["DestinationBucket"] == run.ended.execution.output["ResultWriterDetails"]["Bucket"]
    )


@pytest.mark.parametrize(
    ("status", "error"), [("SUCCEEDED", None), ("FAILED", "States.ExceedToleratedFailureThreshold")]
)
def test_results_that_are_read_at_once_are_written_alike(status: str, error: str | None) -> None:
    """As `engine.service` reads them, whose children are in memory."""
    run = Played(status=status, parts=False)
    assert run.ended.execution.error == error
    assert sorted(run.written) == ["FAILED_0.json", "PENDING_0.json", "SUCCEEDED_0.json", "manifest.json"]


def test_why_a_run_has_failed_matters_more_than_that_it_could_not_be_written() -> None:
    run = Played(status="FAILED", broken="SUCCEEDED_1.json")
    assert run.ended.execution.error == "States.ExceedToleratedFailureThreshold"
    assert "manifest.json" not in run.written


def test_a_group_that_nothing_is_in_has_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENDED, 1, ["SUCCEEDED", "b", 1.0, 2.0, 0])
    run = Played()
    assert list(run.written) == ["PENDING_0.json", "SUCCEEDED_0.json", "SUCCEEDED_1.json", "manifest.json"]
    assert run.written["manifest.json"]["ResultFiles"]["FAILED"] == []


def test_children_that_cannot_be_started_fail_the_state() -> None:
    run = Played(over={"failure": {"error": "States.QueryEvaluationError", "cause": "no such item"}})
    assert run.ended.execution.error == "States.QueryEvaluationError"
    assert str(run.ended.execution.cause).endswith("no such item")
    assert run.written == {}


def test_a_family_knows_how_many_may_fail() -> None:
    tolerant = FLOW.replace("BUCKET", "'b'").replace("    End: true", "    ToleratedFailureCount: 2\n    End: true")
    machine = load_flow(tolerant)
    execution = decide(machine, Execution("one", [1, 2, 3], spreads=True), ExecutionStarted(1.0)).apply()
    assert Family(machine, execution, "0", 1.0).tolerances() == (2, None)


def test_an_item_whose_expression_runs_out_of_time_when_all_is_over_fails_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(*_: Any) -> None:
        raise ExecutionFailure("States.QueryEvaluationError", "it takes too long")

    monkeypatch.setattr(forks, "told", told)
    written = "ResultWriter: {WriterConfig: {OutputType: JSON, Transformation: NONE}}"
    outcome = simulate(FLOW[: FLOW.index("ResultWriter")] + f"{written}\n    End: true\n", [1])
    assert (outcome.status, outcome.error) == ("FAILED", "States.QueryEvaluationError")


def test_what_is_written_of_a_run_that_is_stopped() -> None:
    flow = FLOW.replace("BUCKET", "'b'")
    writing, silent = (load_flow(text) for text in (flow, flow.replace("ResultWriter:", "#")))
    results = [ended for _, ended in sorted(ENDED.items())]
    for machine in (writing, silent):
        decision = decide(machine, Execution("one", list(range(ITEMS)), spreads=True), ExecutionStarted(1.0))
        calls = Family(machine, decision.apply(), "0", 1.0).export([*results[:3], ["ABORTED", {}, 1.0, 2.0, 0]], 3.0)
        kept = {call.arguments["Key"].rpartition("/")[2]: json.loads(call.arguments["Body"]) for call in calls}
        assert all(call.writes for call in calls)
        if machine is silent:
            assert calls == []
            continue
        named = kept.pop("manifest.json")["ResultFiles"]
        assert {f"{group}_0.json" for group, files in named.items() if len(files) == 1} == kept.keys()
        assert {name: [child["Status"] for child in found] for name, found in kept.items()} == {
            "SUCCEEDED_0.json": ["SUCCEEDED", "SUCCEEDED"],
            "FAILED_0.json": ["FAILED", "ABORTED"],
            "PENDING_0.json": ["PENDING"],
        }
