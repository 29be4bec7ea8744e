"""Reference data: YAML files of a directory, objects by id. They stand for the read models of the membership store."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

DIRECTORY = "flows/reference"
"""Unless the setting REFERENCE_DIR says otherwise."""

_reading = Lock()
Table = dict[str, dict[str, Any]]


class Missing(Exception):
    """A file of the reference data is not there or cannot be understood."""


def table(directory: Path, name: str) -> Table:
    """The objects of `{name}.yaml` by id, read again when the file has changed. Raises Missing."""
    file = directory / f"{name}.yaml"
    try:
        changed = file.stat().st_mtime_ns
        with _reading:  # one thread reads for all; a large file read by many at once stands everything still
            return _read(file, changed)
    except OSError as problem:
        raise Missing(f"{file.name}: {problem.strerror}") from problem


@lru_cache(maxsize=64)
def _read(file: Path, changed: int) -> Table:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        if text.startswith("{"):  # a large table is better written as JSON, which is YAML too and read much faster
            found = json.loads(text)
        else:
            found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as problem:
        raise Missing(f"{file.name} is not valid YAML") from problem
    if not isinstance(found, dict) or not all(isinstance(item, dict) for item in found.values()):
        raise Missing(f"{file.name} must hold objects by id")
    return found
