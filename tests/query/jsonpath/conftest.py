from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.query import UNSET

CONFORMANCE = Path(__file__).resolve().parents[4] / "shared" / "conformance"


@dataclass
class PlainScope:
    """A scope made of plain values."""

    input: Any = None
    result: Any = UNSET
    error_output: Any = UNSET
    context: Any = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    now: str = "2026-05-04T12:30:00Z"
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def random(self) -> random.Random:
        return self.chance


@pytest.fixture
def make_scope() -> type[PlainScope]:
    return PlainScope


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder with what was recorded on AWS, beside the checkout."""
    if not CONFORMANCE.is_dir():
        pytest.skip("the recordings of AWS are not beside this checkout (../shared/conformance)")
    return CONFORMANCE
