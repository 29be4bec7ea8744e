"""Finding out whether a commit took place whose answer was lost on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.errors import StoreUnavailable
from engine.stores import Change, Start

DOUBT_SECONDS: Final = 60.0
"""How long the answer is looked for."""


class Doubt:
    """What to ask if the answer to the present commit is lost: about its first part, since it is written whole or not
    at all. As long as an owner was not given up, nobody else moves the versions of what it owns."""

    def __init__(self) -> None:
        self._question: tuple[str, tuple[Any, ...]] | None = None

    def note(self, owner: int | None, starts: Sequence[Start], changes: Sequence[Change]) -> None:
        """This batch is about to be committed."""
        if changes:
            self._question = "was_changed", (changes[0].key, changes[0].version + 1, owner)
        else:
            execution = starts[0].decision.execution
            self._question = "was_started", (execution.name, execution.started, owner)

    def clear(self) -> None:
        """Its fate is known."""
        self._question = None

    def was_written(self, read: Callable[[str, Sequence[Any]], Sequence[Any]]) -> bool:
        """Whether it was. Waits until the server answers; raises StoreUnavailable when it does not."""
        if self._question is None:
            return False
        (statement, facts), until = self._question, time.monotonic() + DOUBT_SECONDS
        while True:
            try:
                return bool(read(statement, facts))
            except StoreUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
