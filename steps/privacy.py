"""Personal data: inputs of executions are sealed before they are stored; members are forgotten."""

from __future__ import annotations

from typing import Any

from engine import Host, StepContext, on_start, step
from steps.bookings import erasure
from steps.bookings.moments import stamp
from steps.bookings.owners import member_ref
from steps.bookings.personal import PARTS, Vault, seal_input
from steps.bookings.repository import repository
from steps.bookings.shapes import STORE_ERRORS
from steps.webhooks.messages import known_fields

PRUNED_AT_ONCE = 500


@on_start
def seal(host: Host, name: str, input: Any) -> Any:
    """Seal the personal parts of a new execution's input: the engine keeps inputs as they are, for ever. Of a taxi
    company's message only what it is known to have goes in."""
    if not isinstance(input, dict):
        return input
    if "webhook_id" in input and "payload" in input:
        input = {**input, "payload": known_fields(input["payload"])}
    if not any(part in input for part in (*PARTS, "member_id")):
        return input
    with host.transaction() as db:
        return seal_input(Vault(db, stamp(host.now()), host.settings), name, input, host.settings)


@step(
    "member.erase",
    input={"type": "object", "required": ["member_id"], "properties": {"member_id": {"type": "string"}}},
    output={"type": "object", "required": ["member_ref", "erased"]},
    errors={
        "Db.Unavailable": STORE_ERRORS["Db.Unavailable"],
        "Member.Unknown": "there is no booking of that member",
        "Member.RideOpen": "a ride of the member is open: it must end, or be cancelled, first",
    },
    transactional=True,
)
def erase(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Forget a member: destroy the keys of the personal data, and tell all who hold copies (`member.erased`).

    The bookings stay, under the member's pseudonym, for the accounts. Asked again, it forgets what is new.
    """
    ref = member_ref(payload["member_id"], ctx)
    with repository(ctx) as repo:
        erased = erasure.erase_member(repo, ref, payload.get("request_id"))
    ctx.note(f"{len(erased)} bookings")
    return {"member_ref": ref, "erased": len(erased), "erased_at": stamp(ctx.now())}


@step(
    "retention.prune",
    output={"type": "object", "required": ["pruned"]},
    errors={"Db.Unavailable": STORE_ERRORS["Db.Unavailable"]},
    transactional=True,
)
def prune(payload: Any, ctx: StepContext) -> dict[str, Any]:
    """Delete what has been kept for long enough (`steps/bookings/retention.yaml`), a bounded part at a time.

    `more` says that there is more to delete. Data keys that are wrapped with an old key of the deployment are wrapped
    with the present one.
    """
    with repository(ctx) as repo:
        pruned = erasure.prune(repo, ctx.settings, PRUNED_AT_ONCE)
    ctx.note(", ".join(f"{count} {kind}" for kind, count in pruned.items() if count) or "nothing")
    return {"pruned": pruned, "more": any(count >= PRUNED_AT_ONCE for count in pruned.values())}
