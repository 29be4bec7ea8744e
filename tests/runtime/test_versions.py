"""Published versions and weighted aliases: what new executions run; running ones keep theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import Engine, load_flow
from engine.errors import InvalidInput, UnknownVersion
from tests.runtime.test_redrive import url

__all__ = ["url"]


def flow(folder: Path, result: Any, *, wait: bool = False) -> Any:
    """booking.yaml, as it is today."""
    first = {"Type": "Wait", "Seconds": 60, "Next": "P"} if wait else {"Type": "Pass", "Next": "P"}
    states = {"W": first, "P": {"Type": "Pass", "Result": result, "End": True}}
    machine = load_flow({"StartAt": "W", "States": states})
    machine.file = str(folder / "booking.yaml")
    return machine


def test_versions_are_numbered_and_the_same_again_keeps_its_number(url: str, tmp_path: Path) -> None:
    with Engine(url) as engine:
        assert engine.publish(flow(tmp_path, 1), description="first") == ("booking", 1)
        assert engine.publish(flow(tmp_path, 1)) == ("booking", 1)
        assert engine.publish(flow(tmp_path, 2)) == ("booking", 2)
        assert engine.publish(flow(tmp_path, 1)) == ("booking", 3)
        found = engine.versions("booking")
        assert [(version.number, version.description) for version in found] == [(1, "first"), (2, None), (3, None)]
        assert engine.run(engine.published("booking:2", "x"), name="x").output == 2


def test_an_alias_shares_new_executions_out_by_weight_and_a_name_is_always_drawn_the_same(
    url: str, tmp_path: Path
) -> None:
    with Engine(url) as engine:
        for result in (1, 2):
            engine.publish(flow(tmp_path, result))
        engine.route("booking", "live", {1: 90, 2: 10})
        drawn = [engine.published("booking:live", f"order-{n}").source["States"]["P"]["Result"] for n in range(1000)]
        assert 60 < drawn.count(2) < 140
        again = [engine.published("booking:live", f"order-{n}").source["States"]["P"]["Result"] for n in range(1000)]
        assert again == drawn
        engine.route("booking", "live", {2: 100})
        assert engine.run(engine.published("booking:live", "x"), name="x").output == 2
        assert [(alias.name, dict(alias.routes)) for alias in engine.aliases("booking")] == [("live", {2: 100})]


def test_a_running_execution_keeps_the_version_that_it_began_with(tmp_path: Path) -> None:
    with Engine("memory:") as engine:
        engine.publish(flow(tmp_path, 1, wait=True))
        engine.publish(flow(tmp_path, 2))
        engine.route("booking", "live", {1: 100})
        engine.start(engine.published("booking:live", "x"), name="x")
        engine.route("booking", "live", {2: 100})
        stored = engine._store.load("x")
        assert engine.machines.of(stored.definition).source["States"]["P"]["Result"] == 1


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with Engine("memory:") as engine:
        with pytest.raises(UnknownVersion, match="'booking' has no published version"):
            engine.published("booking:live", "x")
        engine.publish(flow(tmp_path, 1))
        with pytest.raises(UnknownVersion, match="no version or alias 'live'"):
            engine.published("booking:live", "x")
        with pytest.raises(UnknownVersion, match="no version 7"):
            engine.route("booking", "live", {7: 100})
        for name, routes in (
            ("live", {1: 90}),
            ("live", {}),
            ("7", {1: 100}),
            ("a b", {1: 100}),
            ("live", {1: 101, 2: -1}),
        ):
            with pytest.raises(InvalidInput):
                engine.route("booking", name, routes)
        with pytest.raises(InvalidInput, match="FLOW:VERSION"):
            engine.published("booking", "x")
