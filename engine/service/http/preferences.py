"""Headers that ask for something: Prefer (RFC 7240), If-Match and If-None-Match (RFC 9110), Idempotency-Key."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from engine.service.http.problems import Refused
from engine.values import JSON

LONGEST_WAIT: Final = 20
KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")
WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=[,;]|$)', re.IGNORECASE)
ASYNC: Final = re.compile(r"(?:^|[,;])\s*respond-async\s*(?=[,;]|$)", re.IGNORECASE)
TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def waiting(header: str | None, default: float) -> tuple[float, str | None]:
    """How many seconds to wait for an answer, and the Preference-Applied to send. What cannot be read is ignored."""
    found = WAIT.search(header or "")
    if found is not None:
        seconds = min(int(found[1]), LONGEST_WAIT)
        return float(seconds), f"wait={seconds}"
    if ASYNC.search(header or ""):
        return 0.0, "respond-async"
    return default, None


def idempotency_key(header: str) -> str:
    """The key of a header: a quoted string (IETF draft) or a bare token. Raises Refused."""
    text = header.strip()
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not KEY.fullmatch(text):
        raise Refused("validation_failed", "Idempotency-Key must be 16 to 128 letters, digits, hyphens or underscores")
    return text


def fingerprint(method: str, path: str, version: int | None, body: JSON) -> str:
    """What makes two requests the same one: SHA-256 over the canonical form (RFC 8785) of the path, the version that is
    to be changed, and the body."""
    import rfc8785

    return hashlib.sha256(rfc8785.dumps([method, path, version, body])).hexdigest()


def etag(version: Any) -> str:
    """The strong entity tag of a version."""
    return f'"v{version}"'


def matches(header: str | None, tag: str, *, weak: bool) -> bool:
    """Whether an If-None-Match (`weak`) or If-Match header names the tag, or is `*`."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return any(f'"{text}"' == tag and (weak or not mark) for mark, text in TAG.findall(header))


def versions(header: str | None) -> int | None:
    """The version that an If-Match header demands: `"v3"` is 3. `*` demands none. Raises Refused for what is no tag."""
    if header is None or header.strip() == "*":
        return None
    found = TAG.fullmatch(header.strip())
    if found is None:
        raise Refused("validation_failed", 'If-Match must be an entity tag such as "v3"')
    mark, text = found.groups()
    if mark or not re.fullmatch(r"v\d{1,9}", text):
        raise Refused("version_conflict", "this entity tag was never given out")
    return int(text[1:])
