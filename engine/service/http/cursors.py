"""Places in a list, handed out as opaque texts that only this service can have made."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from typing import Final
from urllib.parse import quote, urlencode

from engine.service.http.messages import Request
from engine.service.http.problems import Refused
from engine.values import JSON, canonical

MAC_BYTES: Final = 16


def link(request: Request, cursor: str) -> str:
    """The `Link` header of a page that has a next one."""
    pairs = [(name, value) for name, value in request.query if name != "cursor"]
    return f'<{quote(request.path)}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'


class Cursors:
    """Signs and reads cursors with a secret. A cursor is good for one list of one caller (`of`)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, place: JSON, of: str) -> str:
        """The place as base64url of its JSON and an HMAC."""
        text = canonical(place).encode()
        return base64.urlsafe_b64encode(self._mac(text, of) + text).decode().rstrip("=")

    def read(self, cursor: str, of: str) -> JSON:
        """The place. Raises Refused for anything that `sign` did not make for this very list."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refused() from None
        mac, text = raw[:MAC_BYTES], raw[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(text, of)) or self.sign(json.loads(text), of) != cursor:
            raise _refused()
        return json.loads(text)

    def _mac(self, text: bytes, of: str) -> bytes:
        return hmac.digest(self._secret, of.encode() + b"\x1f" + text, "sha256")[:MAC_BYTES]


def _refused() -> Refused:
    return Refused(
        "validation_failed",
        "this cursor was not given out for this list; begin again without one",
        errors=[{"code": "invalid", "pointer": "/cursor", "message": "was not given out for this list"}],
    )
