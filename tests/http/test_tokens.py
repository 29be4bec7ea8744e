"""Who may: tokens as an attacker would send them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from engine.errors import EngineError
from engine.service.http import Response
from engine.service.http.tokens import (
    APART_SECONDS,
    KEPT_SECONDS,
    JwtVerifier,
    Keys,
    Unreachable,
    configured,
    fetch_json,
)
from tests.http.conftest import ANA, BEN, Front, wish
from tests.http.issuer import AUDIENCE, Issuer

Make = Callable[..., Front]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def guarded(front: Make, issuer: Issuer) -> Front:
    """A service that wants tokens of the issuer."""
    verifier = configured({"JWT_ISSUER": issuer.url, "JWT_AUDIENCE": AUDIENCE})
    return front(options={"verifier": verifier})


def listed(service: Front, token: str | None, **headers: str) -> Response:
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return service.ask("GET", "/v1/bookings", member=None, **headers)


def unsigned(issuer: Issuer) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, jwt.decode(issuer.token(), options={"verify_signature": False})]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def with_the_public_key_as_secret(issuer: Issuer) -> str:
    pem = (
        issuer.keys["k1"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256", "kid": "k1"}, claims)
    )
    import hmac  # PyJWT itself refuses to make such a token

    mac = base64.urlsafe_b64encode(hmac.digest(pem, f"{head}.{body}".encode(), "sha256")).decode().rstrip("=")
    return f"{head}.{body}.{mac}"


def changed(issuer: Issuer) -> str:
    head, body, signature = issuer.token(sub=BEN).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": ANA}).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


def test_a_good_token_is_the_member_and_nobody_else(guarded: Front, issuer: Issuer) -> None:
    ana, ben = f"Bearer {issuer.token()}", f"bearer {issuer.token(sub=BEN)}"
    made = guarded.ask(
        "POST", "/v1/bookings", wish(), member=None, authorization=ana, idempotency_key="a-key-of-a-member-1"
    )
    assert made.status == 201, made.body
    assert guarded.ask("GET", made.headers["Location"], member=None, authorization=ana).status == 200
    assert guarded.ask("GET", made.headers["Location"], member=None, authorization=ben).status == 404


FORGED: Mapping[str, Callable[[Issuer], str | None]] = {
    "none at all": lambda issuer: None,
    "empty": lambda issuer: "",
    "not signed": unsigned,
    "signed with the public key": with_the_public_key_as_secret,
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 31),
    "not yet good": lambda issuer: issuer.token(nbf=int(time.time()) + 120),
    "of another issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "for another audience": lambda issuer: issuer.token(aud="payments"),
    "without an end": lambda issuer: issuer.token(exp=None),
    "without a member": lambda issuer: issuer.token(sub=None),
    "of an empty member": lambda issuer: issuer.token(sub=""),
    "of a member with a line break": lambda issuer: issuer.token(sub="a\r\nSet-Cookie: b"),
    "of a member that is too long": lambda issuer: issuer.token(sub="x" * 65),
    "signed by a stranger": lambda issuer: issuer.token(key=rsa.generate_private_key(65537, 2048)),
    "signed by a stranger with a curve": lambda issuer: issuer.token(
        key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"
    ),
    "with an unknown key": lambda issuer: issuer.token(key=issuer.keys["k1"], kid="../../k1"),
    "changed": changed,
    "cut": lambda issuer: issuer.token()[:-3],
    "rubbish": lambda issuer: "a.b.c",
    "endless": lambda issuer: "x" * 9000,
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_token_is_refused_without_a_word_on_why(guarded: Front, issuer: Issuer, kind: str) -> None:
    answer = listed(guarded, FORGED[kind](issuer))
    assert (answer.status, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "detail" not in answer.json()


def test_a_clock_that_is_a_little_off_is_no_matter(guarded: Front, issuer: Issuer) -> None:
    assert listed(guarded, issuer.token(exp=int(time.time()) - 10)).status == 200


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "bearer ", "Token x", "é"])
def test_another_kind_of_authorization_is_none(guarded: Front, header: str) -> None:
    assert guarded.ask("GET", "/v1/bookings", member=None, authorization=header).status == 401


def test_a_token_without_the_scope_is_forbidden_and_told_which(guarded: Front, issuer: Issuer) -> None:
    token = f"Bearer {issuer.token(scope='bookings:read')}"
    refused = guarded.ask(
        "POST", "/v1/bookings", wish(), member=None, authorization=token, idempotency_key="a-key-of-a-member-1"
    )
    assert (refused.status, refused.json()["code"]) == (403, "forbidden")
    assert 'scope="bookings:write"' in refused.headers["WWW-Authenticate"]
    erase = guarded.ask("POST", f"/v1/members/{ANA}/erasure", member=None, authorization=token)
    assert erase.status == 403


@pytest.mark.parametrize("scope", [5, True, {"bookings:read": 1}, [["bookings:read"]]])
def test_scopes_of_another_form_are_none(guarded: Front, issuer: Issuer, scope: Any) -> None:
    assert listed(guarded, issuer.token(scope=scope)).status == 403


def test_scopes_may_come_as_a_list(guarded: Front, issuer: Issuer) -> None:
    assert listed(guarded, issuer.token(scope=None, scp=["bookings:read"])).status == 200


def test_keys_are_exchanged_without_anybody_noticing(guarded: Front, issuer: Issuer) -> None:
    assert listed(guarded, issuer.token()).status == 200
    issuer.keys["k2"] = rsa.generate_private_key(65537, 2048)
    verifier = configured({"JWT_ISSUER": issuer.url, "JWT_AUDIENCE": AUDIENCE})
    assert isinstance(verifier, JwtVerifier)
    assert verifier.claims(issuer.token(kid="k2"))["sub"] == ANA
    assert verifier.claims(issuer.token(kid="k1"))["sub"] == ANA


def test_unknown_keys_cannot_make_us_ask_the_issuer_without_end() -> None:
    moment, asked = [0.0], []
    key = rsa.generate_private_key(65537, 2048).public_key()
    one = {**jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "k1", "use": "sig"}

    def fetch(url: str) -> Any:
        asked.append(url)
        if len(asked) == 3:
            raise OSError("away")
        return {"keys": [one, {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}]}

    keys = Keys("https://issuer.example", "https://issuer.example/keys", fetch, lambda: moment[0])
    assert keys.find("k1") is not None
    assert keys.find("shared") is None
    for _ in range(50):
        assert keys.find("unknown") is None
    assert len(asked) == 1
    moment[0] += APART_SECONDS + 1
    assert keys.find("unknown") is None
    assert len(asked) == 2
    moment[0] += KEPT_SECONDS + 1
    assert keys.find("k1") is not None, "the issuer is away, and the known keys go on being good"
    assert len(asked) == 3


def test_without_keys_nobody_is_let_in_and_nobody_is_called_a_forger(front: Make) -> None:
    def fetch(url: str) -> Any:
        raise OSError("away")

    keys = Keys("https://issuer.example", "https://issuer.example/keys", fetch)
    with pytest.raises(Unreachable):
        keys.find("k1")
    service = front(options={"verifier": JwtVerifier("https://issuer.example", AUDIENCE, keys)})
    key = rsa.generate_private_key(65537, 2048)
    token = jwt.encode({"sub": ANA, "exp": int(time.time()) + 60}, key, algorithm="RS256", headers={"kid": "k1"})
    assert listed(service, token).status == 503


@pytest.mark.parametrize(
    "settings",
    [
        {"JWT_ISSUER": "https://issuer.example"},
        {"JWT_ISSUER": "http://issuer.example", "JWT_AUDIENCE": "x"},
        {"JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "x", "JWT_JWKS_URL": "http://issuer.example/keys"},
    ],
)
def test_a_configuration_that_would_let_anybody_in_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(EngineError):
        configured(settings)


def test_without_an_issuer_nobody_is_somebody_unless_it_is_a_demonstration(front: Make) -> None:
    assert front().ask("GET", "/v1/bookings", member=None).status == 401
    shown = front(options={"demo": True})
    made = shown.ask("POST", "/v1/bookings", wish(), member=None, idempotency_key="a-key-of-a-member-1")
    assert made.status == 201


def test_a_page_whose_name_was_led_here_does_not_act_as_the_demo_caller(front: Make) -> None:
    service = front(options={"demo": True})
    here = ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "app.localhost", "LOCALHOST")
    elsewhere = ("evil.example:8080", "localhost.evil.example", "10.0.0.1", "[::", "127.0.0.1.nip.io")
    for host in (*here, *elsewhere):
        assert service.ask("GET", "/v1/bookings", member=None, host=host).status == (200 if host in here else 403), host
    assert service.ask("GET", "/healthz", member=None, host=elsewhere[0]).status == 200


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(front: Make) -> None:
    service = front()
    service.service.routes.find("GET", "/v1/bookings")[0].rate = "3/minute"
    answers = [service.ask("GET", "/v1/bookings") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert service.ask("GET", "/v1/bookings", member=BEN).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 5000,
        b'{"notes": "\\ud800"}',
        b'{"notes": "a\\u0000b"}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"",
        b"null",
        b'"\xed\xa0\x80"',
    ],
)
def test_a_hostile_body_is_a_problem_and_writes_nothing(front: Make, body: bytes) -> None:
    service = front()
    refused = service.ask(
        "POST", "/v1/bookings", body, idempotency_key="a-key-of-a-member-1", content_type="application/json"
    )
    assert (refused.status, refused.json()["code"]) == (400, "validation_failed")
    with service.engine.host.store.aside(reading=True) as db:
        counts = [db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in ("bookings", "idempotency_keys")]
    assert counts == [0, 0]


def test_bodies_have_a_limit_and_a_type(front: Make) -> None:
    service = front()
    large = service.book(wish(notes="x" * 40_000))
    assert (large.status, large.json()["code"]) == (413, "payload_too_large")
    for media in ("text/plain", "application/xml", "application/json; charset=utf-16", ""):
        assert service.book(wish(), content_type=media).status == 415
    assert service.book(wish(), content_type="application/json; charset=UTF-8").status == 201


def test_nothing_of_a_request_can_write_a_line_of_the_response(front: Make) -> None:
    service = front()
    answer = service.ask("GET", "/v1/nothing", x_request_id="abcdefgh\r\nSet-Cookie: a=b")
    assert all("\r" not in value and "\n" not in value for value in answer.headers.values())
    assert answer.headers["X-Request-Id"].startswith("req_")
    hostile = service.ask("GET", "/v1/bookings/\u202e\u0000%0d%0a'\"><script>")
    assert hostile.status == 400
    assert "<script>" not in hostile.body.decode()  # type: ignore[union-attr]


def test_an_issuer_that_takes_long_holds_up_nobody_whose_key_is_known(issuer: Issuer) -> None:
    moment, asked, answers = [0.0], threading.Event(), threading.Event()
    answers.set()

    def fetch(url: str) -> Mapping[str, Any]:
        asked.set()
        assert answers.wait(10)
        return fetch_json(url)

    keys = Keys(issuer.url, None, fetch, lambda: moment[0])
    known = keys.find("k1")
    answers.clear()
    asked.clear()
    moment[0] = KEPT_SECONDS + 1
    with ThreadPoolExecutor(2) as threads:
        try:
            first = threads.submit(keys.find, "k1")
            assert asked.wait(10)
            assert threads.submit(keys.find, "k1").result(5) is known
        finally:
            answers.set()
        assert first.result(10) is not None
