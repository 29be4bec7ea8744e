"""SNS topics and SQS queues, through boto3. On FIFO ones a booking's events keep their order: its id is their group.

Whether something is wrong with the message or with the way to AWS decides what becomes of it: a message that AWS
refuses is held for people, anything else is tried again for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steps.bus import BusDown, Event, Fate

CONNECT_S, READ_S = 3, 10
FIFO = ".fifo"
ABOUT_THE_MESSAGE = frozenset(
    {
        "InvalidParameter",
        "InvalidParameterValue",
        "ParameterValueInvalid",
        "InvalidMessageContents",
        "InvalidAttributeName",
        "InvalidAttributeValue",
        "BatchRequestTooLong",
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "AWS.SimpleQueueService.UnsupportedOperation",
        "UnsupportedOperation",
    }
)
"""Error codes that say that this very message will never be taken."""
ABOUT_THE_TOPIC = "TopicArn"
"""In the text of InvalidParameter: the topic is wrong (of another region, say), and no message is to blame."""


class _Target:
    """What topics and queues have in common."""

    most = 10

    def __init__(self, service: str, target: str, region: str | None, endpoint: str | None) -> None:
        self.target = target
        self.fifo = target.endswith(FIFO)
        self._service, self._region, self._endpoint = service, region, endpoint
        self._made: Any = None

    @property
    def client(self) -> Any:
        """The client; retries are the relay's."""
        if self._made is None:
            import boto3
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 1, "mode": "standard"}
            )
            self._made = boto3.session.Session().client(
                self._service, region_name=self._region, endpoint_url=self._endpoint, config=config
            )
        return self._made

    def publish(self, events: Sequence[Event]) -> dict[str, Fate]:
        """See Bus. A batch that is refused as a whole is sent again one by one, to find out which message it was."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self.send(events)
        except ClientError as problem:
            error = problem.response.get("Error", {})
            code = error.get("Code", "")
            if code not in ABOUT_THE_MESSAGE or ABOUT_THE_TOPIC in error.get("Message", ""):
                raise BusDown(f"{self._service}: {code or type(problem).__name__}") from problem
            if len(events) == 1:
                return {events[0].event_id: Fate(code, refused=True)}
            fates: dict[str, Fate] = {}
            for event in events:
                fates |= self.publish([event])
            return fates
        except (BotoCoreError, OSError) as problem:
            raise BusDown(f"{self._service}: {type(problem).__name__}") from problem

    def send(self, events: Sequence[Event]) -> dict[str, Fate]:
        """One batch. Raises what boto3 raises."""
        raise NotImplementedError

    def ordering(self, event: Event) -> dict[str, str]:
        """Group and de-duplication id, where they are allowed."""
        if not self.fifo:
            return {}
        return {"MessageGroupId": event.subject, "MessageDeduplicationId": event.event_id}


class Topic(_Target):
    """An SNS topic, by its ARN."""

    def __init__(self, arn: str, region: str | None = None, endpoint: str | None = None) -> None:
        super().__init__("sns", arn, region or _region_of(arn), endpoint)

    def send(self, events: Sequence[Event]) -> dict[str, Fate]:
        entries = [
            {
                "Id": str(number),
                "Message": event.text,
                "MessageAttributes": _attributes(event),
                **self.ordering(event),
            }
            for number, event in enumerate(events)
        ]
        answer = self.client.publish_batch(TopicArn=self.target, PublishBatchRequestEntries=entries)
        return _fates(events, answer)


class Queue(_Target):
    """An SQS queue, by its name, ARN or URL."""

    def __init__(self, queue: str, region: str | None = None, endpoint: str | None = None) -> None:
        super().__init__("sqs", queue, region or _region_of(queue), endpoint)
        self._url: str | None = queue if "/" in queue else None

    @property
    def url(self) -> str:
        """The queue's URL, looked up once."""
        if self._url is None:
            *arn, name = self.target.split(":")
            account = {"QueueOwnerAWSAccountId": arn[4]} if len(arn) == 5 else {}
            self._url = str(self.client.get_queue_url(QueueName=name, **account)["QueueUrl"])
        return self._url

    def send(self, events: Sequence[Event]) -> dict[str, Fate]:
        entries = [
            {
                "Id": str(number),
                "MessageBody": event.text,
                "MessageAttributes": _attributes(event),
                **self.ordering(event),
            }
            for number, event in enumerate(events)
        ]
        return _fates(events, self.client.send_message_batch(QueueUrl=self.url, Entries=entries))


def _attributes(event: Event) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in event.attributes.items()}


def _fates(events: Sequence[Event], answer: dict[str, Any]) -> dict[str, Fate]:
    return {
        events[int(entry["Id"])].event_id: Fate(str(entry.get("Code")), refused=entry.get("Code") in ABOUT_THE_MESSAGE)
        for entry in answer.get("Failed", ())
    }


def _region_of(name: str) -> str | None:
    parts = name.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 3 else None
