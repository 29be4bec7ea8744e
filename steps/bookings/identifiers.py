"""The identifiers of a booking. All are derived, none is drawn: the same request makes the same ones."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PROVABLE = re.compile(r"(mref_[0-9a-f]{24})\.([0-9a-f]{16})")
BOOKING_ID = re.compile(r"bkg_[0-7][0-9A-HJKMNP-TV-Z]{25}")


def booking_id(name: str, key: str, moment: datetime) -> str:
    """`name` when it is a booking id, else `bkg_` and a ULID: 48 bits of milliseconds, 80 bits derived from `key`."""
    if BOOKING_ID.fullmatch(name):
        return name
    digest = hashlib.sha256(f"booking-id\x1f{name}\x1f{key}".encode()).digest()
    number = (int(moment.timestamp() * 1000) << 80) | int.from_bytes(digest[:10], "big")
    return "bkg_" + base32(number, 26)


def reference(of: str, attempt: int = 0) -> str:
    """Six characters for people; `attempt` gives the next candidate when one is taken by an open booking."""
    digest = hashlib.sha256(f"reference\x1f{of}\x1f{attempt}".encode()).digest()
    return base32(int.from_bytes(digest[:4], "big") & 0x3FFFFFFF, 6)


def member_ref(member_id: str, key: str) -> str:
    """The member's pseudonym: a keyed hash, so that nobody without the key can try all member ids.

    A pseudonym that `provable_ref` made is taken for what it is; no other text that looks like one is.
    """
    known = PROVABLE.fullmatch(member_id)
    if known and hmac.compare_digest(known[2], _proof(known[1], key)):
        return known[1]
    digest = hmac.digest(key.encode(), member_id.encode(), "sha256")
    return "mref_" + digest[:12].hex()


def provable_ref(member_id: str, key: str) -> str:
    """The member's pseudonym with a proof that it was made under `key`: it stands for the member's id wherever that is
    asked for, and cannot be made up by somebody who signs in under the name of a pseudonym."""
    ref = member_ref(member_id, key)
    return f"{ref}.{_proof(ref, key)}"


def _proof(ref: str, key: str) -> str:
    return hmac.digest(key.encode(), b"proof\x1f" + ref.encode(), "sha256")[:8].hex()


def client_reference(of: str, generation: int) -> str:
    """What the supplier sees as our reference of the ride."""
    return f"{of}-r{generation}"


def create_key(of: str, generation: int) -> str:
    """The idempotency key of creating the ride: the same for all repeats of that generation."""
    return f"{of}:create:{generation}"


def base32(number: int, length: int) -> str:
    """A number in Crockford's base 32, with so many characters."""
    return "".join(CROCKFORD[(number >> 5 * place) & 31] for place in reversed(range(length)))
