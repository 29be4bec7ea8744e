"""A running service for tests: the real document, flows and steps on SQLite, a worker, the taxi simulator."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from engine import Engine
from engine.runtime.worker import Worker
from engine.service.http import HttpService, Request, Response
from steps.simulator import Simulator

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "schemas" / "openapi.yaml"
WISH: dict[str, Any] = json.loads((ROOT / "flows/examples/booking.json").read_text())["request"]
ANA, BEN = "mem_demo_prestige", "mem_demo_plus"
SCOPES = "bookings:read bookings:write"


def wish(**changes: Any) -> dict[str, Any]:
    """The example's request, with some of its fields changed."""
    return {**deepcopy(WISH), **changes}


class Front:
    """A service and ways to ask it."""

    def __init__(self, store: str, settings: Mapping[str, str], faults: tuple[str, ...] = (), **options: Any) -> None:
        self.sim = Simulator(faults=faults, hang_s=2).start()
        self.settings = {"TAXI_URL": self.sim.url, "MEMBER_REF_KEY": "key-for-tests", **settings}
        self.engine = Engine(store, steps="steps", settings=self.settings)
        self.worker = Worker(self.engine)
        self.service = HttpService(str(DOCUMENT), self.engine, worker=self.worker, **options)
        self._thread = threading.Thread(target=self.worker.run, daemon=True)
        self._thread.start()
        self._keys = 0

    def ask(
        self, method: str, path: str, body: Any = None, *, member: str | None = ANA, scope: str = SCOPES, **headers: str
    ) -> Response:
        """One request; header names with _ for -. `member` None: nobody has looked at the token."""
        path, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else (b"" if body is None else json.dumps(body).encode())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("content-type", "application/json")
        pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
        claims = None if member is None else {"sub": member, "scope": scope}
        return self.service.handle(Request(method, path, query=pairs, headers=named, body=raw, claims=claims))  # type: ignore[arg-type]

    def book(self, body: Any = None, *, member: str = ANA, key: str | None = None, **headers: str) -> Response:
        """POST /v1/bookings with a key of its own."""
        self._keys += 1
        key = key or f"key-number-{self._keys:010}"
        return self.ask(
            "POST", "/v1/bookings", wish() if body is None else body, member=member, idempotency_key=key, **headers
        )

    def close(self) -> None:
        """End everything."""
        self.worker.stop(patience=2)
        self._thread.join(10)
        self.service.close()
        self.engine.close()
        self.sim.stop()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Callable[..., Front]]:
    """A factory: `front("F07", TAXI_TIMEOUT_SCALE="0.1")` gives a Front with these faults and settings."""
    made: list[Front] = []

    def make(*faults: str, options: Mapping[str, Any] | None = None, **settings: str) -> Front:
        folder = tmp_path / f"front-{len(made)}"
        folder.mkdir()
        settings.setdefault("EVENT_LOG", str(folder / "events.jsonl"))
        made.append(Front(f"sqlite:///{folder}/bookings.db", settings, faults, **(options or {})))
        return made[-1]

    yield make
    for one in made:
        one.close()
