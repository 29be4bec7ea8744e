"""Trouble of the database under a worker: executions go on where they were, and the log says it in one line each."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from engine import Engine
from engine.runtime.worker import Worker
from tests.stores.servers import schema

PATIENCE = 60.0
FLOW = {
    "StartAt": "A",
    "States": {
        "A": {"Type": "Task", "Resource": "step:work", "Next": "B"},
        "B": {"Type": "Task", "Resource": "step:work", "Next": "C"},
        "C": {"Type": "Task", "Resource": "step:work", "End": True},
    },
}


def work(payload: Any, ctx: Any) -> Any:
    time.sleep(0.02)
    return payload


@contextmanager
def working(engine: Engine) -> Iterator[None]:
    worker = Worker(engine, concurrency=4)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop(patience=PATIENCE)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def all_succeeded(front: Engine, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(front.list(status="SUCCEEDED")) < count:
        assert time.monotonic() < end, "executions do not go on"
        time.sleep(0.05)
    for found in front.list():
        ids = [event["id"] for event in front.history(found.name)]
        assert ids == list(range(1, len(ids) + 1))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records if record.name == "engine"]
    return [words for text in texts for words in ("does not answer", "is back") if words in text]


def hears(caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Wait until that has been said."""
    end = time.monotonic() + PATIENCE
    while words not in said(caplog):
        assert time.monotonic() < end, f"nobody said {words!r}"
        time.sleep(0.02)


class Wire:
    """A wire to a PostgreSQL server that can be cut: a socket in a folder of its own."""

    def __init__(self, folder: Path, server: str) -> None:
        self.path = str(folder / ".s.PGSQL.5432")
        self.server = server
        self.open: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def cut(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        Path(self.path).unlink()
        for end in self.open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open.clear()

    def accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.server)
                self.open += [near, far]
                for here, there in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=(here, there), daemon=True).start()

    def carry(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                there.sendall(data)
        for end in (here, there):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        here.close()


def test_a_network_that_is_cut_and_mended_holds_executions_up_and_loses_nothing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "engine")
    with schema(request.getfixturevalue("server")) as direct:
        host = parse_qs(urlsplit(direct).query).get("host", [""])[0]
        if not host.startswith("/"):
            pytest.skip("the wire is a Unix socket, and DATABASE_URL names another kind of server")
        folder = tmp_path_factory.mktemp("w")
        wire = Wire(folder, f"{host}/.s.PGSQL.5432")
        url = direct.replace(host, str(folder)).replace(host.replace("/", "%2F"), str(folder))
        assert url != direct
        begun = threading.Event()

        def work_on(payload: Any, ctx: Any) -> Any:
            begun.set()
            return work(payload, ctx)

        with Engine(direct, steps={"work": work}) as front, Engine(url, steps={"work": work_on}) as engine:
            for number in range(30):
                front.start(FLOW, {"n": number}, name=f"x{number}")
            with working(engine):
                assert begun.wait(PATIENCE)
                wire.cut()
                hears(caplog, "does not answer")
                wire.mend()
                all_succeeded(front, 30)
        wire.cut()
    assert said(caplog) == ["does not answer", "is back"]


def test_a_disk_that_is_full_holds_executions_up_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "engine")
    url = f"sqlite:///{tmp_path}/runs.db"
    with Engine(url, steps={"work": work}) as front, Engine(url, steps={"work": work}) as engine:
        for number in range(30):
            front.start(FLOW, {"n": number, "text": "x" * 5000}, name=f"x{number}")
        database: Any = engine._store
        (pages,) = database.connection.execute("PRAGMA page_count").fetchone()
        database.connection.execute(f"PRAGMA max_page_count = {pages + 10}")
        with working(engine):
            hears(caplog, "does not answer")
            assert front.list(status="SUCCEEDED") == []
            with database._lock:
                database.connection.execute("PRAGMA max_page_count = 1000000")
            all_succeeded(front, 30)
    assert said(caplog) == ["does not answer", "is back"]
