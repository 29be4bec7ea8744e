"""At least once in, exactly once out: the reference dispatcher under repeats, other orders, and kill -9."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from steps.bus.aws import Queue
from steps.dispatcher.__main__ import main, source_of
from steps.dispatcher.inbox import Inbox
from steps.dispatcher.sending import Outgoing, send_waiting
from steps.dispatcher.sources import QueueSource, whole_lines
from tests.booking.test_bus import FIFO
from tests.booking.world import ROOT

NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)
NAMES = ("requested", "pending", "confirmed", "driver_assigned", "completed")


def event(booking: int, seq: int, **more: Any) -> dict[str, Any]:
    """The seq-th event of a booking's life; the first one is not for members."""
    name, key = NAMES[seq - 1], f"{booking}/{seq}"
    notification = {"template": name, "channels": ["PUSH"], "locale": "en-GB", "dedupe_key": key, **more}
    facing = {"user_facing": True, "notification": notification} if seq > 1 else {"user_facing": False}
    return {
        "specversion": "1.0",
        "id": key,
        "source": "/test",
        "type": f"com.example.lounge.booking.{name}.v1",
        "subject": f"bkg_{booking}",
        "sequence": f"{seq:010d}",
        "data": {"terminal": name == "completed", **facing},
    }


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox, self.out = Inbox(folder / "inbox.db"), Outgoing(folder / "sent.jsonl")

    def take(self, *events: dict[str, Any], now: datetime = NOW) -> list[str]:
        with self.inbox.transaction():
            return [self.inbox.take_in(found, now) for found in events]

    def send(self, now: datetime = NOW) -> list[str]:
        send_waiting(self.inbox, self.out, lambda: now)
        return sent(self.folder / "sent.jsonl")

    def close(self) -> None:
        self.inbox.close()
        self.out.close()


