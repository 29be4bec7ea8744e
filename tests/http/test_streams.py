"""The places of event streams: each is given back once, however its stream ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.service.http import Request, Response, streams
from engine.service.http.asgi import AsgiApp
from engine.service.http.problems import Refused
from engine.service.http.running import Ending
from engine.service.http.streams import Streams
from tests.http.conftest import Front

PLACES = 2


@pytest.fixture(autouse=True)
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", PLACES)


def open_one(places: Streams) -> Any:
    over = Ending("SUCCEEDED", {"events": [], "over": True})
    return places.open(lambda after: over, {}, 0, follow=True).body


def test_who_asks_for_the_head_of_a_stream_alone_keeps_no_place(front: Callable[..., Front]) -> None:
    service = front()
    path = service.book().headers["Location"] + "/events"
    heads = [service.ask("HEAD", path) for _ in range(PLACES)]
    assert [(head.status, head.body) for head in heads] == [(200, b"")] * PLACES
    assert service.ask("GET", path).status == 200


class Slowly:
    """An attribute that takes a moment to read, as one does for a thread that is interrupted right then."""

    def __get__(self, holder: Any, kind: type) -> Any:
        time.sleep(0.01)
        return holder.__dict__["_places"]

    def __set__(self, holder: Any, value: Any) -> None:
        holder.__dict__["_places"] = value


def test_a_place_is_given_back_once_by_two_who_end_the_stream_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams._Body, "_places", Slowly(), raising=False)
    places, together = Streams(), threading.Barrier(2)
    body = open_one(places)

    def end(_: int) -> None:
        together.wait(10)
        body.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(end, range(2)))
    for _ in range(PLACES):
        open_one(places)
    with pytest.raises(Refused):
        open_one(places)


class Answers:
    """As much of a service as the ASGI coat needs."""

    def __init__(self, places: Streams) -> None:
        self.places = places

    def handle(self, request: Request) -> Response:
        return Response(200, {}, open_one(self.places))


def test_a_caller_who_has_gone_before_the_head_was_sent_keeps_no_place() -> None:
    places = Streams()
    app = AsgiApp(Answers(places))  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise ConnectionResetError

    for _ in range(PLACES):
        with pytest.raises(ConnectionResetError):
            asyncio.run(app(scope, receive, send))
    app.close()
    opened: Iterator[bytes] = open_one(places)
    assert next(opened)
    open_one(places)
    with pytest.raises(Refused):
        open_one(places)
