"""Who asks: the claims of a verified token, and what they allow."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from engine.service.http.messages import Request
from engine.service.http.operations import Operation
from engine.service.http.problems import Refused

LONGEST_SUBJECT: Final = 64
CHALLENGE: Final = 'Bearer realm="api"'


class Caller(NamedTuple):
    """Whoever asks: the `sub` of the token, and its scopes. Nobody has no id."""

    id: str | None
    scopes: frozenset[str]


NOBODY: Final = Caller(None, frozenset())


class Verifier(Protocol):
    """Checks a bearer token."""

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that is good here. Raises Refused (unauthorized)."""


class Callers:
    """Tells who asks. `verifier` checks bearer tokens; without one everybody is `demo`, where that is given."""

    def __init__(self, verifier: Verifier | None, demo: Mapping[str, Any] | None) -> None:
        self._verifier = verifier
        self._demo = demo

    def of(self, request: Request, operation: Operation) -> Caller:
        """The caller, allowed to use the operation. Raises Refused: unauthorized, forbidden."""
        if operation.scopes is None:
            return NOBODY
        caller = _caller(self._claims(request))
        if not any(wanted <= caller.scopes for wanted in operation.scopes):
            asked = " ".join(sorted(operation.scopes[0]))
            challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{asked}"'
            raise Refused("forbidden", headers={"WWW-Authenticate": challenge})
        return caller

    def _claims(self, request: Request) -> Mapping[str, Any]:
        if request.claims is not None:
            return request.claims
        if self._verifier is None:
            if self._demo is None:
                raise unauthorized()
            if not is_local(request.header("host")):
                raise Refused(
                    "forbidden", "without tokens this service is asked by the name of this machine: localhost"
                )
            return self._demo
        kind, _, token = (request.header("authorization") or "").strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise unauthorized()
        return self._verifier.claims(token.strip())


def is_local(host: str | None) -> bool:
    """Whether a Host header, where there is one, names this machine. A page of elsewhere whose name was made to lead
    here (DNS rebinding) has another one, and would otherwise ask as the demo caller."""
    if not host:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def unauthorized(error: str | None = None) -> Refused:
    """401. Nothing says why a token is not good: whoever forges one learns nothing."""
    return Refused("unauthorized", headers={"WWW-Authenticate": CHALLENGE + (f', error="{error}"' if error else "")})


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise unauthorized("invalid_token")
    given = claims.get("scope", claims.get("scp", ""))
    # API Gateway hands lists on as the text "[a b]".
    scopes = given.strip("[]").replace(",", " ").split() if isinstance(given, str) else given
    listed = scopes if isinstance(scopes, list | tuple) else ()
    return Caller(subject, frozenset(scope for scope in listed if isinstance(scope, str)))
