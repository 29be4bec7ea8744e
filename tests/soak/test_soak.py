"""A short soak: the long one is `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.soak import Soak
from tests.stores.servers import postgres, schema


@pytest.mark.timeout(400)
def test_bookings_survive_killed_processes_and_a_taxi_company_that_fails(tmp_path: Path) -> None:
    with postgres() as server, schema(server) as url:
        soak = Soak(url, tmp_path, bookings=40, seed=7, rate=0.01, kill_every=4, patience=150)
        try:
            report = soak.run()
        finally:
            soak.close()
    assert report.violations == {}, report.text()
    assert sum(report.statuses.values()) == 40
    assert report.statuses.get("CONFIRMED", 0) > 0
    assert sum(report.kills.values()) > 0
    assert report.events >= 80
