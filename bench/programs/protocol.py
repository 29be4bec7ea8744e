"""Both sides of the protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.rates import quantile

ROOT = Path(__file__).parent.parent.parent


class Loop(NamedTuple):
    """What a closed loop did: flows per second, latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


class Program:
    """A program that is ready. Use it as a context manager: it ends with it."""

    def __init__(self, name: str, *arguments: object) -> None:
        command = [sys.executable, "-W", "ignore", "-m", f"bench.programs.{name}", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ}
        )

    def __enter__(self) -> Program:
        self.read("ready")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def go(self) -> None:
        """Let it work."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def read(self, expected: str | None = None) -> str:
        """Its next line. Raises RuntimeError when it ended instead, or said something else."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line or (expected is not None and line != expected):
            raise RuntimeError(f"{' '.join(map(str, self._process.args[3:]))} said {line!r}")  # type: ignore[index]
        return line

    def ask(self, fact: str) -> Any:
        """What it answers to one word."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{fact}\n")
        self._process.stdin.flush()
        return self.result()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def result(self) -> Any:
        """The JSON that it prints at the end."""
        return json.loads(self.read())


def ready() -> None:
    """In a program: say that everything is prepared, and wait for the word."""
    print("ready", flush=True)
    sys.stdin.readline()


def answer(result: Any) -> None:
    """In a program: hand in the result."""
    print(json.dumps(result), flush=True)


def threads_loop(run: Callable[[], None], in_flight: int, seconds: float) -> Loop:
    """Run flows in that many threads, each one flow after the other."""
    times: list[float] = []
    until = time.perf_counter() + seconds

    def work() -> None:
        while time.perf_counter() < until:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)

    return loop(times, side_by_side(work, in_flight))


def side_by_side(work: Callable[[], None], count: int) -> float:
    """Do it in that many threads at once; answers the seconds until the last has ended."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def loop(times: list[float], seconds: float) -> Loop:
    """The result of a loop whose flows took that long, in seconds."""
    return Loop(len(times) / seconds, 1000 * quantile(times, 0.5), 1000 * quantile(times, 0.99))
