"""Whether a webhook was sent by whom it says: a function of the raw body, the headers, the secrets and the time.

All refusals look alike from outside: whoever forges a message learns nothing from the answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LONGEST_ID = 200


class BadSignature(Exception):
    """The message is not signed by anybody we know, or its time is not now. The text is for the log alone."""


def verify(
    profile: Mapping[str, Any], secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float
) -> str:
    """The id of a message that is rightly signed with one of the secrets. Raises BadSignature.

    `profile`: an entry of profiles.yaml. `headers`: names in lower case. `now`: seconds since 1970. Two secrets are
    active while one is exchanged for the other; none refuses everything.
    """
    given = headers.get(profile["signature"], "")
    moment = _moment(profile, headers, now)
    name = headers.get(profile["id"], "") if "id" in profile else hashlib.sha256(body).hexdigest()
    if not given or not 1 <= len(name) <= LONGEST_ID or not name.isprintable():
        raise BadSignature("a header is missing")
    signed = _signed(profile, name, moment, body)
    found = False
    for secret in secrets:
        wanted = hmac.digest(_key(profile, secret), signed, profile["algorithm"])
        # Every secret and every signature is compared, whatever the first ones came to.
        for signature in _signatures(profile, given):
            found |= hmac.compare_digest(signature, wanted)
    if not found:
        raise BadSignature("no signature fits")
    return name


def is_secret(profile: Mapping[str, Any], text: str) -> bool:
    """Whether a secret is written as the profile says."""
    try:
        return bool(_key(profile, text))
    except ValueError:
        return False


def sign(profile: Mapping[str, Any], secret: str, name: str, moment: int, body: bytes) -> str:
    """The value of the signature header, as the sender makes it."""
    digest = hmac.digest(_key(profile, secret), _signed(profile, name, str(moment), body), profile["algorithm"])
    text = digest.hex() if profile["encoding"] == "hex" else base64.b64encode(digest).decode()
    return f"{profile.get('prefix', '')}{text}"


def _moment(profile: Mapping[str, Any], headers: Mapping[str, str], now: float) -> str:
    if "timestamp" not in profile:
        return ""
    text = headers.get(profile["timestamp"], "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise BadSignature("the timestamp is no number")
    if abs(int(text) - now) > profile["tolerance_s"]:
        raise BadSignature("the timestamp is too far from now")
    return text


def _signed(profile: Mapping[str, Any], name: str, moment: str, body: bytes) -> bytes:
    template: str = profile["signed"]
    before, _, after = template.format(id=name, timestamp=moment, body="\0").partition("\0")
    return before.encode() + body + after.encode()


def _signatures(profile: Mapping[str, Any], given: str) -> Iterator[bytes]:
    """The signatures in the header; what is none, or of another version, is left out."""
    prefix = profile.get("prefix", "")
    for part in given.split(" ") if prefix else [given]:
        if not part.startswith(prefix):
            continue
        text = part.removeprefix(prefix)
        try:
            yield bytes.fromhex(text) if profile["encoding"] == "hex" else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            continue


def _key(profile: Mapping[str, Any], secret: str) -> bytes:
    """Raises ValueError when the secret is not written as the profile says."""
    how = profile["secret"]
    text = secret.removeprefix(how.get("prefix", ""))
    return base64.b64decode(text, validate=True) if how["encoding"] == "base64" else text.encode()


@cache
def profiles() -> dict[str, dict[str, Any]]:
    """The profiles of profiles.yaml by name."""
    import yaml

    text = Path(__file__).with_name("profiles.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return found
