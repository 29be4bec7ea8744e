"""SQL lives in .sql files: named statements, and numbered migrations that are never edited once released."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
NAMED: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
COMMENT: Final = re.compile(r"--[^\n]*")
END: Final = re.compile(r";[ \t]*(?:\n|$)")


class Migration(NamedTuple):
    """One step of a schema: its number, from 1, and its statements in order."""

    number: int
    statements: tuple[str, ...]

    def failed(self, statement: int, url: str, problem: str) -> str:
        """What to say when one of its statements, counted from 1, failed."""
        text = " ".join(problem.split()).rstrip(".")
        return (
            f"{url}: migration {self.number} failed at its statement {statement} of {len(self.statements)}: {text}. "
            f"Nothing was changed, the store is as it was; remove the cause, then: engine store migrate"
        )


@cache
def statements(database: str) -> dict[str, str]:
    """The statements of `<database>.sql`, by the name in the comment `-- name: …` above each."""
    return read_statements(HERE / f"{database}.sql")


def read_statements(path: Path) -> dict[str, str]:
    """The statements of a file, by their names. No two may have the same."""
    parts = NAMED.split(path.read_text(encoding="utf-8"))
    names = parts[1::2]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{path}: two statements have the name {min(twice)}")
    found = zip(names, parts[2::2], strict=True)
    return {name: COMMENT.sub("", text).strip().removesuffix(";") for name, text in found}


@cache
def migrations(database: str) -> tuple[Migration, ...]:
    """The migrations in `<database>_NNNN.sql`, in order."""
    found = []
    for path in sorted(HERE.glob(f"{database}_[0-9]*.sql")):
        text = COMMENT.sub("", path.read_text(encoding="utf-8"))
        parts = tuple(part.strip() for part in END.split(text) if part.strip())
        found.append(Migration(int(path.stem.rpartition("_")[2]), parts))
    return tuple(found)