def sent(file: Path) -> list[str]:
    return [json.loads(line)["dedupe_key"] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_what_is_for_members_is_told_once_and_in_order(desk: Desk) -> None:
    life = [event(1, seq) for seq in range(1, 6)]
    assert desk.take(*life, *life) == ["SILENT", *["TOLD"] * 4, *["REPEATED"] * 5]
    assert desk.send() == ["1/2", "1/3", "1/4", "1/5"]
    assert desk.send() == ["1/2", "1/3", "1/4", "1/5"]


def test_a_message_has_what_its_template_shows(desk: Desk) -> None:
    driver = {"first_name": "Dora", "plate": "A 1"}
    with_driver = event(1, 4)
    with_driver["data"] |= {"driver": driver, "status": "DRIVER_ASSIGNED"}
    desk.take(with_driver)
    (message,) = desk.inbox.waiting()
    assert (message.body["driver"], "status" in message.body) == (driver, False)


def test_an_event_that_a_later_one_has_overtaken_is_not_told(desk: Desk) -> None:
    assert desk.take(event(1, 5), event(1, 2), event(2, 2)) == ["TOLD", "STALE", "TOLD"]
    assert desk.send() == ["1/5", "2/2"]


def test_a_message_that_comes_too_late_is_not_sent(desk: Desk) -> None:
    limit = (NOW + timedelta(minutes=15)).isoformat()
    assert desk.take(event(1, 2, not_after=limit), event(2, 2, not_after=limit)) == ["TOLD", "TOLD"]
    assert desk.take(event(3, 2, not_after=limit), now=NOW + timedelta(minutes=16)) == ["LATE"]
    assert desk.send(NOW + timedelta(minutes=16)) == []
    assert desk.inbox.waiting() == []


def test_what_is_kept_of_a_forgotten_member_is_deleted(desk: Desk) -> None:
    desk.take(event(1, 2), event(2, 2))
    erased = {"id": "x", "source": "/test", "type": "com.example.member.erased.v1", "subject": "mref_1"}
    assert desk.take({**erased, "sequence": "0000000001", "data": {"bookings": ["bkg_1"]}}) == ["ERASED"]
    assert desk.send() == ["2/2"]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_however_often_in_whatever_order_is_told_once(seed: int, desk: Desk) -> None:
    lot = random.Random(seed)
    events = [event(booking, seq) for booking in range(15) for seq in range(1, 6)] * 3
    if seed % 2:
        lot.shuffle(events)
    while events:
        batch = [events.pop() for _ in range(min(len(events), lot.randint(1, 20)))]
        try:
            with desk.inbox.transaction():
                for found in batch:
                    desk.inbox.take_in(found, NOW)
                if lot.random() < 0.2:
                    raise RuntimeError("the process ends here")
        except RuntimeError:
            events += batch  # they were not acknowledged, so they come again
        if lot.random() < 0.5:
            desk.send()
        if lot.random() < 0.2:
            desk.close()
            desk.__init__(desk.folder)  # type: ignore[misc]
    keys = desk.send()
    assert len(keys) == len(set(keys))
    assert {f"{booking}/5" for booking in range(15)} <= set(keys)  # the end of every booking is told
    for booking in range(15):
        told = [key for key in keys if key.startswith(f"{booking}/")]
        assert told == sorted(told)


BROKEN: list[dict[str, Any]] = [
    {"specversion": "1.0"},
    {**event(7, 2), "data": None},
    {**event(7, 2), "subject": {"no": "text"}},
    {**event(7, 2), "data": {"user_facing": True, "notification": {"template": "x"}}},
    event(7, 2, not_after="soon"),
]


def test_what_breaks_the_contract_keeps_no_other_event_waiting(tmp_path: Path, desk: Desk) -> None:
    lines = [event(1, 2), *BROKEN, event(1, 3), event(7, 3)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = source_of(f"log:{tmp_path}/events.jsonl")
    fates: list[str] = []
    assert source.read(desk.inbox, lambda found: fates.append(desk.inbox.take_in(found, NOW))) == len(lines)
    assert fates == ["TOLD"] * 3
    assert desk.send() == ["1/2", "1/3", "7/3"]


def test_a_message_sent_just_before_a_crash_is_not_sent_again(desk: Desk) -> None:
    desk.take(event(1, 2), event(1, 3))
    first, _ = desk.inbox.waiting()
    desk.out.send(first)  # and the process ends before it is written down
    desk.out.close()
    with (desk.folder / "sent.jsonl").open("a") as file:
        file.write('{"dedupe_key": "1/')  # the second one was torn
    desk.out = Outgoing(desk.folder / "sent.jsonl")
    assert desk.send() == ["1/2", "1/3"]


def test_a_killed_dispatcher_tells_everything_once(tmp_path: Path) -> None:
    log, out, lot = tmp_path / "events.jsonl", tmp_path / "sent.jsonl", random.Random(3)
    arguments = ["--events", f"log:{log}", "--inbox", str(tmp_path / "inbox.db"), "--out", str(out)]
    command = [sys.executable, "-m", "steps.dispatcher", *arguments, "--follow"]
    written = 0
    for _ in range(6):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        until = time.monotonic() + lot.uniform(0.4, 1.2)
        while time.monotonic() < until:
            with log.open("a") as file:
                for seq in range(1, 6):
                    file.write((json.dumps(event(written, seq)) + "\n") * lot.choice((1, 1, 2)))
            written += 1
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with log.open("a") as file:
        file.write('{"specversion": "1.0", "torn\n')
    assert main(arguments) == 0
    counted = Counter(sent(out))
    assert set(counted) == {f"{booking}/{seq}" for booking in range(written) for seq in range(2, 6)}
    assert set(counted.values()) == {1}


class Growing(io.BytesIO):
    """A log that is written while it is read: each line comes in two readings."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline()
        if len(line) > 4:
            self.seek(len(line[4:]) * -1, io.SEEK_CUR)
        return line[:4]


def test_a_line_that_is_still_being_written_ends_the_reading() -> None:
    assert whole_lines(Growing(b"1/1\n1/2\nlonger\n1/3\n")) == [b"1/1\n", b"1/2\n"]
    assert whole_lines(io.BytesIO(b"1/1\n1/2\n1/3\n"), limit=2) == [b"1/1\n", b"1/2\n"]
    assert whole_lines(io.BytesIO(b"1/1\n1/2")) == [b"1/1\n"]


@pytest.mark.parametrize("raw", [True, False])
def test_events_come_from_a_queue_as_they_are_or_in_the_wrapping_of_sns(
    raw: bool,
    aws: str,
    clients: dict[str, Any],
    desk: Desk,
) -> None:
    url = clients["sqs"].create_queue(QueueName="dispatcher.fifo", Attributes=FIFO)["QueueUrl"]
    for number, found in enumerate([event(1, 2), event(1, 3), {"no": "event"}, BROKEN[0], BROKEN[3]]):
        body = json.dumps(found if raw else {"Type": "Notification", "Message": json.dumps(found)})
        clients["sqs"].send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=f"b{number // 2}", MessageDeduplicationId=str(number)
        )
    source = source_of(f"sqs://{url}?region=eu-west-1&endpoint={aws}")
    assert isinstance(source, QueueSource)
    assert isinstance(source.queue, Queue)
    fates: list[str] = []
    while source.read(desk.inbox, lambda found: fates.append(desk.inbox.take_in(found, NOW))):
        pass
    assert fates == ["TOLD", "TOLD"]
    assert desk.send() == ["1/2", "1/3"]


def test_a_topic_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--events", "sns://arn:aws:sns:eu-west-1:1:t.fifo"]) == 2
    assert "subscribe a queue" in capsys.readouterr().err
