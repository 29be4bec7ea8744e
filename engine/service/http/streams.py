"""Server-sent events: a flow is asked again and again, and what is new is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from engine.errors import EngineError
from engine.service.http.messages import STREAM_TYPE, Response
from engine.service.http.problems import Refused
from engine.service.http.running import Ending

MOST_STREAMS: Final = 128
"""Streams at once in a process: each holds a thread."""
ALIVE_SECONDS: Final = 15.0
"""How often something is sent when there is nothing to say, so that nobody between takes the connection for dead."""
RETRY_MS: Final = 2000

Read = Callable[[int], Ending]


class Streams:
    """The open streams of a service."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(MOST_STREAMS)
        self._over = threading.Event()

    def open(self, read: Read, settings: Mapping[str, Any], after: int, *, follow: bool) -> Response:
        """A stream of what `read(after)` answers: `{events: [{id, event, data}], over}`.

        It ends when `over` says so, after `longest_s` seconds (the client comes again by itself, with the last id), or
        at once when it is not to `follow`. Raises Refused when the first reading does not succeed, or too many are
        open.
        """
        first = read(after)
        if not first.succeeded:
            raise Failed(first)
        if not self._free.acquire(blocking=False):
            raise Refused("service_unavailable", "too many streams are open")
        headers = {"Content-Type": STREAM_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Response(200, headers, _Body(self, read, settings, first, follow))

    def close(self) -> None:
        """End all streams."""
        self._over.set()

    def parts(self, read: Read, settings: Mapping[str, Any], first: Ending, follow: bool) -> Iterator[bytes]:
        """The stream, part by part."""
        every, longest = float(settings.get("every_s", 1.0)), float(settings.get("longest_s", 300.0))
        began = said = time.monotonic()
        yield f"retry: {RETRY_MS}\n\n".encode()
        found, after = first, 0
        while True:
            if found.succeeded:
                for event in found.output["events"]:
                    after = int(event["id"])
                    yield encode_event(event)
                    said = time.monotonic()
                if found.output.get("over"):
                    return
            now = time.monotonic()
            if not follow or now - began > longest or self._over.wait(every):
                return
            if now - said > ALIVE_SECONDS:
                said = now
                yield b": still here\n\n"
            try:
                found = read(after)
            except EngineError:
                found = Ending("FAILED")  # the store is away; the client need not know

    def release(self) -> None:
        """A stream has ended."""
        self._free.release()


class Failed(Exception):
    """The first reading of a stream failed."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.error)
        self.ending = ending


class _Body:
    """A stream that gives its place back when it ends, however it ends."""

    def __init__(self, streams: Streams, read: Read, settings: Mapping[str, Any], first: Ending, follow: bool) -> None:
        self._parts = streams.parts(read, settings, first, follow)
        self._places = [streams]

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the place back, once: who waits for a part and who hangs up may be two threads, at the same time."""
        with suppress(IndexError):
            self._places.pop().release()


def encode_event(event: Mapping[str, Any]) -> bytes:
    """One event: id, name and data, each on a line of its own; JSON has no line breaks."""
    name = "".join(one for one in str(event["event"]) if one.isalnum() or one in "._-")
    data = json.dumps(event["data"], separators=(",", ":"), ensure_ascii=False)
    return f"id: {int(event['id'])}\nevent: {name}\ndata: {data}\n\n".encode()
