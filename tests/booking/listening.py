"""A door for the simulator's webhooks: a real HTTP server that checks signatures and lays messages by for the test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine import StepError
from engine.stores import open_store
from steps.webhook import verify
from tests.booking.world import ROOT, World

SECRET = "whsec_c2VjcmV0LWZvci10ZXN0cw=="


class Visit:
    """The part of a StepContext that the check of a signature uses."""

    def __init__(self, world: World) -> None:
        self.settings = world.settings
        self._world = world

    def now(self) -> datetime:
        return datetime.fromisoformat(self._world.sim.now())

    def log(self, message: str, **fields: Any) -> None:
        pass

    @contextmanager
    def transaction(self, *, reading: bool = False) -> Iterator[Any]:
        """With a store of its own: the engine's belongs to another thread."""
        with closing(open_store(self._world.url)) as store, store.transaction() as db:
            yield db


class Door:
    """Takes webhooks; `answers` are the statuses given so far, each once, in order of appearance."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.waiting: list[dict[str, Any]] = []
        self.world: World | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1/webhooks/globaltaxi"

    def deliver(self) -> None:
        """Run the flow of every message that waits; one that came before has an execution already."""
        world = self.world
        while world is not None and self.waiting:
            message = self.waiting.pop(0)
            world.engine.run(ROOT / "flows/webhook.yaml", message, name=f"webhook-{message['webhook_id']}")

    def take(self, headers: dict[str, str], body: bytes) -> int:
        visit: Any = Visit(self.world) if self.world else None
        try:
            name = verify({"provider": "globaltaxi", "headers": headers, "body": body.decode()}, visit)
        except StepError:
            return 401
        self.waiting.append({**name, "payload": json.loads(body), "member_id": None, "request_id": "req_w"})
        return 204

    def _handler(door) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = door.take({name.lower(): value for name, value in self.headers.items()}, body)
                door.answers += [] if status in door.answers else [status]
                self.send_response(status)
                self.end_headers()

            def log_message(self, *given: Any) -> None:
                pass

        return Handler


@contextmanager
def listening() -> Iterator[Door]:
    """A door on the loopback interface."""
    door = Door()
    threading.Thread(target=door.server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield door
    finally:
        door.server.shutdown()
        door.server.server_close()
