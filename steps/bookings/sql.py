"""SQL lives in .sql files: statements under `-- name: …`, parameters as `:name`.

One text serves both databases. Where they differ, `-- name: … on postgresql` beside the plain one says what that
database is told instead. Migrations are `migrations/NNNN.sql` and, for one database only, `NNNN.postgresql.sql`; they
are numbered from 1 without holes and never edited once released.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from engine import Connection

_NAME = re.compile(r"^-- name: (\w+)(?: on (\w+))?$", re.M)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)\b")
_COMMENT = re.compile(r"^--.*$\n?", re.M)
_HERE = Path(__file__).parent


class Statement:
    """One statement. The named parameters of the file become the `?` of the engine's connection.

    `texts`: by dialect; the empty one is for every database that has none of its own.
    """

    __slots__ = ("_columns", "_texts")

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = {
            dialect: (_PARAMETER.sub("?", text), tuple(_PARAMETER.findall(text))) for dialect, text in texts.items()
        }
        self._columns: dict[str, list[str]] = {}

    def run(self, db: Connection, **values: Any) -> int:
        """Execute and answer how many rows were written. Raises KeyError when a parameter is missing."""
        return int(self._execute(db, values).rowcount)

    def rows(self, db: Connection, **values: Any) -> list[dict[str, Any]]:
        """Execute and answer the rows as dicts."""
        cursor = self._execute(db, values)
        found = cursor.fetchall()
        columns = self._columns.get(db.dialect, [])
        if found and len(found[0]) != len(columns):
            # Asked for once: psycopg makes an object for each column. A table that has grown meanwhile has more.
            columns = self._columns[db.dialect] = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in found]

    def row(self, db: Connection, **values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        return next(iter(self.rows(db, **values)), None)

    def _execute(self, db: Connection, values: dict[str, Any]) -> Any:
        text, names = self._texts.get(db.dialect) or self._texts[""]
        return db.execute(text, tuple(values[name] for name in names))


@cache
def statements(file: str) -> dict[str, Statement]:
    """The statements of a file beside this module, by name."""
    return {name: Statement(texts) for name, texts in _texts(_HERE / file).items()}


@cache
def migrations(dialect: str) -> tuple[tuple[str, ...], ...]:
    """The statements of each migration for one kind of database, oldest first: the first is number 1."""
    found = []
    for number, path in enumerate(sorted((_HERE / "migrations").glob("[0-9][0-9][0-9][0-9].sql")), 1):
        if int(path.stem) != number:
            raise ValueError(f"the migrations of the booking jump to {path.name}")
        own = path.with_name(f"{path.stem}.{dialect}.sql")
        found.append((*_parts(path), *(_parts(own) if own.exists() else ())))
    return tuple(found)


def _texts(path: Path) -> dict[str, dict[str, str]]:
    pieces = _NAME.split(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {}
    for name, dialect, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        found.setdefault(name, {})[dialect or ""] = _COMMENT.sub("", text).strip().removesuffix(";")
    return found


def _parts(path: Path) -> tuple[str, ...]:
    """The statements of a file without names: each ends with a semicolon at the end of a line."""
    text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
    return tuple(part.strip().removesuffix(";") for part in text.split(";\n") if part.strip())
