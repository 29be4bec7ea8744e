"""Flows in YAML with the semantics of the Amazon States Language: read, check, simulate and run them durably.

    from engine import Engine, load_flow, simulate, validate, step, StepError

Everything public is here; whatever is not in `__all__` may change. Names are loaded when first used, so that
`import engine` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

# At once and not on demand: the decorator `step` must win over the module of the same name.
from engine.step import (
    Connection,
    Host,
    Serving,
    StepContext,
    StepError,
    StepRegistry,
    TaskAnswer,
    TaskTimeout,
    on_idle,
    on_open,
    on_scrape,
    on_serve,
    on_start,
    step,
)
from engine.telemetry import Sample, telemetry, traceparent

if TYPE_CHECKING:
    from engine.core.history import render as render_history
    from engine.definition import load as load_flow
    from engine.definition import validate
    from engine.errors import DefinitionError, EngineError, Problem
    from engine.json_schema import JsonSchema
    from engine.machine import StateMachine
    from engine.rules import RuleSet, load_rules
    from engine.runtime.clock import VirtualClock
    from engine.runtime.engine import Engine
    from engine.runtime.simulate import Outcome, simulate

_HOMES = {
    "DefinitionError": "engine.errors",
    "Engine": "engine.runtime.engine",
    "EngineError": "engine.errors",
    "JsonSchema": "engine.json_schema",
    "Outcome": "engine.runtime.simulate",
    "Problem": "engine.errors",
    "RuleSet": "engine.rules",
    "StateMachine": "engine.machine",
    "VirtualClock": "engine.runtime.clock",
    "load_flow": "engine.definition:load",
    "load_rules": "engine.rules",
    "render_history": "engine.core.history:render",
    "simulate": "engine.runtime.simulate",
    "validate": "engine.definition",
}
"""Where each public name lives: module, or module:name there."""

__all__ = [
    "Connection",
    "DefinitionError",
    "Engine",
    "EngineError",
    "Host",
    "JsonSchema",
    "Outcome",
    "Problem",
    "RuleSet",
    "Sample",
    "Serving",
    "StateMachine",
    "StepContext",
    "StepError",
    "StepRegistry",
    "TaskAnswer",
    "TaskTimeout",
    "VirtualClock",
    "load_flow",
    "load_rules",
    "on_idle",
    "on_open",
    "on_scrape",
    "on_serve",
    "on_start",
    "render_history",
    "simulate",
    "step",
    "telemetry",
    "traceparent",
    "validate",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no public name {name!r}")
    module, _, inner = _HOMES[name].partition(":")
    found = getattr(importlib.import_module(module), inner or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
