"""Steps of the Idempotency-Key: what was asked for under a key, and what was answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine import StepContext, step
from steps.bookings.identifiers import BOOKING_ID
from steps.bookings.keys import Sealed
from steps.bookings.moments import later, parse, stamp
from steps.bookings.owners import member_ref
from steps.bookings.personal import Vault
from steps.bookings.repository import Repository, repository
from steps.bookings.shapes import STORE_ERRORS
from steps.bookings.sql import statements

FILE = "idempotency.sql"
REPLY = "reply"
"""What a stored answer is sealed as, with the key of its booking."""
TEXT = {"type": "string"}
KEY = {"caller": TEXT, "method": TEXT, "route": TEXT, "key": {"type": "string", "maxLength": 128}}
ERRORS = {"Db.Unavailable": STORE_ERRORS["Db.Unavailable"]}


def _about(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*KEY, *properties], "properties": {**KEY, **properties}}


@step(
    "idempotency.claim",
    input=_about(
        fingerprint=TEXT,
        subject=TEXT,
        now_ms={"type": "integer"},
        lock_s={"type": "integer"},
        keep_s={"type": "integer"},
    ),
    output={"type": "object", "required": ["state"]},
    errors=ERRORS,
)
def claim(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Take a key: NEW, or RESUMED when whoever had it is gone; else RUNNING, DONE (with what was answered) or REUSED.

    `{caller, method, route, key, fingerprint, subject, now_ms, lock_s, keep_s}` -> `{state, created_ms, subject,
    status, body}`.
    """
    sql, mine = statements(FILE), _mine(payload, ctx)
    now = stamp(datetime.fromtimestamp(payload["now_ms"] / 1000, UTC))
    locked_until = later(now, payload["lock_s"])
    with repository(ctx) as repo:
        wanted = {
            **mine,
            "fingerprint": payload["fingerprint"],
            "booking_id": payload["subject"],
            "locked_until": locked_until,
            "now": now,
            "expires_at": later(now, payload["keep_s"]),
        }
        fresh = sql["insert_key"].row(repo.db, **wanted)
        if fresh is None and sql["drop_expired_key"].run(repo.db, **mine, now=now):
            fresh = sql["insert_key"].row(repo.db, **wanted)
        row = fresh or sql["key"].row(repo.db, **mine) or {}
        state = "NEW" if fresh else _state(row, payload["fingerprint"], now)
        if state == "RESUMED" and not sql["take_over"].run(
            repo.db, **mine, locked_until=locked_until, seen=row["locked_until"]
        ):
            state = "RUNNING"
        body = _opened(repo, row)
    created_ms = round(parse(row["created_at"]).timestamp() * 1000)
    return {
        "state": state,
        "created_ms": created_ms,
        "subject": row["booking_id"],
        "status": row["status_code"],
        "body": body,
    }


@step(
    "idempotency.finish",
    input=_about(subject=TEXT, status={"type": "integer"}, body={"type": ["string", "null"]}),
    output={"type": "object"},
    errors=ERRORS,
)
def finish(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Keep the answer of a key; without a body it will be rendered anew."""
    subject, body = payload["subject"], payload["body"]
    with repository(ctx) as repo:
        if body is not None and BOOKING_ID.fullmatch(subject):
            body = Vault(repo.db, repo.now, repo.settings).seal(subject, REPLY, body)
        statements(FILE)["finish_key"].run(
            repo.db,
            **_mine(payload, ctx),
            booking_id=subject,
            status_code=payload["status"],
            body=body,
        )
    return {}


@step("idempotency.release", input=_about(), output={"type": "object"}, errors=ERRORS)
def release(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Nothing came of the request: its key is free again."""
    with repository(ctx) as repo:
        statements(FILE)["release_key"].run(repo.db, **_mine(payload, ctx))
    return {}


def _mine(payload: dict[str, Any], ctx: StepContext) -> dict[str, str]:
    scope = f"{member_ref(payload['caller'], ctx)} {payload['method']} {payload['route']}"
    return {"scope": scope, "idem_key": payload["key"]}


def _state(row: dict[str, Any], fingerprint: str, now: str) -> str:
    if row["fingerprint"] != fingerprint:
        return "REUSED"
    if row["state"] == "DONE":
        return "DONE"
    return "RESUMED" if row["locked_until"] < now else "RUNNING"


def _opened(repo: Repository, row: dict[str, Any]) -> str | None:
    """The answer as it was kept; none once the booking's key has been destroyed."""
    body: str | None = row["body"]
    if body is None or not BOOKING_ID.fullmatch(row["booking_id"] or ""):
        return body
    try:
        return str(Vault(repo.db, repo.now, repo.settings).open(row["booking_id"], REPLY, body))
    except Sealed:
        return None
