"""The results of a map run as objects in S3 (moto's), on every store: what they hold, and that a run that has failed
writes them too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import Engine, StepError
from engine.runtime.clock import VirtualClock
from engine.runtime.worker import Worker
from engine.values import JSON
from tests.core.drivers import START
from tests.tasks.test_aws import aws, client, credentials

__all__ = ["aws", "credentials"]

FLOW: dict[str, JSON] = {
    "QueryLanguage": "JSONata",
    "StartAt": "M",
    "States": {
        "M": {
            "Type": "Map",
            "Label": "rides",
            "MaxConcurrency": 1,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "T",
                "States": {
                    "T": {"Type": "Task", "Resource": "step:t", "Next": "W"},
                    "W": {"Type": "Wait", "Seconds": 2, "End": True},
                },
            },
            "ResultWriter": {
                "Resource": "arn:aws:states:::s3:putObject",
                "Arguments": {"Bucket": "results", "Prefix": "out"},
            },
            "End": True,
        }
    },
}
MACHINE = "arn:aws:states:us-east-1:111111111111:stateMachine:flow/rides"


def test_results_are_written_of_a_run_that_has_failed_and_again_when_it_is_redriven(url: str, aws: str) -> None:
    s3 = client("s3", aws)
    s3.create_bucket(Bucket="results")
    broken = {2}

    def work(payload: JSON, ctx: Any) -> JSON:
        if payload in broken:
            raise StepError("Boom", "at two")
        return {"n": payload}

    settings = {"AWS_ENDPOINT_URL": aws}
    with Engine(url, steps={"t": work}, settings=settings, clock=VirtualClock(START)) as engine:
        engine.start(FLOW, [1, 2, 3], name="p")
        Worker(engine).run_until_idle()
        failed = engine.describe("p")
        (listed,) = (
            listed["Key"] for listed in s3.list_objects(Bucket="results")["Contents"] if "manif" in listed["Key"]
        )
        first = _files(s3, listed)
        broken.clear()
        engine.redrive("p")
        Worker(engine).run_until_idle()
        done = engine.describe("p")
    assert (failed["status"], failed["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert [len(first[status]) for status in ("SUCCEEDED", "FAILED", "PENDING")] == [1, 1, 1]
    (ended,), (bad,), (pending,) = first["SUCCEEDED"], first["FAILED"], first["PENDING"]
    assert pending == {"Input": "3", "InputDetails": {"Included": True}, "Status": "PENDING"}
    assert ended.pop("Name") in ended.pop("ExecutionArn")
    assert ended == {
        "Input": "1",
        "InputDetails": {"Included": True},
        "Output": '{"n":1}',
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "StartDate": "2026-01-01T00:00:00.000Z",
        "StateMachineArn": MACHINE,
        "Status": "SUCCEEDED",
        "StopDate": "2026-01-01T00:00:02.000Z",
    }
    assert {name: bad[name] for name in ("Status", "Error", "Cause", "RedriveStatus", "StartDate")} == {
        "Status": "FAILED",
        "Error": "Boom",
        "Cause": "at two",
        "RedriveStatus": "REDRIVABLE",
        "StartDate": "2026-01-01T00:00:02.000Z",
    }
    assert done["output"]["ResultWriterDetails"] == {"Bucket": "results", "Key": listed}
    again = _files(s3, listed)
    assert [(found["Input"], found["RedriveCount"]) for found in again["SUCCEEDED"]] == [("1", 0), ("2", 1), ("3", 0)]
    assert again["FAILED"] == again["PENDING"] == []


def test_a_writer_that_fails_is_asked_again_by_a_redrive_and_nothing_runs_twice(url: str, aws: str) -> None:
    ran: list[JSON] = []

    def work(payload: JSON, ctx: Any) -> JSON:
        ran.append(payload)
        return payload

    settings = {"AWS_ENDPOINT_URL": aws}
    flow = json.loads(json.dumps(FLOW).replace('"results"', '"later"'))
    with Engine(url, steps={"t": work}, settings=settings, clock=VirtualClock(START)) as engine:
        engine.start(flow, [1, 2], name="p")
        Worker(engine).run_until_idle()
        failed = engine.describe("p")
        client("s3", aws).create_bucket(Bucket="later")
        engine.redrive("p")
        Worker(engine).run_until_idle()
        done = engine.describe("p")
    assert (failed["status"], failed["error"]) == ("FAILED", "States.ResultWriterFailed")
    assert (done["status"], sorted(ran)) == ("SUCCEEDED", [1, 2])


def test_results_are_read_and_written_part_by_part(url: str, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stores.map_runs.PART", 2_000)
    monkeypatch.setattr("engine.stores.map_runs.FEW", 2)
    s3 = client("s3", aws)
    s3.create_bucket(Bucket="results")
    flow = json.loads(json.dumps(FLOW))
    flow["States"]["M"]["ToleratedFailureCount"] = 3

    def work(payload: JSON, ctx: Any) -> JSON:
        if payload % 4 == 3:
            raise StepError("Boom")
        return payload

    settings = {"AWS_ENDPOINT_URL": aws}
    with Engine(url, steps={"t": work}, settings=settings, clock=VirtualClock(START)) as engine:
        for name, items in (("p", list(range(12))), ("q", [*range(12), 15, 16, 17])):
            engine.start(flow, items, name=name)
            Worker(engine).run_until_idle()
        done, failed = engine.describe("p"), engine.describe("q")
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"
    listed = [found["Key"] for found in s3.list_objects(Bucket="results")["Contents"]]
    for key in (key for key in listed if "manif" in key):
        succeeded = key == done["output"]["ResultWriterDetails"]["Key"]
        folder = key.rpartition("/")[0]
        files = _files(s3, key)
        inputs = {status: [int(found["Input"]) for found in files[status]] for status in files}
        assert inputs == {
            "SUCCEEDED": [0, 1, 2, 4, 5, 6, 8, 9, 10],
            "FAILED": [3, 7, 11] if succeeded else [3, 7, 11, 15],
            "PENDING": [] if succeeded else [16, 17],
        }
        assert {f"{folder}/SUCCEEDED_{number}.json" for number in range(3)} < set(listed), "each part is an object"


def _files(s3: Any, key: str) -> dict[str, list[Any]]:
    """The results that a manifest names, by status."""
    manifest = json.loads(s3.get_object(Bucket="results", Key=key)["Body"].read())
    assert manifest["DestinationBucket"] == "results"
    found: dict[str, list[Any]] = {}
    for status, files in manifest["ResultFiles"].items():
        found[status] = []
        for file in files:
            body = s3.get_object(Bucket="results", Key=file["Key"])["Body"].read()
            assert len(body) == file["Size"]
            found[status] += json.loads(body)
    return found


@pytest.fixture(autouse=True)
def buckets(aws: str) -> Any:
    """No test finds what another has written."""
    yield
    for bucket in client("s3", aws).list_buckets()["Buckets"]:
        _clear(aws, bucket["Name"])


def _clear(aws: str, bucket: str) -> None:
    s3 = client("s3", aws)
    for found in s3.list_objects(Bucket=bucket).get("Contents", ()):
        s3.delete_object(Bucket=bucket, Key=found["Key"])
    s3.delete_bucket(Bucket=bucket)
