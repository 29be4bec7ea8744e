"""What a run of the bench is to do."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Settings(NamedTuple):
    """`stores`: kinds of database. `seconds`: how long each rate is measured. `scale`: a fraction of the full sizes,
    such as 100,000 waiting executions. `peers`: measure those too that are installed. `folder`: for databases, on the
    disk that counts.
    """

    stores: tuple[str, ...]
    seconds: float
    scale: float
    peers: bool
    folder: Path

    def size(self, full: int) -> int:
        """That many, in this run."""
        return max(1, int(full * self.scale))
