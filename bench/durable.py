"""Flows of five steps that do nothing, every result on the disk: ours, one and two processes, and the peers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from bench.databases import database
from bench.floor import commits, rows
from bench.flows import LENGTH
from bench.programs.protocol import Loop, Program
from bench.settings import Settings
from bench.table import Figure

IN_FLIGHT = (1, 16, 64)
TARGETS = {"sqlite": (600, 4000, 5000), "postgresql": (350, 2000, 4000)}
P99_ALONE = 5.0
COMMITS = LENGTH + 1
"""Of one flow: its start, and each result, the last one together with its end."""
ROWS = 2 * COMMITS
"""What those commits write: the execution and a row of history each."""
PEERS = {"dbos": ("DBOS", ("sqlite", "postgresql")), "absurd": ("Absurd", ("postgresql",))}
"""Peers by module: their name, and what they run on."""


def measure(settings: Settings) -> Iterator[Figure]:
    """Flows a second, alone and with others in flight, with one worker process and with two."""
    for kind in settings.stores:
        for in_flight, target in zip(IN_FLIGHT, TARGETS[kind], strict=True):
            yield from _compared(kind, in_flight, target, settings)
        yield _two(kind, settings)


def _compared(kind: str, in_flight: int, target: float, settings: Settings) -> Iterator[Figure]:
    (ours,) = run("engine", kind, in_flight, settings)
    floor = commits(kind, settings) / COMMITS if in_flight == 1 else rows(kind, settings) / ROWS
    name = f"{kind}, {in_flight} in flight"
    yield Figure(name, ours.rate, "flows/s", target, floor=floor, note=latency(ours))
    if in_flight == 1:
        yield Figure(f"{kind}, alone, p99", ours.p99, "ms", P99_ALONE, most=True, floor=1000 / floor)
    for module, (peer, kinds) in PEERS.items():
        if settings.peers and kind in kinds and find_spec(module if module == "dbos" else "absurd_sdk"):
            (theirs,) = run(module, kind, in_flight, settings)
            note = f"{latency(theirs)}; the engine is {ours.rate / theirs.rate:.1f} times as fast"
            yield Figure(f"  {peer}", theirs.rate, "flows/s", note=note)


def _two(kind: str, settings: Settings) -> Figure:
    one, two = run("engine", kind, 64, settings), run("engine", kind, 64, settings, processes=2)
    rate = sum(found.rate for found in two)
    note = f"{rate / one[0].rate:.2f} times one process in the same minute"
    return Figure(f"{kind}, two processes, 64 in flight each", rate, "flows/s", note=note)


def run(contender: str, kind: str, in_flight: int, settings: Settings, *, processes: int = 1) -> list[Loop]:
    """What each process reaches, on a database of its own kind that nobody has used before."""
    with database(kind, settings.folder) as url:
        programs = [Program(f"{contender}_flows", url, in_flight, settings.seconds) for _ in range(processes)]
        for program in programs:
            program.__enter__()
        try:
            for program in programs:
                program.go()
            return [Loop(*program.result()) for program in programs]
        finally:
            for program in programs:
                program.__exit__()


def latency(found: Loop) -> str:
    """For the table."""
    return f"p50 {found.p50:.2f} ms, p99 {found.p99:.2f} ms"
