"""A scope for tests: plain values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from engine.query import UNSET


class FakeScope:
    """What an expression sees, given by keyword."""

    now = "2026-05-04T09:10:00Z"

    def __init__(
        self,
        *,
        input: Any = None,
        result: Any = UNSET,
        error_output: Any = UNSET,
        context: Any = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        self.input = input
        self.result = result
        self.error_output = error_output
        self.context = context
        self.variables: Mapping[str, Any] = variables or {}

    def random(self) -> random.Random:
        return random.Random(0)
