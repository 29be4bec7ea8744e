"""A redrive with a newer definition: what the execution does, and what it starts, is the newer's then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Engine, StepError, VirtualClock
from engine.errors import NotRedrivable
from engine.runtime.worker import Worker
from engine.values import JSON
from tests.stores.conftest import shared_url, url

__all__ = ["shared_url", "url"]

START = 1_767_225_600.0
Flow = dict[str, Any]


class Shop:
    """The steps `old` and `new`, of which `old` is broken, and which of them were called for what."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, JSON]] = []
        self.tokens: list[str] = []

    def old(self, payload: JSON, ctx: Any) -> JSON:
        self.calls.append(("old", payload))
        raise StepError("Shop.Broken")

    def new(self, payload: JSON, ctx: Any) -> JSON:
        self.calls.append(("new", payload))
        return payload

    def ask(self, payload: JSON, ctx: Any) -> None:
        self.tokens.append(ctx.token)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def by_worker(engine: Engine, name: str) -> None:
    Worker(engine).run_until_idle()


def inline(engine: Engine, name: str) -> None:
    engine.resume(name)


WAYS = pytest.mark.parametrize("way", [by_worker, inline])


@contextmanager
def opened(url: str, shop: Shop | None = None) -> Iterator[tuple[Engine, Shop]]:
    shop = shop or Shop()
    steps: dict[str, Callable[..., Any]] = {"old": shop.old, "new": shop.new, "ask": shop.ask}
    with Engine(url, steps=steps, clock=VirtualClock(START)) as engine:
        yield engine, shop


def row(*resources: str) -> Flow:
    """States S0, S1, ... one behind the other."""
    states: Flow = {}
    for number, resource in enumerate(resources):
        after = {"Next": f"S{number + 1}"} if number + 1 < len(resources) else {"End": True}
        states[f"S{number}"] = {"Type": "Task", "Resource": resource, **after}
    return {"StartAt": "S0", "States": states}


def each(processor: Flow, **fields: JSON) -> Flow:
    """A flow that is one distributed Map."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state = {"Type": "Map", "ItemProcessor": {"ProcessorConfig": config, **processor}, "End": True, **fields}
    return {"StartAt": "M", "States": {"M": state}}


def file(folder: Path, name: str, flow: Flow) -> Path:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(flow), encoding="utf-8")
    return path


def definitions(engine: Engine) -> dict[str, str]:
    """The definition of every execution, by its name."""
    with engine.host.transaction() as db:
        return dict(db.execute("SELECT name, definition FROM executions").fetchall())


def run_until_failed(engine: Engine, flow: Any, data: JSON, name: str = "p") -> None:
    engine.start(flow, data, name=name)
    Worker(engine).run_until_idle()
    assert engine.describe(name)["status"] == "FAILED"


@WAYS
def test_it_goes_on_under_the_newer_one_through_a_pause_and_a_wait(url: str, way: Callable[..., None]) -> None:
    newer = row("step:new", "step:ask.waitForTaskToken", "step:new")
    with opened(url) as (engine, shop):
        run_until_failed(engine, row("step:old", "step:old"), 1)
        engine.redrive("p", flow=newer)
        engine.pause("p")
        Worker(engine).run_until_idle()
        assert shop.names == ["old"]
        engine.unpause("p")
        way(engine, "p")
        engine.pause("p")
        engine.unpause("p")
        engine.send_task_success(shop.tokens[-1], 2, drive=False)
        way(engine, "p")
        assert (engine.describe("p")["output"], shop.names) == (2, ["old", "new", "new"])


@WAYS
def test_a_later_redrive_goes_on_with_the_one_that_the_execution_has_then(url: str, way: Callable[..., None]) -> None:
    with opened(url) as (engine, shop):
        run_until_failed(engine, row("step:old", "step:old"), 1)
        engine.redrive("p", flow=row("step:new", "step:old", "step:new"))
        way(engine, "p")
        assert engine.describe("p")["status"] == "FAILED"
        engine.redrive("p")
        way(engine, "p")
        assert shop.names == ["old", "new", "old", "old"]
        with pytest.raises(NotRedrivable, match="has no state 'S1'"):
            engine.redrive("p", flow=row("step:new"))
        engine.redrive("p", flow=row("step:old", "step:new"))
        way(engine, "p")
        assert engine.describe("p")["output"] == 1


@WAYS
def test_what_it_starts_is_what_lies_beside_the_newer_one(url: str, tmp_path: Path, way: Callable[..., None]) -> None:
    """A flow that has changed, one that the older did not start, and one that only the newer's children start."""
    before, after = tmp_path / "before", tmp_path / "after"
    file(before, "child", row("step:old"))
    file(after, "child", row("flow:grandchild"))
    file(after, "grandchild", row("step:new"))
    file(after, "other", row("step:new"))
    with opened(url) as (engine, shop):
        run_until_failed(engine, file(before, "parent", row("flow:child")), 1)
        engine.redrive("p")
        way(engine, "p")
        assert shop.names == ["old", "old"], "without a newer one nothing else is started than before"
        newer = file(after, "parent", row("flow:child", "flow:other"))
        engine.redrive("p", flow=newer)
        for path in after.iterdir():
            path.unlink()  # from here on only the store has them
        way(engine, "p")
        assert (engine.describe("p")["output"], shop.names) == (1, ["old", "old", "new", "new"])


