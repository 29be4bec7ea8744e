"""AWS services as resources: the real boto3 against moto's server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from engine import Engine
from engine.errors import UnsupportedResource
from engine.runtime.worker import Worker

CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The endpoint of a server that plays AWS."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def client(service: str, aws: str) -> Any:
    return boto3.client(service, endpoint_url=aws, **CREDENTIALS)


def call(aws: str, resource: str, arguments: Any, url: str = "memory:") -> Any:
    """The outcome of a flow of one call."""
    state = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
    flow = {"QueryLanguage": "JSONata", "StartAt": "T", "States": {"T": state}}
    with Engine(url, settings={"AWS_ENDPOINT_URL": aws}) as engine:
        return engine.run(flow)


def test_a_message_is_sent_to_a_queue_its_body_as_text(aws: str) -> None:
    sqs = client("sqs", aws)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    done = call(aws, "arn:aws:states:::sqs:sendMessage", {"QueueUrl": queue, "MessageBody": {"ride": 1}})
    assert done.status == "SUCCEEDED", done
    assert done.output["SdkHttpMetadata"]["HttpStatusCode"] == 200
    assert len(done.output["MD5OfMessageBody"]) == 32
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert (json.loads(message["Body"]), message["MessageId"]) == ({"ride": 1}, done.output["MessageId"])
    kinds = [event["type"] for event in done.history]
    assert kinds[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]


def test_a_message_carries_the_task_token_and_the_answer_comes_back_by_it(aws: str) -> None:
    sqs = client("sqs", aws)
    queue = sqs.create_queue(QueueName="callbacks")["QueueUrl"]
    body = {"token": "{% $states.context.Task.Token %}"}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Arguments": {"QueueUrl": queue, "MessageBody": body},
        "End": True,
    }
    flow = {"QueryLanguage": "JSONata", "StartAt": "T", "States": {"T": state}}
    with Engine("memory:", settings={"AWS_ENDPOINT_URL": aws}) as engine:
        assert engine.run(flow, name="x").status == "RUNNING"
        (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
        assert engine.send_task_success(json.loads(message["Body"])["token"], "answered").output == "answered"


def test_a_topic_is_published_to_and_a_wrong_one_is_awss_error(aws: str) -> None:
    sns, sqs = client("sns", aws), client("sqs", aws)
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    done = call(aws, "arn:aws:states:::sns:publish", {"TopicArn": topic, "Message": {"a": 1}})
    assert done.status == "SUCCEEDED", done
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"]) == {"a": 1}
    wrong = call(aws, "arn:aws:states:::sns:publish", {"TopicArn": f"{topic}-none", "Message": "x"})
    assert wrong.error == "SNS.NotFoundException"
    assert "(Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: " in wrong.cause


def test_items_are_put_and_got_and_a_condition_that_fails_can_be_caught(aws: str) -> None:
    table = client("dynamodb", aws)
    table.create_table(
        TableName="rides",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"TableName": "rides", "Item": {"id": {"S": "1"}, "car": {"S": "van"}}}
    assert call(aws, "arn:aws:states:::dynamodb:putItem", item).status == "SUCCEEDED"
    key = {"TableName": "rides", "Key": {"id": {"S": "1"}}}
    assert call(aws, "arn:aws:states:::dynamodb:getItem", key).output["Item"] == item["Item"]
    sdk = call(aws, "arn:aws:states:::aws-sdk:dynamodb:getItem", key)
    assert sdk.output == {"Item": item["Item"]}
    again = call(aws, "arn:aws:states:::dynamodb:putItem", {**item, "ConditionExpression": "attribute_not_exists(id)"})
    assert again.error == "DynamoDB.ConditionalCheckFailedException"


def test_events_are_put_with_their_details_as_text(aws: str) -> None:
    entry = {"Source": "taxi", "DetailType": "Booked", "Detail": {"ride": 1}}
    done = call(aws, "arn:aws:states:::events:putEvents", {"Entries": [entry]})
    assert done.output["FailedEntryCount"] == 0, done
    assert len(done.output["Entries"]) == 1


def test_objects_are_written_and_read_and_a_missing_one_is_awss_error(aws: str) -> None:
    client("s3", aws).create_bucket(Bucket="bucket")
    assert call(
        aws, "arn:aws:states:::aws-sdk:s3:putObject", {"Bucket": "bucket", "Key": "k", "Body": "text"}
    ).status == ("SUCCEEDED")
    assert call(aws, "arn:aws:states:::aws-sdk:s3:getObject", {"Bucket": "bucket", "Key": "k"}).output["Body"] == "text"
    missing = call(aws, "arn:aws:states:::aws-sdk:s3:getObject", {"Bucket": "bucket", "Key": "none"})
    assert missing.error == "S3.NoSuchKeyException"


def test_parameters_may_begin_with_a_capital_whatever_the_service_calls_them(aws: str) -> None:
    client("ecs", aws).create_cluster(clusterName="c")
    done = call(aws, "arn:aws:states:::aws-sdk:ecs:describeClusters", {"Clusters": ["c"]})
    assert done.output["Clusters"][0]["ClusterName"] == "c"


def test_a_server_that_is_away_is_an_error_that_a_retry_can_take() -> None:
    done = call(
        "http://127.0.0.1:9",
        "arn:aws:states:::sqs:sendMessage",
        {"QueueUrl": "http://127.0.0.1:9/q", "MessageBody": "x"},
    )
    assert (done.status, done.error) == ("FAILED", "SQS.SdkClientException")


def test_parameters_that_do_not_fit_are_the_flows_mistake(aws: str) -> None:
    assert call(aws, "arn:aws:states:::sqs:sendMessage", {"Body": "x"}).error == "States.Runtime"


@pytest.mark.parametrize("resource", ["aws-sdk:nowhere:doThis", "aws-sdk:sqs:doThis"])
def test_what_boto3_does_not_know_fails_and_says_so(aws: str, resource: str) -> None:
    failed = call(aws, f"arn:aws:states:::{resource}", {})
    assert failed.error == "States.Runtime"
    assert "boto3 knows no" in failed.cause


def test_a_worker_makes_such_calls_too(aws: str, url: str) -> None:
    sqs = client("sqs", aws)
    queue = sqs.create_queue(QueueName="many")["QueueUrl"]
    parameters = {"QueueUrl": queue, "MessageBody.$": "$"}
    state = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": parameters, "End": True}
    with Engine(url, settings={"AWS_ENDPOINT_URL": aws}) as engine:
        for number in range(10):
            engine.start({"StartAt": "T", "States": {"T": state}}, {"n": number})
        Worker(engine).run_until_idle()
        assert {found.status for found in engine.list()} == {"SUCCEEDED"}
    sqs_attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    assert sqs_attributes["Attributes"]["ApproximateNumberOfMessages"] == "10"
    sqs.delete_queue(QueueUrl=queue)


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::batch:submitJob.sync",
        "arn:aws:states:::ecs:runTask",
    ],
)
def test_what_only_aws_can_do_is_refused_before_anything_starts(resource: str) -> None:
    with Engine("memory:") as engine:
        state = {"Type": "Task", "Resource": resource, "End": True}
        with pytest.raises(UnsupportedResource):
            engine.start({"StartAt": "T", "States": {"T": state}})
        assert engine.list() == []
