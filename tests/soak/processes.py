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
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.booking.world import ROOT


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Processes:
    """Named processes with the environment `settings`; what they say goes to files in `folder`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI", "JWT", "ENGINE"))}
        self.environment = {**own, **settings}
        self.folder = folder
        self.kills: Counter[str] = Counter()
        self._commands: dict[str, list[str]] = {}
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
            self._end(name)
            self.kills[name] += 1
            self._launch(name)

    def broken(self) -> list[str]:
        """Those that have ended by themselves, with their exit codes."""
        with self._guard:
            codes = {name: process.poll() for name, process in self._running.items()}
        return [f"{name} ended with {code}" for name, code in codes.items() if code is not None]

    def keep_killing(
        self, every: float, kinds: Sequence[Sequence[str]], over: threading.Event, lot: random.Random
    ) -> None:
        """Every so many seconds kill one process of a kind, of each kind in turn, until `over`."""
        for kind in itertools.cycle(kinds):
            if over.wait(every):
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

    def _launch(self, name: str) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._running[name] = subprocess.Popen(
                self._commands[name], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()
