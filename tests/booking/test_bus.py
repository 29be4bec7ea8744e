"""Events on SNS and SQS: the real boto3 against a server that speaks AWS's protocol over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steps.booking import request
from steps.bookings.repository import repository
from steps.bus import Bus, BusDown, Event, WrongBus
from steps.bus.aws import Queue, Topic
from steps.bus.opening import open_bus
from steps.relay import relay
from tests.booking.world import BOOKING, Desk, asap

FIFO = {"FifoQueue": "true"}


@pytest.fixture
def topic(aws: str, clients: dict[str, Any]) -> tuple[str, str]:
    """The URL of a FIFO topic as a bus, and the URL of a queue that takes what is for members."""
    arn = clients["sns"].create_topic(Name="booking-events.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    queue = clients["sqs"].create_queue(QueueName="dispatcher.fifo", Attributes=FIFO)["QueueUrl"]
    endpoint = clients["sqs"].get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    attributes = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"user_facing": ["true"]})}
    clients["sns"].subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint, Attributes=attributes)
    return f"sns://{arn}?region=eu-west-1&endpoint={aws}", queue


def arn_of(clients: dict[str, Any], queue: str) -> str:
    found = clients["sqs"].get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def received(clients: dict[str, Any], queue: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = clients["sqs"].receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        )
        if "Messages" not in answer:
            return found
        for message in answer["Messages"]:
            found.append(message)
            clients["sqs"].delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def book(desk: Desk, number: int = 0) -> str:
    desk.execution = f"{BOOKING[:-3]}{number:03d}"
    request(asap(), desk)
    with repository(desk) as repo:
        repo.transition(repo.load(desk.execution), "ride_outcome_unknown")
    return desk.execution


def unpublished(desk: Desk) -> list[tuple[Any, ...]]:
    query = "SELECT booking_id, seq, last_error FROM outbox WHERE published_at IS NULL ORDER BY booking_id, seq"
    return [tuple(row) for row in desk.db.execute(query).fetchall()]


def test_a_topic_gets_every_event_and_the_dispatcher_those_for_members(
    desk: Desk, topic: tuple[str, str], clients: dict[str, Any]
) -> None:
    desk.settings["EVENTS"], queue = topic
    names = [book(desk, number) for number in range(12)]
    relay(desk)
    assert unpublished(desk) == []
    messages = received(clients, queue)
    bodies = [json.loads(message["Body"]) for message in messages]
    assert sorted(body["subject"] for body in bodies) == names
    assert {body["type"].split(".")[-2] for body in bodies} == {"pending"}
    first = messages[0]
    body = json.loads(first["Body"])
    assert first["Attributes"]["MessageGroupId"] == body["subject"]
    assert first["Attributes"]["MessageDeduplicationId"] == body["id"]
    attributes = {name: found["StringValue"] for name, found in first["MessageAttributes"].items()}
    assert attributes == {
        "type": "com.example.lounge.booking.pending.v1",
        "schema": body["dataschema"],
        "status": "PENDING_CONFIRMATION",
        "airport": "DXB",
        "user_facing": "true",
        "terminal": "false",
    }


@pytest.mark.parametrize("form", ["name", "arn", "url"])
def test_a_queue_is_named_by_name_arn_or_url_and_keeps_the_order_of_a_booking(
    form: str, aws: str, desk: Desk, clients: dict[str, Any]
) -> None:
    url = clients["sqs"].create_queue(QueueName="events.fifo", Attributes=FIFO)["QueueUrl"]
    arn = arn_of(clients, url)
    target = {"name": "events.fifo", "arn": arn, "url": url}[form]
    desk.settings["EVENTS"] = f"sqs://{target}?region=eu-west-1&endpoint={aws}"
    name = book(desk)
    relay(desk)
    bodies = [json.loads(message["Body"]) for message in received(clients, url)]
    assert [(body["subject"], body["sequence"]) for body in bodies] == [(name, "0000000001"), (name, "0000000002")]


def test_a_standard_topic_takes_events_without_groups(aws: str, clients: dict[str, Any]) -> None:
    arn = clients["sns"].create_topic(Name="analytics")["TopicArn"]
    bus = open_bus(f"sns://{arn}?endpoint={aws}")
    event = Event("e1", "b1", json.dumps({"type": "t", "dataschema": "s", "data": {}}))
    assert bus.publish([event]) == {}


@pytest.mark.parametrize("url", ["sns://arn:aws:sns:eu-west-1:123456789012:gone.fifo", "sqs://gone.fifo"])
def test_a_bus_that_is_not_there_keeps_events_queued(url: str, aws: str, desk: Desk, clients: dict[str, Any]) -> None:
    desk.settings["EVENTS"] = f"{url}?region=eu-west-1&endpoint={aws}"
    name = book(desk)
    relay(desk)
    ((first, seq, problem), second) = unpublished(desk)
    assert (first, seq) == (name, 1)
    assert problem
    assert second[2] is None
    assert any("queued" in line for line in desk.logged)


def test_an_address_where_nobody_answers_keeps_events_queued(desk: Desk, aws: str) -> None:
    desk.settings["EVENTS"] = "sns://arn:aws:sns:eu-west-1:1:t.fifo?region=eu-west-1&endpoint=http://127.0.0.1:1"
    book(desk)
    relay(desk)
    assert [problem for *_, problem in unpublished(desk)] == ["sns: EndpointConnectionError", None]


class Picky(Topic):
    """A topic that refuses the events of one booking, as AWS refuses a message that is too large."""

    refuses = ""

    def send(self, events: Any) -> Any:
        from botocore.exceptions import ClientError

        if any(event.subject == self.refuses for event in events):
            raise ClientError({"Error": {"Code": "InvalidParameter", "Message": "too large"}}, "PublishBatch")
        return super().send(events)


def test_a_refused_event_is_held_with_the_later_ones_of_its_booking_and_people_are_called(
    desk: Desk, topic: tuple[str, str], clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch, aws: str
) -> None:
    names = [book(desk, number) for number in range(3)]
    bus = Picky(topic[0].removeprefix("sns://").split("?")[0], "eu-west-1", aws)
    bus.refuses = names[1]
    monkeypatch.setattr("steps.relay.bus", lambda settings: bus)
    relay(desk)
    assert [(name, seq) for name, seq, _ in unpublished(desk)] == [(names[1], 1), (names[1], 2), (names[1], 3)]
    assert unpublished(desk)[0][2] == "InvalidParameter"
    flags = desk.db.execute("SELECT booking_id, attention FROM bookings ORDER BY booking_id").fetchall()
    assert [tuple(row) for row in flags] == list(zip(names, [0, 1, 0], strict=True))
    assert {json.loads(message["Body"])["subject"] for message in received(clients, topic[1])} == {names[0], names[2]}
    desk.sleep(3600)
    bus.refuses = ""
    relay(desk)
    assert unpublished(desk) == []


def test_a_topic_that_is_wrong_is_no_fault_of_the_events(desk: Desk, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(Topic):
        def send(self, events: Any) -> Any:
            from botocore.exceptions import ClientError

            error = {"Code": "InvalidParameter", "Message": "Invalid parameter: TopicArn"}
            raise ClientError({"Error": error}, "PublishBatch")

    book(desk)
    monkeypatch.setattr("steps.relay.bus", lambda settings: Elsewhere("arn:aws:sns:us-east-1:1:t.fifo", endpoint=aws))
    relay(desk)
    assert [problem for *_, problem in unpublished(desk)] == ["sns: InvalidParameter", None]
    assert desk.db.execute("SELECT attention FROM bookings").fetchall() == [(0,)]


@pytest.mark.parametrize("url", ["", "log:", "kafka://x", "sns://", "sqs://q?delay=3", "events.jsonl"])
def test_what_is_no_bus_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(WrongBus, match="log:FILE"):
        open_bus(url)


def test_an_event_that_is_lost_on_the_way_is_no_refusal(aws: str) -> None:
    buses: list[Bus] = [Topic("arn:aws:sns:eu-west-1:1:x.fifo", endpoint=aws), Queue("x.fifo", "eu-west-1", aws)]
    for bus in buses:
        with pytest.raises(BusDown):
            bus.publish([Event("e", "b", json.dumps({"type": "t", "dataschema": "s", "data": {}}))])
