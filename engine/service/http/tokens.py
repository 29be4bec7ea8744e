"""Bearer tokens: JWTs of one issuer, for one audience, signed with one of the issuer's public keys.

Settings: JWT_ISSUER and JWT_AUDIENCE; JWT_JWKS_URL, where the keys are, unless the issuer's
`/.well-known/openid-configuration` says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from engine.errors import EngineError
from engine.runtime.context import logger
from engine.service.http.callers import unauthorized
from engine.service.http.problems import Refused

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones alone: with HS256 whoever has the public key could sign, with none anybody could."""
LEEWAY_SECONDS: Final = 30
KEPT_SECONDS: Final = 3600.0
"""How long keys are used without asking for them again."""
APART_SECONDS: Final = 30.0
"""Tokens with unknown keys cannot make us ask the issuer more often than that."""
FETCH_SECONDS: Final = 5.0
LONGEST_TOKEN: Final = 8192
MOST_KEYS: Final = 100

Fetch = Callable[[str], Mapping[str, Any]]


class Unreachable(Exception):
    """The issuer's keys cannot be had."""


class Keys:
    """The issuer's public keys by id: kept for an hour, asked for again when a token names one that is new."""

    def __init__(self, issuer: str, url: str | None, fetch: Fetch, now: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._url = url
        self._fetch = fetch
        self._now = now
        self._keys: dict[str | None, Any] = {}
        self._fetched = self._tried = float("-inf")
        self._guard = threading.Lock()

    def find(self, key_id: str | None) -> Any:
        """The key of that id; None when the issuer has none. Raises Unreachable when no keys are known at all."""
        known = self._of(key_id)
        if known is None or self._now() > self._fetched + KEPT_SECONDS:
            # An issuer that takes long holds up nobody whose key is known, however old that is.
            if self._guard.acquire(blocking=known is None):
                try:
                    if self._is_due(key_id):
                        self._refresh()
                finally:
                    self._guard.release()
            known = self._of(key_id)
        if not self._keys:
            raise Unreachable
        return known

    def _is_due(self, key_id: str | None) -> bool:
        """Whether the issuer is to be asked: another thread may just have done so."""
        now = self._now()
        old = now > self._fetched + KEPT_SECONDS
        return (old or self._of(key_id) is None) and now > self._tried + APART_SECONDS

    def _of(self, key_id: str | None) -> Any:
        keys = self._keys  # replaced as a whole by the thread that asks the issuer
        if key_id is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(key_id)

    def _refresh(self) -> None:
        self._tried = self._now()
        try:
            if self._url is None:
                self._url = str(self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")["jwks_uri"])
            found = jwt.PyJWKSet.from_dict(dict(self._fetch(self._url)))
            usable = [
                key for key in found.keys[:MOST_KEYS] if key.public_key_use in (None, "sig") and key.key_type != "oct"
            ]
            self._keys = {key.key_id: key for key in usable}
            self._fetched = self._now()
        except (OSError, KeyError, TypeError, ValueError, jwt.PyJWTError) as problem:
            # The keys that are known go on being good: the issuer may be away for a while.
            logger.warning("the keys of the issuer cannot be fetched: %s", type(problem).__name__)


class JwtVerifier:
    """Checks bearer tokens. `keys`: where the issuer's keys come from."""

    def __init__(self, issuer: str, audience: str, keys: Keys) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that is good here. Raises Refused: unauthorized, or service_unavailable while the
        issuer's keys cannot be had."""
        if len(token) > LONGEST_TOKEN:
            raise unauthorized("invalid_token")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise unauthorized("invalid_token")
            key_id = header.get("kid")
            key = self._keys.find(key_id if isinstance(key_id, str) else None)
            if key is None:
                raise unauthorized("invalid_token")
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except Unreachable:
            raise Refused("service_unavailable") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise unauthorized("invalid_token") from None
        return claims


def configured(settings: Mapping[str, str]) -> JwtVerifier | None:
    """The verifier of a deployment's settings, or None when no issuer is set. Raises EngineError."""
    issuer, audience = settings.get("JWT_ISSUER"), settings.get("JWT_AUDIENCE")
    if not issuer:
        return None
    if not audience:
        raise EngineError("JWT_ISSUER is set and JWT_AUDIENCE is not: say for whom tokens have to be issued")
    url = settings.get("JWT_JWKS_URL")
    for place in filter(None, (issuer, url)):
        _check_place(place)
    return JwtVerifier(issuer, audience, Keys(issuer, url, fetch_json))


def fetch_json(url: str) -> Mapping[str, Any]:
    """A small JSON document. Raises OSError, ValueError."""
    import httpx

    try:
        answer = httpx.get(url, timeout=FETCH_SECONDS, follow_redirects=False)
        answer.raise_for_status()
    except httpx.HTTPError as problem:
        raise OSError(str(problem)) from problem
    found: Mapping[str, Any] = answer.json()
    return found


def _check_place(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise EngineError(f"{url} must begin with https://: keys that come another way may be anybody's")
