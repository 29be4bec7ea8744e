"""Idempotency-Key: the same request twice is one execution and one answer.

Where keys are kept is the application's business: `x-service.idempotency` names three of its steps.

* claim `{caller, method, route, key, fingerprint, subject, now_ms, lock_s, keep_s}` -> `{state, created_ms, subject,
  status, body}`; state is NEW (it is ours now), RESUMED (ours: whoever had it is gone), RUNNING, DONE or REUSED
  (another request).
* finish `{caller, method, route, key, subject, status, body}`: the answer is final. `body` null: render it anew.
* release `{caller, method, route, key}`: nothing came of it; the key is free again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from engine.errors import EngineError
from engine.runtime.context import logger
from engine.service.http.messages import Response
from engine.service.http.problems import Refused
from engine.service.http.running import Ending
from engine.service.http.stepping import Steps
from engine.step import StepError
from engine.values import JSON

LOCK_SECONDS: Final = 60
KEEP_SECONDS: Final = 48 * 3600
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REPLAYED: Final = {"Idempotent-Replayed": "true"}
KEPT_HEADERS: Final = ("Content-Type", "Content-Language", "Location", "ETag", "Retry-After", "Link")
FREED: Final = frozenset({400, 401, 403, 404, 412, 413, 415, 428, 429, 503})
"""Answers of flows that failed and left nothing behind: the same key may be tried again."""


class Fate(Enum):
    """What becomes of a key with the answer to its request."""

    KEPT = "the answer is the last word, and is sent again as it is"
    OPEN = "it is not: each repeat is told how things stand"
    FREE = "nothing came of the request"


class Identity:
    """What a request is, and the names that are made from it: the same for every repeat of it.

    `ulid`: 26 characters, sorted by `created` (milliseconds since the epoch); `digest`: 32 hexadecimal characters.
    """

    def __init__(self, parts: list[str], created: int) -> None:
        raw = hashlib.sha256("\x1f".join([*parts, str(created)]).encode()).digest()
        number = (created << 80) | int.from_bytes(raw[:10], "big")
        self.ulid = "".join(CROCKFORD[(number >> 5 * place) & 31] for place in reversed(range(26)))
        self.digest = raw[10:26].hex()

    def names(self) -> dict[str, JSON]:
        """As expressions see it."""
        return {"ulid": self.ulid, "digest": self.digest}


class Keys:
    """The keys of a service, kept by its steps."""

    def __init__(self, steps: Steps, settings: Mapping[str, Any]) -> None:
        self._steps = steps
        self._names = settings
        self._lock = int(settings.get("lock_s", LOCK_SECONDS))
        self._keep = int(settings.get("keep_s", KEEP_SECONDS))

    def claim(
        self, of: Mapping[str, JSON], fingerprint: str, subject: str, now: int, request_id: str
    ) -> dict[str, Any]:
        """What there is of the key. Raises Refused when it belongs to another request or one that is running."""
        asked = {
            **of,
            "fingerprint": fingerprint,
            "subject": subject,
            "now_ms": now,
            "lock_s": self._lock,
            "keep_s": self._keep,
        }
        found: dict[str, Any] = self._steps.call(self._names["claim"], asked, execution=request_id)
        if found["state"] == "REUSED":
            raise Refused("idempotency_key_reused")
        if found["state"] == "RUNNING":
            raise Refused("request_in_progress")
        return found

    def finish(self, of: Mapping[str, JSON], subject: str, response: Response, fate: Fate, request_id: str) -> None:
        """Keep the answer, or free the key. Trouble here changes no answer: the key stays locked for a while, and the
        next request with it finds the same execution."""
        try:
            if fate is Fate.FREE:
                self._steps.call(self._names["release"], dict(of), execution=request_id)
            else:
                body = _pack(response) if fate is Fate.KEPT else None
                answer = {**of, "subject": subject, "status": response.status, "body": body}
                self._steps.call(self._names["finish"], answer, execution=request_id)
        except (StepError, EngineError) as problem:
            logger.warning("the answer of a request could not be kept: %s", type(problem).__name__)


def fate(ending: Ending | None, status: int, *, unforeseen: bool) -> Fate:
    """What becomes of the key of a flow that ended so (None: it still runs) and was answered with `status`.

    `unforeseen`: the answer tells of something else than what the flow is about. A flow that ended well has left
    something behind, whatever it says of it: the same key must not begin another.
    """
    if ending is not None and not ending.succeeded and status in FREED:
        return Fate.FREE
    if status == 202 or (ending is None and unforeseen and status >= 500):
        return Fate.OPEN
    return Fate.KEPT


def kept(found: Mapping[str, Any]) -> Response | None:
    """The answer that was kept, byte for byte; None when it is to be rendered anew."""
    if found.get("body") is None:
        return None
    packed = json.loads(found["body"])
    return Response(int(found["status"]), {**packed["headers"], **REPLAYED}, packed["body"].encode())


def _pack(response: Response) -> str:
    assert isinstance(response.body, bytes)
    headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    return json.dumps({"headers": headers, "body": response.body.decode()})
