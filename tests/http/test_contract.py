"""The OpenAPI document holds: schemathesis asks the running service what the document allows, and what it does not."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.service.http import AsgiApp
from engine.service.http.serving import Server
from engine.service.http.tokens import configured
from tests.http.conftest import Front, wish
from tests.http.issuer import AUDIENCE, Issuer

Make = Callable[..., Front]
HERE = Path(__file__).parent
SEED, EXAMPLES = 7, 3
"""Bounded, so that it takes well below a minute, and the same every time."""


@pytest.fixture
def served(front: Make) -> Iterator[tuple[str, str]]:
    """The address of a running service that wants tokens, and one that is good for everything."""
    issuer = Issuer()
    verifier = configured({"JWT_ISSUER": issuer.url, "JWT_AUDIENCE": AUDIENCE})
    service = front(options={"verifier": verifier})
    for operation in service.service.routes.operations:
        operation.rate = None
    service.book(wish())
    bound = socket.create_server(("127.0.0.1", 0))
    server = Server(AsgiApp(service.service), bound)
    server.start()
    token = issuer.token(scope="bookings:read bookings:write bookings:ops", exp=4_000_000_000)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}", token
    service.service.streams.close()
    server.stop()
    bound.close()
    issuer.close()


@pytest.mark.timeout(300)  # on a machine that is busy with other things
def test_the_service_does_what_its_document_says(served: tuple[str, str], tmp_path: Path) -> None:
    url, token = served
    command = [
        *(str(Path(sys.executable).with_name("st")), f"--config-file={HERE / 'schemathesis.toml'}", "run"),
        *(f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--seed", str(SEED)),
        *("--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--request-timeout", "25"),
        *("--exclude-operation-id", "streamBookingEvents", "--no-color", "--generation-database", "none"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) == 15, "every operation but the stream"
