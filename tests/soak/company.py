"""The taxi company of a soak: the simulator in a process of its own, and what it knows."""

from __future__ import annotations

from typing import Any

import httpx


class Company:
    """What the simulator at `url` (ending in /v1) tells over its control surface."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.control = url.removesuffix("/v1") + "/_sim"
        self._truth: dict[str, Any] = {}

    def set_plan(self, text: str) -> None:
        """Play by another plan from now on."""
        httpx.put(f"{self.control}/plan", content=text, timeout=60).raise_for_status()

    def advance(self, seconds: float) -> None:
        """Let its clock run ahead: what was to happen by then has happened."""
        httpx.post(f"{self.control}/clock/advance", json={"seconds": seconds}, timeout=60).raise_for_status()

    def look(self) -> dict[str, Any]:
        """Ask for the ground truth; `rides` and `calls` tell it from then on."""
        self._truth = httpx.get(f"{self.control}/rides", timeout=300).raise_for_status().json()
        return self._truth

    def rides(self) -> list[dict[str, Any]]:
        """Every ride there was at the last look."""
        found: list[dict[str, Any]] = self._truth["rides"]
        return found

    def calls(self, op: str, client_reference: str | None = None) -> int:
        """How often an operation had been called then, in all or for one reference."""
        counts = (
            self._truth["calls"] if client_reference is None else self._truth["references"].get(client_reference, {})
        )
        return int(counts.get(op, 0))
