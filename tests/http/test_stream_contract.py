"""The stream of a booking's events is what its document says: each byte, in every life of a booking.

Schemathesis reads no streams. Here each part is read by the grammar of server-sent events, its fields are checked
against the document's schema, and what it tells against what the neighbours are told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.http.conftest import ROOT, Front
from tests.http.test_rides import SECRET, cancel, event, message

Make = Callable[..., Front]
PART = re.compile(rb"id: ([1-9][0-9]*)\nevent: ([a-z_.]+)\ndata: (\{[^\r\n]*\})\n\n")
ASYNCAPI: dict[str, Any] = yaml.safe_load((ROOT / "schemas/asyncapi.yaml").read_text())
NAMES = {f"booking.{name}" for name in ASYNCAPI["components"]["messages"]}
DRIVE = ("DRIVER_ASSIGNED", "DRIVER_EN_ROUTE", "DRIVER_ARRIVED", "PASSENGER_ON_BOARD", "COMPLETED")


def parts(service: Front, path: str, **headers: str) -> Iterator[dict[str, Any]]:
    """The events of the stream, each checked."""
    document = service.service.document
    answer = service.ask("GET", f"{path}/events", **headers)
    said = document.whole["paths"]["/v1/bookings/{booking_id}/events"]["get"]["responses"]["200"]["content"]
    assert [answer.headers["Content-Type"]] == list(said)
    assert answer.headers["Cache-Control"] == "no-store"
    shape = document.checker(said["text/event-stream"]["schema"]["contentSchema"])
    stream = iter(answer.body)
    assert next(stream) == b"retry: 2000\n\n"  # type: ignore[comparison-overlap]
    for part in stream:
        if part == b": still here\n\n":  # type: ignore[comparison-overlap]
            continue
        found = PART.fullmatch(part)  # type: ignore[call-overload]
        assert found, part
        told = {"id": int(found[1]), "event": found[2].decode(), "data": json.loads(found[3])}
        assert [error.message for error in shape.iter_errors(told)] == []
        yield told


def log_of(service: Front, booking_id: str) -> dict[int, Mapping[str, Any]]:
    """What the neighbours are told of the booking, by number."""
    with service.engine.host.store.aside(reading=True) as db:
        rows = db.execute("SELECT seq, envelope FROM outbox WHERE booking_id = ?", (booking_id,)).fetchall()
    return {row[0]: json.loads(row[1]) for row in rows}


def agree(service: Front, path: str, told: list[dict[str, Any]]) -> None:
    """What was streamed is what the neighbours are told, and nothing of it is left out but what is for operations."""
    log = log_of(service, path.rpartition("/")[2])
    hidden = [number for number, body in log.items() if ".attention_required." in body["type"]]
    assert [one["id"] for one in told] == sorted(set(log) - set(hidden))
    for one in told:
        body = log[one["id"]]
        assert one["event"] in NAMES
        assert body["type"].endswith(f".{one['event']}.v1")
        assert one["data"] == {"time": body["time"], **{key: body["data"][key] for key in one["data"] if key != "time"}}
    assert [one["data"]["terminal"] for one in told] == [False] * (len(told) - 1) + [True]


def drive(service: Front, path: str, made: Any) -> None:
    for number, status in enumerate(DRIVE, 2):
        service.sim.advance_ride(f"{made['booking_id']}-r1", to=status)
        assert message(service, event(made, status, number), name=f"wh_{number}").status == 204


def give_up(service: Front, path: str, made: Any) -> None:
    cancel(service, path)


@pytest.mark.parametrize(
    ("faults", "happens", "last"),
    [((), drive, "booking.completed"), ((), give_up, "booking.cancelled"), (("F24",), None, "booking.failed")],
    ids=["completed", "cancelled", "failed"],
)
def test_every_part_of_a_stream_is_what_the_document_says(
    faults: tuple[str, ...], happens: Callable[..., None] | None, last: str, front: Make
) -> None:
    service = front(*faults, TAXI_WEBHOOK_SECRET=SECRET)
    made = service.book(prefer="wait=20")
    path = made.headers.get("Location") or f"/v1/bookings/{made.json()['booking_id']}"
    stream = parts(service, path)
    told = [next(stream)]
    if happens is not None:
        happens(service, path, made.json())
    told += stream
    assert told[-1]["event"] == last
    agree(service, path, told)
    for at, one in enumerate(told):  # whoever comes again gets the rest, and nothing else
        assert list(parts(service, path, last_event_id=str(one["id"]))) == told[at + 1 :]


def test_a_place_that_is_none_is_refused_as_the_document_says(front: Make) -> None:
    service = front()
    path = service.book().headers["Location"]
    document = service.service.document
    responses = document.whole["paths"]["/v1/bookings/{booking_id}/events"]["get"]["responses"]
    for place in ("x", "-1", "1.0", "9999999999", " 1", "", "\u0661"):
        answer = service.ask("GET", f"{path}/events", last_event_id=place)
        said = document.resolve(responses[str(answer.status)])["content"]
        assert (answer.status, [answer.headers["Content-Type"]]) == (400, list(said)), place
        (schema,) = (media["schema"] for media in said.values())
        assert document.checker(schema).accepts(answer.json())
