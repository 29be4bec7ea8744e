"""Settings of the deployment are texts; here they become numbers, yes and no, and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def number(settings: Mapping[str, str], name: str, default: float) -> float:
    """A number of the settings. Raises ValueError naming the setting when it is none."""
    text = settings.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise ValueError(f"the setting {name} must be a number, not {text!r}") from None


def flag(settings: Mapping[str, str], name: str, default: bool) -> bool:
    """A yes or no of the settings: 1, true, yes, on count as yes."""
    text = settings.get(name, "").lower()
    return text in ("1", "true", "yes", "on") if text else default


def place(settings: Mapping[str, str], name: str, default: str) -> Path:
    """A file or directory: the setting, else `default` in the working directory, else in the project itself."""
    if settings.get(name):
        return Path(settings[name])
    here = Path(default)
    return here if here.exists() else ROOT / default
