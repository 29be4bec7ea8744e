"""What is done to a trial. Each takes the trial, and is called again and again."""

from __future__ import annotations

import resource
import signal
import time

from tests.chaos.trial import LEASE, Trial

FULL_BYTES = 1_000_000
"""No file of a worker grows beyond that while its disk is full. The world outside, which has files too, stays below."""


def kill(trial: Trial) -> None:
    """kill -9 of a worker; another one is started."""
    with trial.taken() as worker:
        worker.kill()
        worker.wait()
        trial.seen["workers killed"] += 1


def drain(trial: Trial) -> None:
    """SIGTERM to a worker: it ends by itself, and gives back what it holds."""
    with trial.taken() as worker:
        worker.terminate()
        worker.wait(60)
        trial.seen["workers drained"] += 1


def freeze(trial: Trial) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT: it comes back as one that was given up for dead."""
    with trial.taken() as worker:
        worker.send_signal(signal.SIGSTOP)
        time.sleep(LEASE * (1.2 + trial.random.random()))
        worker.send_signal(signal.SIGCONT)
        trial.seen["workers stopped past their lease"] += 1


def set_clock(trial: Trial) -> None:
    """Every clock is wrong from now on: ahead, or behind."""
    trial.set_clock(trial.random.uniform(-3.0, 30.0))
    trial.seen["clocks set"] += 1


def fill_disk(trial: Trial) -> None:
    """For a moment a worker cannot make any file longer."""
    with trial.taken() as worker:
        if worker.poll() is None:
            unlimited = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, unlimited[1]))
            time.sleep(trial.random.random())
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, unlimited)
            trial.seen["disks full for a worker"] += 1
