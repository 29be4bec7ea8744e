"""SQL lives in .sql files as named statements; this reads them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

NAMED = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(path: Path) -> dict[str, str]:
    """The statements of a file, by the name in the comment `-- name: …` above each."""
    parts = NAMED.split(path.read_text(encoding="utf-8"))
    return {name: text.strip().removesuffix(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)}
