"""The simulator's clock: real time plus an offset, or wholly virtual. Moments are seconds since 1970, UTC."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """Time at the supplier. Virtual: stands still until advanced. Real: runs with ``source``, shifted by what was
    advanced.

    ``start`` is the first moment shown; a virtual clock without one starts at the present second of ``source``.
    """

    def __init__(
        self, virtual: bool = False, start: float | None = None, source: Callable[[], float] = time.time
    ) -> None:
        self.virtual = virtual
        self._source = source
        self._fixed = float(int(source())) if start is None else start
        self._offset = 0.0 if start is None else start - source()

    def now(self) -> float:
        return self._fixed if self.virtual else self._source() + self._offset

    def advance(self, seconds: float) -> float:
        """Move forward by ``seconds`` (never back) and return the new moment."""
        if seconds < 0:
            raise ValueError("a clock only moves forward")
        self._fixed += seconds
        self._offset += seconds
        return self.now()


def rfc3339(moment: float) -> str:
    """``2026-05-04T09:10:00Z``, with milliseconds only where there are some."""
    rounded = round(moment, 3)
    whole = rounded == int(rounded)
    text = datetime.fromtimestamp(rounded, UTC).isoformat(timespec="seconds" if whole else "milliseconds")
    return text.replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time with an offset; ValueError for anything else."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None or len(text) < len("2026-05-04T09:10:00Z"):
        raise ValueError(f"not an RFC 3339 time with an offset: {text}")
    return parsed.timestamp()


def http_date(moment: float) -> str:
    """``Mon, 04 May 2026 09:10:00 GMT`` (RFC 9110 5.6.7)."""
    return formatdate(moment, usegmt=True)
