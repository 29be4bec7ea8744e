"""Reference data: YAML files of a directory, objects by id. They stand for the read models of the membership store."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

Table = dict[str, dict[str, Any]]


class Missing(Exception):
    """A file of the reference data is not there or cannot be understood."""


def table(directory: Path, name: str) -> Table:
    """The objects of `{name}.yaml` by id, read again when the file has changed. Raises Missing."""
    file = directory / f"{name}.yaml"
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError as problem:
        raise Missing(f"{file.name}: {problem.strerror}") from problem


@lru_cache(maxsize=64)
def _read(file: Path, changed: int) -> Table:
    import yaml

    try:
        found = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise Missing(f"{file.name} is not valid YAML") from problem
    if not isinstance(found, dict) or not all(isinstance(item, dict) for item in found.values()):
        raise Missing(f"{file.name} must hold objects by id")
    return found
