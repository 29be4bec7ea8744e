"""The fault catalogue: ``catalogue.yaml`` has for each id F01 .. F54 a title and the piece of a plan that plays it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from steps.simulator.plan import PlanError, load_plan_file


@cache
def catalogue() -> Mapping[str, Mapping[str, Any]]:
    """id -> {title, plan} in the order of the catalogue."""
    return load_plan_file(Path(__file__).with_name("catalogue.yaml"))


def fragment(fault_id: str) -> Mapping[str, Any]:
    """The piece of a plan that plays this fault, an empty one for an unknown id."""
    found: Mapping[str, Any] = catalogue().get(fault_id, {}).get("plan", {})
    return found


def with_faults(document: Mapping[str, Any], fault_ids: Iterable[str]) -> dict[str, Any]:
    """The plan with the faults of the catalogue added behind its own; PlanError for an unknown id."""
    merged = dict(document)
    for fault_id in fault_ids:
        if fault_id not in catalogue():
            raise PlanError(
                [f"there is no fault {fault_id}; the catalogue has {min(catalogue())} to {max(catalogue())}"]
            )
        for name, part in fragment(fault_id).items():
            if name == "faults":
                merged[name] = [*(merged.get(name) or []), *part]
            else:
                merged[name] = {**(merged.get(name) or {}), **part} if isinstance(part, dict) else part
    return merged
