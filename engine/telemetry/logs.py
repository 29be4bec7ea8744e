"""The log as lines of JSON, for CloudWatch and its like; and what keeps personal data out of any log.

Two nets. First, only fields on a list of allowed names are written: the engine's own, and those that a steps package
names in `LOG_KEYS` of a module. Second, whatever looks like a phone number or an e-mail address is masked, wherever it
stands, tracebacks included.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

ALLOWED: Final = frozenset(
    ("execution", "state", "step", "attempt", "flow", "status", "error", "problem", "seconds", "count", "request_id")
)
_PHONE = re.compile(r"(?<![\w+])\+[1-9](?:[\s().-]?\d){6,14}(?!\d)")
_MAIL = re.compile(r"([\w.+-])[\w.+-]*@([\w-])[\w-]*((?:\.[\w-]+)+)")


def mask(text: str) -> str:
    """The text with phone numbers and e-mail addresses made unreadable: `+44•••23`, `a•••@e•••.com`."""
    if "@" in text:
        text = _MAIL.sub(r"\1•••@\2•••\3", text)
    return _PHONE.sub(lambda found: f"{found[0][:3]}•••{found[0][-2:]}", text) if "+" in text else text


def permitted(fields: Mapping[str, Any], allowed: Iterable[str] = ()) -> dict[str, Any]:
    """The fields that may be written; `allowed`: names beside the engine's own."""
    names = ALLOWED | set(allowed)
    return {name: mask(value) if isinstance(value, str) else value for name, value in fields.items() if name in names}


class JsonLine(logging.Formatter):
    """One object for each record: time, level, logger, message, and the fields that are allowed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(str(getattr(record, "said", None) or record.getMessage())),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainLine(logging.Formatter):
    """One plain line for each record; only `debug` adds tracebacks."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self.debug = debug

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        if self.debug:
            return mask(super().format(record))
        return mask(" ".join(f"{record.levelname} {record.name}: {record.getMessage()}".split()))
