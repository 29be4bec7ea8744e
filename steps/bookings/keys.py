"""The deployment's keys for personal data, and what is done with keys: AES-SIV (RFC 5297) and AES key wrap (RFC 3394).

AES-SIV needs no random numbers and gives the same ciphertext for the same text under the same key: a repeated start of
an execution looks the same. Each booking has a key of its own, so nothing else can be told from that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine import EngineError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

SETTING = "PERSONAL_DATA_KEYS"
DEMO = "demo"
WRAPPING_BYTES, DATA_BYTES = 32, 64
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class WrongKeys(EngineError):
    """PERSONAL_DATA_KEYS must list NAME:BASE64 with 32 bytes each, the present key first."""


class Sealed(Exception):
    """What was sealed cannot be opened: its key was destroyed, or it was changed."""


class Keyring:
    """The keys of the deployment: the first one wraps, all unwrap.

    `text`: `NAME:BASE64` separated by commas, 32 bytes each (`openssl rand -base64 32`). Empty, or the word `demo`: a
    demonstration key that is no secret. Raises WrongKeys.
    """

    def __init__(self, text: str | None) -> None:
        self.keys: dict[str, bytes] = {}
        listed = "" if text is None or text == DEMO else text
        for entry in filter(None, (part.strip() for part in listed.split(","))):
            name, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, altchars=b"-_" if {"-", "_"} & set(encoded) else None, validate=True)
            except binascii.Error:
                key = b""
            if not _NAME.fullmatch(name) or len(key) != WRAPPING_BYTES or name in self.keys:
                raise WrongKeys()
            self.keys[name] = key
        if not self.keys:
            self.keys[DEMO] = hashlib.sha256(b"the demonstration key of personal data").digest()
        self.present = next(iter(self.keys))

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Keyring:
        """The keys of a deployment's settings. Raises WrongKeys."""
        return cls(settings.get(SETTING))

    def wrap(self, key: bytes) -> str:
        """A data key as it is stored, encrypted with the present key."""
        from cryptography.hazmat.primitives.keywrap import aes_key_wrap

        return base64.b64encode(aes_key_wrap(self.keys[self.present], key)).decode()

    def unwrap(self, key_id: str, wrapped: str) -> bytes:
        """The data key again. Raises WrongKeys when the deployment has lost the key it was wrapped with."""
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

        if key_id not in self.keys:
            raise WrongKeys(f"{SETTING} has no key {key_id!r}, with which data of this store is encrypted")
        try:
            return aes_key_unwrap(self.keys[key_id], base64.b64decode(wrapped))
        except InvalidUnwrap:
            raise WrongKeys(f"the key {key_id!r} of {SETTING} is not the one this store was encrypted with") from None


def new_data_key() -> bytes:
    """A key for one booking."""
    return secrets.token_bytes(DATA_BYTES)


def encrypt(key: bytes, text: str, about: list[str]) -> str:
    """The text, readable only with `key` and for the same `about` (what it is, whose it is)."""
    return base64.b64encode(_cipher(key).encrypt(text.encode(), [part.encode() for part in about])).decode()


def decrypt(key: bytes, data: str, about: list[str]) -> str:
    """The text again. Raises Sealed when it is not what was encrypted."""
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(base64.b64decode(data), [part.encode() for part in about]).decode()
    except (InvalidTag, ValueError):
        raise Sealed("what was sealed has been changed") from None


def _cipher(key: bytes) -> AESSIV:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # loads OpenSSL

    return AESSIV(key)
