"""The lock file of the owners of a SQLite store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.stores import open_store
from engine.stores.ownership import Locks

ASK = """
import sys
from pathlib import Path
from engine.stores.ownership import Locks
print(Locks(Path(sys.argv[1]), "").free(7))
"""


def _open_files() -> set[str]:
    """The files that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the one that listed them
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is nowhere to look what is open")
def test_a_store_that_is_closed_leaves_no_file_open(tmp_path: Path) -> None:
    stores = [open_store(f"sqlite:///{tmp_path}/runs.db") for _ in range(3)]
    for store in stores:
        store.enter(None)
    assert f"{tmp_path}/runs.db-owners" in _open_files()
    for store in stores:
        store.beat()
        store.close()
    assert not {file for file in _open_files() if file.startswith(str(tmp_path))}


def test_a_lock_holds_while_others_of_its_file_come_and_go(tmp_path: Path) -> None:
    file = tmp_path / "owners"
    ours, theirs = Locks(file, ""), Locks(file, "")
    assert ours.hold(7)
    assert theirs.hold(8)
    assert not theirs.hold(7)
    theirs.give_back(8)
    assert theirs.free(8)
    assert not theirs.free(7)
    assert _asked_by_another_process(file) == "False"
    ours.give_back(7)
    assert _asked_by_another_process(file) == "True"
    assert theirs.free(7)


def _asked_by_another_process(file: Path) -> str:
    return subprocess.run([sys.executable, "-c", ASK, file], capture_output=True, text=True, check=True).stdout.strip()
