"""What the tests of crashes share: the moments at which a process dies, a store for each, and the process."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stores.servers import schema

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.runtime.crashing", "engine.runtime.worker", "engine.stores.sqlite", "engine.stores.postgres"]
)


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
    """Run that module's main as a process that kills itself at the moment. It is forked from one that has the engine
    loaded and nothing open: loading it anew takes longer than the run."""
    with tempfile.TemporaryDirectory() as folder:
        said, complained = Path(folder, "stdout"), Path(folder, "stderr")
        arguments = (url, str(place), moment, str(number), way)
        process = FORKS.Process(target=_run, args=(program, arguments, said, complained))
        process.start()
        process.join()
        code = process.exitcode or 0
        process.close()
        return subprocess.CompletedProcess([program, *arguments], code, said.read_text(), complained.read_text())


def _run(program: str, arguments: tuple[str, ...], said: Path, complained: Path) -> None:
    for number, file in ((1, said), (2, complained)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    importlib.import_module(program).main(*arguments)
