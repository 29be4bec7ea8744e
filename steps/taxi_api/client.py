"""One HTTP call to the taxi company: a total deadline, a bounded body, and a classified outcome.

Nothing is repeated here except once after a refused token: repeating is the flow's business, where it can be seen.
"""

from __future__ import annotations

import atexit
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine import JsonSchema, StepError, telemetry
from steps.bookings.settings import number
from steps.taxi_api.errors import of_answer, of_exception

CONNECT_S = 1.0
MAX_BODY = 256 * 1024
SHORTEST_S = 0.05
LONGEST_RETRY_AFTER_S = 86_400.0
EARLY_S, FOREVER_S = 30.0, 1e9
"""A token is renewed so long before its end; one that names no end is used until it is refused."""
FIXED = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "booking-orchestrator"}
"""No compression: a small answer must not unpack into a large one."""
HOW_TO = "set TAXI_URL to the taxi company's address, or run with the simulator: python -m steps.simulator -- <command>"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `seconds`: its whole time. `reply`: the schema of a 2xx answer in replies.json."""

    method: str
    path: str
    reply: str
    seconds: float
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None

    def __str__(self) -> str:
        # The path without what it names: references are no secret, but a log line is shorter without them.
        parts = urlsplit(self.path).path.split("/")
        return f"{self.method} {'/'.join(part for part in parts if not any(map(str.isdigit, part)))}"


class TaxiClient:
    """Calls to one taxi company. Safe to share between threads."""

    def __init__(self, settings: Mapping[str, str], now: Callable[[], datetime]) -> None:
        self.base = settings.get("TAXI_URL", "").rstrip("/")
        if not self.base:
            raise StepError("Taxi.NotConfigured", HOW_TO)
        self._scale = number(settings, "TAXI_TIMEOUT_SCALE", 1.0)
        self._settings = settings
        self._now = now

    def call(self, call: Call) -> dict[str, Any]:
        """The parsed 2xx answer. Raises StepError with a name of `errors.ERRORS`."""
        status, body, retry_after = self._authorised(call)
        if 200 <= status < 300:
            return _checked(call, body)
        raise of_answer(status, _problem(body), retry_after, str(call))

    def _authorised(self, call: Call) -> tuple[int, bytes, float | None]:
        tokens = _tokens(self._settings)
        if tokens is None:
            return self._send(call, {})
        ends = time.monotonic() + call.seconds
        used = self._token(tokens, None)
        answer = self._send(_until(call, ends), {"Authorization": f"Bearer {used}"})
        if answer[0] != 401:
            return answer
        fresh = self._token(tokens, used)
        return self._send(_until(call, ends), {"Authorization": f"Bearer {fresh}"})

    def _token(self, tokens: Tokens, refused: str | None) -> str:
        """The access token; a new one when there is none, the present one was refused, or soon will be."""
        with tokens.lock:
            if tokens.value is None or tokens.value == refused or self._now().timestamp() >= tokens.renew_at:
                form = {
                    "grant_type": "client_credentials",
                    "client_id": self._settings.get("TAXI_CLIENT_ID", ""),
                    "client_secret": self._settings.get("TAXI_CLIENT_SECRET", ""),
                    "scope": "rides",
                }
                call = Call("POST", self._settings["TAXI_TOKEN_URL"], "token", 3.0)
                try:
                    status, body, retry_after = self._send(call, {}, form=form)
                    if not 200 <= status < 300:
                        raise of_answer(status, _problem(body), retry_after, "the token request")
                    given = _checked(call, body)
                    tokens.value = str(given["access_token"])
                    tokens.renew_at = self._now().timestamp() + max(0.0, given.get("expires_in", FOREVER_S) - EARLY_S)
                except StepError as problem:
                    if problem.error in ("Taxi.Ambiguous", "Taxi.BadResponse"):
                        # The ride request itself was not sent: whatever came of the token, nothing was booked.
                        raise StepError("Taxi.NotSent", f"no access token: {problem.cause}") from problem
                    raise
            return tokens.value

    def _send(
        self, call: Call, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, float | None]:
        with telemetry.span(f"taxi {call}"):
            return self._exchange(call, headers, form)

    def _exchange(
        self, call: Call, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes, float | None]:
        import httpx

        from steps.taxi_api.transport import deadline

        transport = _pool()  # what the first one loads is not the call's time
        seconds = max(SHORTEST_S, call.seconds * self._scale)
        sent = {**FIXED, "X-Request-Id": f"req_{uuid.uuid4().hex}", **(call.headers or {}), **headers}
        ends = time.monotonic() + seconds
        mark = deadline.set(ends)
        try:
            timeout = httpx.Timeout(seconds, connect=min(CONNECT_S * self._scale, seconds))
            request = httpx.Request(
                call.method,
                call.path if "://" in call.path else self.base + call.path,
                params=call.query,
                json=call.body,
                data=form,
                headers=sent,
                extensions={"timeout": timeout.as_dict()},
            )
            with closing(transport.handle_request(request)) as response:
                body = _read(response, str(call))
                return response.status_code, body, self._retry_after(response.headers.get("retry-after"))
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise of_exception(problem, str(call)) from problem
        finally:
            deadline.reset(mark)

    def _retry_after(self, text: str | None) -> float | None:
        """Seconds to wait, from seconds or an HTTP date (RFC 9110 10.2.3); None for anything else."""
        if text is None:
            return None
        if text.isascii() and text.strip().isdecimal():
            return min(float(text), LONGEST_RETRY_AFTER_S)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(0.0, (moment - self._now()).total_seconds()), LONGEST_RETRY_AFTER_S)


def _until(call: Call, ends: float) -> Call:
    """The call with the time that is left of it. Raises StepError Taxi.NotSent when there is none: the access token
    took all of it."""
    left = ends - time.monotonic()
    if left <= 0:
        raise StepError("Taxi.NotSent", f"{call}: no time was left after the token request")
    return replace(call, seconds=left)


class Tokens:
    """The access token of one client at one token address, and when to ask for another (seconds since 1970)."""

    __slots__ = ("lock", "renew_at", "value")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value: str | None = None
        self.renew_at = 0.0


@cache
def _tokens_of(url: str, client_id: str) -> Tokens:
    return Tokens()


def _tokens(settings: Mapping[str, str]) -> Tokens | None:
    url = settings.get("TAXI_TOKEN_URL", "")
    return _tokens_of(url, settings.get("TAXI_CLIENT_ID", "")) if url else None


@cache
def _pool() -> Any:
    """The connections to all addresses, for the life of the process. What is idle is closed by the next call."""
    from steps.taxi_api.transport import DeadlineTransport

    transport = DeadlineTransport()
    atexit.register(transport.close)
    return transport


def _read(response: Any, call: str) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MAX_BODY:
            raise StepError("Taxi.BadResponse", f"{call}: the answer is longer than {MAX_BODY} bytes")
        parts.append(part)
    return b"".join(parts)


def _problem(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _checked(call: Call, body: bytes) -> dict[str, Any]:
    parsed = _problem(body)
    if parsed is None:
        raise StepError("Taxi.BadResponse", f"{call}: the answer is not a JSON object")
    wrong = next(iter(_validator(call.reply).iter_errors(parsed)), None)
    if wrong is not None:
        place = "/".join(map(str, wrong.absolute_path)) or "the answer"
        raise StepError("Taxi.BadResponse", f"{call}: {place} breaks the contract ({wrong.validator})")
    return parsed


@cache
def _validator(reply: str) -> JsonSchema:
    schemas = json.loads(Path(__file__).with_name("replies.json").read_text(encoding="utf-8"))
    return JsonSchema({"$defs": schemas["$defs"], **schemas[reply]})
