"""How long a whole process takes to be of use."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from bench.rates import quantile
from bench.settings import Settings
from bench.table import Figure

PROCESSES = 9


def measure(settings: Settings) -> Iterator[Figure]:
    """A bare interpreter, `import engine`, `engine --help`."""
    floor = _milliseconds("-c", "pass")
    yield Figure("python -c pass", floor, "ms")
    yield Figure("import engine", _milliseconds("-c", "import engine"), "ms", 80, most=True, floor=floor)
    yield Figure("engine --help", _milliseconds("-m", "engine.cli", "--help"), "ms", 150, most=True, floor=floor)


def _milliseconds(*arguments: str) -> float:
    times = []
    for _ in range(PROCESSES):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(1000 * (time.perf_counter() - start))
    return quantile(times, 0.5)
