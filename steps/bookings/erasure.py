"""Forgetting: a member's personal data on request, and everybody's when its time is over.

Destroying a booking's data key makes unreadable what was sealed with it, wherever it lies: in tables, in the engine's
history, in copies of either that were made without the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from engine import StepError
from steps.bookings.moments import parse, stamp
from steps.bookings.repository import Repository
from steps.bookings.settings import number
from steps.bookings.sql import Statement, statements

BOOKINGS_PER_EVENT = 500
"""An event stays well below 32 KiB."""


def erase_member(repo: Repository, member_ref: str, request_id: str | None) -> list[str]:
    """Forget the member's personal data and tell all who hold copies; the bookings of which there was any.

    Raises StepError Member.Unknown, Member.RideOpen.
    """
    sql = statements("personal.sql")
    bookings = sql["bookings_of_member"].rows(repo.db, member_ref=member_ref)
    if not bookings:
        raise StepError("Member.Unknown", "there is no booking of that member")
    if any(booking["terminal_at"] is None for booking in bookings):
        raise StepError("Member.RideOpen", "a ride of the member is open: it must end, or be cancelled, first")
    erased = [booking["booking_id"] for booking in bookings if erase_booking(repo, booking["booking_id"])]
    for first in range(0, len(erased), BOOKINGS_PER_EVENT):
        repo.emit_member_erased(member_ref, erased[first : first + BOOKINGS_PER_EVENT], request_id)
    return erased


def erase_booking(repo: Repository, booking_id: str) -> bool:
    """Forget one booking's personal data: key, ciphertext, stored replies. Whether there was any."""
    sql = statements("personal.sql")
    repo.vault.destroy(booking_id)
    sql["erase_replies"].run(repo.db, booking_id=booking_id)
    return sql["erase_personal"].run(repo.db, booking_id=booking_id, now=repo.now) > 0


def prune(repo: Repository, settings: Mapping[str, str], limit: int) -> dict[str, int]:
    """Delete what has been kept for long enough, at most `limit` rows of each kind; how many of each went.

    How long each kind is kept is data, `retention.yaml`; the setting `RETENTION_<KIND>_DAYS` overrides it.
    """
    gone: dict[str, int] = {}
    for kind, days in retention(settings).items():
        before = stamp(parse(repo.now) - timedelta(days=days))
        gone[kind] = sum(_delete(repo, kind, before, limit))
    gone["rewrapped"] = repo.vault.rewrap(limit)
    return gone


def retention(settings: Mapping[str, str]) -> dict[str, float]:
    """Days that each kind of row is kept."""
    return {
        kind: number(settings, f"RETENTION_{kind.upper()}_DAYS", days) for kind, days in _table()["keep_days"].items()
    }


def _delete(repo: Repository, kind: str, before: str, limit: int) -> Iterator[int]:
    if kind == "personal":
        for row in statements("retention.sql")["expired_personal"].rows(repo.db, before=before, limit=limit):
            yield int(erase_booking(repo, row["booking_id"]))
        return
    for statement in _statements(kind):
        yield statement.run(repo.db, before=before, limit=limit)


def _statements(kind: str) -> Sequence[Statement]:
    """What deletes a kind, in order: what refers to a row before the row itself."""
    return [found for name, found in statements("retention.sql").items() if name.split("__")[0] == kind]


@cache
def _table() -> dict[str, Any]:
    import yaml

    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("retention.yaml").read_text(encoding="utf-8"))
    return table