@WAYS
def test_a_nested_execution_that_is_redriven_itself_starts_what_lies_beside_its_newer_one(
    url: str, tmp_path: Path, way: Callable[..., None]
) -> None:
    file(tmp_path, "child", row("step:old"))
    with opened(url) as (engine, _):
        run_until_failed(engine, file(tmp_path, "parent", row("flow:child")), 1)
        (child,) = (found.name for found in engine.list() if found.name != "p")
        file(tmp_path, "other", row("step:new"))
        engine.redrive(child, flow=file(tmp_path, "child", row("flow:other")))
        way(engine, child)
        assert (engine.describe(child)["output"], engine.describe("p")["status"]) == (1, "FAILED")


@WAYS
def test_children_of_a_map_go_on_under_the_newer_one_whether_they_had_begun_or_not(
    url: str, tmp_path: Path, way: Callable[..., None]
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    file(before, "child", row("step:old"))
    file(after, "child", row("step:new"))
    older, newer = each(row("flow:child"), MaxConcurrency=1), each(row("flow:child", "step:new"), MaxConcurrency=1)
    with opened(url) as (engine, shop):
        run_until_failed(engine, file(before, "parent", older), [1, 2, 3])
        assert shop.calls == [("old", 1)]
        engine.redrive("p", flow=file(after, "parent", newer))
        way(engine, "p")
        assert engine.describe("p")["output"] == [1, 2, 3]
        assert shop.calls[1:] == [("new", item) for item in (1, 1, 2, 2, 3, 3)]
        found = definitions(engine)
        assert {found[child.name] for child in engine.list(map_of="p")} == {f"{found['p']}#M"}


def test_a_child_that_has_not_ended_keeps_what_it_runs(url: str) -> None:
    ask = "step:ask.waitForTaskToken"
    with opened(url) as (engine, shop):
        engine.start(each(row(ask, "step:new")), [1], name="p")
        Worker(engine).run_until_idle()
        (child,) = engine.list(map_of="p")
        engine.pause(child.name)  # so that it cannot hear that it is to stop
        engine.stop("p")
        engine.redrive("p", flow=each(row("step:old")))
        Worker(engine).run_until_idle()
        engine.unpause(child.name)
        engine.send_task_success(shop.tokens[-1], 7, drive=False)
        Worker(engine).run_until_idle()
        assert (engine.describe("p")["output"], shop.names) == ([7], ["new"])


def test_a_child_is_shown_its_item_if_only_the_newer_one_looks_at_it(url: str) -> None:
    shown = row("step:new", "step:new")
    shown["States"]["S1"]["Parameters"] = {"index.$": "$$.Map.Item.Index"}
    with opened(url) as (engine, _):
        run_until_failed(engine, each(row("step:old"), MaxConcurrency=1), ["a", "b"])
        engine.redrive("p", flow=each(shown))
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == [{"index": 0}, {"index": 1}]


def test_a_map_that_only_the_newer_one_has_spreads_over_all_workers(url: str) -> None:
    newer = each({"StartAt": "T", "States": {"T": row("step:new")["States"]["S0"]}})
    newer["States"]["S0"] = {"Type": "Task", "Resource": "step:new", "Next": "M"}
    newer["StartAt"] = "S0"
    with opened(url) as (engine, _):
        run_until_failed(engine, row("step:old"), [1, 2])
        engine.redrive("p", flow=newer)
        Worker(engine).run_until_idle()
        assert (engine.describe("p")["output"], len(engine.list(map_of="p"))) == ([1, 2], 2)


def test_a_map_that_has_begun_stays_of_its_kind(url: str) -> None:
    spread, plain = each(row("step:old")), each(row("step:old"))
    del plain["States"]["M"]["ItemProcessor"]["ProcessorConfig"]
    with opened(url) as (engine, _):
        for name, begun, newer in (("p", spread, plain), ("q", plain, spread)):
            run_until_failed(engine, begun, [1, 2], name)
            with pytest.raises(NotRedrivable, match="'M' has not the branches that have begun"):
                engine.redrive(name, flow=newer)


def test_a_child_of_a_map_is_redriven_with_its_parent_only(url: str) -> None:
    with opened(url) as (engine, _):
        run_until_failed(engine, each(row("step:old")), [1])
        (child,) = engine.list(map_of="p")
        for flow in (None, row("step:new")):
            with pytest.raises(NotRedrivable, match="redrive p"):
                engine.redrive(child.name, flow=flow)


def test_pruning_leaves_the_definitions_of_what_goes_on(url: str, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    file(before, "child", row("step:old"))
    file(after, "child", row("step:new"))
    with opened(url) as (engine, _):
        for name in "pq":
            run_until_failed(engine, file(before, "parent", row("flow:child")), 1, name)
        engine.redrive("p", flow=file(after, "parent", row("flow:child")))
        assert sum(engine.prune(datetime.fromtimestamp(START + 100, UTC))) == 2, "q and its child"
        Worker(engine).run_until_idle()
        assert engine.describe("p")["output"] == 1


def test_another_worker_takes_over_under_the_newer_one(shared_url: str, tmp_path: Path) -> None:
    """The first is given up for dead while it runs the parent, one child and a nested execution of that."""
    before, after = tmp_path / "before", tmp_path / "after"
    file(before, "child", row("step:old"))
    file(after, "child", row("step:ask.waitForTaskToken", "step:new"))
    shop = Shop()
    with opened(shared_url, shop) as (engine, _), opened(shared_url, shop) as (other, _):
        run_until_failed(engine, file(before, "parent", each(row("flow:child"))), [1])
        engine.redrive("p", flow=file(after, "parent", each(row("flow:child", "step:new"))))
        engine._store.enter(600.0)
        worker = Worker(engine)
        while not shop.tokens:
            worker._scheduler.round(patient=False)
        with other._store.transaction() as db:  # as if its lease had ended
            db.execute("UPDATE owners SET lease_until = 0")
        assert other._store.beat() >= 1
        Worker(other).run_until_idle()
        other.send_task_success(shop.tokens[-1], 7, drive=False)
        Worker(other).run_until_idle()
        assert (other.describe("p")["output"], shop.names) == ([7], ["old", "new", "new"])
