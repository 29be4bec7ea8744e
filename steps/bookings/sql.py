"""SQL lives in .sql files: statements under `-- name: …`, parameters as `:name`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from engine import Connection

_NAME = re.compile(r"^-- name: (\w+)$", re.M)
_PARAMETER = re.compile(r":([a-z_]+)\b")
_COMMENT = re.compile(r"^--.*$\n?", re.M)


class Statement:
    """One statement. The named parameters of the file become the `?` of the engine's connection."""

    __slots__ = ("_names", "_text")

    def __init__(self, text: str) -> None:
        self._names = _PARAMETER.findall(text)
        self._text = _PARAMETER.sub("?", text)

    def run(self, db: Connection, **values: Any) -> int:
        """Execute and answer how many rows were written. Raises KeyError when a parameter is missing."""
        return int(self._execute(db, values).rowcount)

    def rows(self, db: Connection, **values: Any) -> list[dict[str, Any]]:
        """Execute and answer the rows as dicts."""
        cursor = self._execute(db, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, db: Connection, **values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        return next(iter(self.rows(db, **values)), None)

    def _execute(self, db: Connection, values: dict[str, Any]) -> Any:
        return db.execute(self._text, tuple(values[name] for name in self._names))


@cache
def statements(file: str) -> dict[str, Statement]:
    """The statements of a file beside this module, by name."""
    parts = _NAME.split(Path(__file__).with_name(file).read_text(encoding="utf-8"))
    return {
        name: Statement(_COMMENT.sub("", text).strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def script(file: str) -> list[str]:
    """The statements of a file without names, one by one."""
    text = _COMMENT.sub("", Path(__file__).with_name(file).read_text(encoding="utf-8"))
    return [part.strip() for part in text.split(";\n") if part.strip()]
