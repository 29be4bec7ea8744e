"""The processes of a soak: started, killed with SIGKILL, and started again."""

from __future__ import annotations

import itertools
import os
import random
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.booking.world import ROOT

PORTS: Final = (10_000, 30_000)
READY_S: Final = 0.5


def free_port() -> int:
    """A port of this machine that nobody has, below those that it gives to connections: they could take it while the
    process that listens there is dead."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class Processes:
    """Named processes with the environment `settings`; what they say goes to files in `folder`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI", "JWT", "ENGINE"))}
        self.environment = {**own, **settings}
        self.folder = folder
        self.kills: Counter[str] = Counter()
        self._commands: dict[str, list[str]] = {}
        self._ended: set[str] = set()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guard = threading.Lock()

    def start(self, name: str, *arguments: str) -> None:
        """Start `python -m ARGUMENTS`."""
        with self._guard:
            self._commands[name] = [sys.executable, "-m", *arguments]
            self._launch(name)

    def kill(self, name: str) -> None:
        """SIGKILL, and start it again."""
        with self._guard:
            self._note_end(name)
            self._end(name)
            self.kills[name] += 1
            self._launch(name)

    def broken(self) -> list[str]:
        """Which have ended by themselves so far, with their exit codes."""
        with self._guard:
            for name in self._running:
                self._note_end(name)
            return sorted(self._ended)

    def keep_killing(
        self,
        every: float,
        kinds: Sequence[Sequence[str]],
        over: threading.Event,
        lot: random.Random,
        ready: Callable[[], bool],
    ) -> None:
        """Every so many seconds kill one process of a kind, of each kind in turn, until `over`.

        Not before all are `ready` again: on a busy machine nothing would ever come up.
        """
        for kind in itertools.cycle(kinds):
            if over.wait(every):
                return
            while not ready():
                if over.wait(READY_S):
                    return
            self.kill(lot.choice(kind))

    def end(self, *names: str) -> None:
        """End these for good."""
        with self._guard:
            for name in set(names) & self._running.keys():
                self._end(name)

    def close(self) -> None:
        """End all of them."""
        self.end(*self._running)

    def _note_end(self, name: str) -> None:
        code = self._running[name].poll()
        if code is not None:
            self._ended.add(f"{name} ended by itself, with {code}")

    def _launch(self, name: str) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._running[name] = subprocess.Popen(
                self._commands[name], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()
