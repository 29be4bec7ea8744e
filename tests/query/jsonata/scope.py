"""A scope for tests: plain values, and what was asked of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from engine.query import UNSET


class FakeScope:
    """What an expression sees, given by keyword. `asked` lists the parts that were looked at."""

    def __init__(
        self,
        *,
        input: Any = None,
        result: Any = UNSET,
        error_output: Any = UNSET,
        context: Any = None,
        variables: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.input = input
        self.result = result
        self.error_output = error_output
        self.asked: list[str] = []
        self._context = context
        self._variables: Mapping[str, Any] = variables or {}
        self._random = random.Random(seed)

    @property
    def context(self) -> Any:
        self.asked.append("context")
        return self._context

    @property
    def variables(self) -> Mapping[str, Any]:
        self.asked.append("variables")
        return self._variables

    @property
    def now(self) -> str:
        self.asked.append("now")
        return "2026-05-04T09:10:00.250Z"

    def random(self) -> random.Random:
        self.asked.append("random")
        return self._random
