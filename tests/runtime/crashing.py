"""What the tests of crashes share: the moments at which a process dies, a store for each, and the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stores.servers import schema

ROOT = Path(__file__).resolve().parents[2]


def moments(ways: Mapping[tuple[str, str], int], effects: int = 0) -> list[Any]:
    """One parameter set (store, way, moment, number) for each side of each commit of a way, and of each effect."""
    return [
        pytest.param(store, way, f"{side}-{kind}", number, id=f"{store}-{way}-{side}-{kind}-{number}")
        for (store, way), commits in ways.items()
        for kind, count in (("commit", commits), ("effect", effects))
        for side in ("before", "after")
        for number in range(1, count + 1)
    ]


@contextmanager
def empty_store(store: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty store: `sqlite`, a file in the folder, or `postgresql`, a schema of the server."""
    if store == "sqlite":
        yield f"sqlite:///{folder}/runs.db"
    else:
        with schema(request.getfixturevalue("server")) as found:
            yield found


def launch(program: str, url: str, place: Path, moment: str, number: int, way: str) -> subprocess.CompletedProcess[str]:
    """Run that module as a process that kills itself at the moment."""
    command = [sys.executable, "-m", program, url, str(place), moment, str(number), way]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
