"""A short soak: the long one is `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.soak import Soak
from tests.stores.servers import postgres, schema


@pytest.mark.timeout(900)
def test_every_invariant_holds_after_killed_processes_and_a_taxi_company_that_fails(tmp_path: Path) -> None:
    with postgres() as server, schema(server) as url:
        # The times of a busy machine are nobody's promise: what is asserted is what must hold whatever became of them.
        gentle = {"rate": 0.01, "scale": 0.5, "hang_s": 2.0, "kill_every": 6.0, "clients": 4, "resolve_s": 60.0}
        soak = Soak(url, tmp_path, bookings=24, seed=7, patience=600, **gentle)
        try:
            report = soak.run()
        finally:
            soak.close()
    assert report.violations == {}, report.text()
    assert (report.asked, report.unsettled) == (24, 0)
    assert sum(report.statuses.values()) >= 24  # who is told to come again books anew
    assert len(report.invariants) == 24
