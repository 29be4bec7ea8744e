"""The step that asks the rules. The rule file says who may book; this step brings the facts and keeps the record."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from engine import RuleSet, StepContext, StepError, load_rules, step, telemetry
from steps.bookings.amending import requested
from steps.bookings.moments import later, stamp
from steps.bookings.repository import repository
from steps.bookings.settings import place
from steps.bookings.shapes import STORE_ERRORS, about_a_booking

RULES_FILE = "flows/rules/booking.yaml"
KEEP = (("airport", "timezone", "airport_timezone"), ("area", "name", "dropoff_area"))
"""What the booking remembers of the context it was judged in: object, field, name in the booking."""


UNREADABLE = {"Rules.Unavailable": "the rule file cannot be read, is not valid, or does not have the phase"}


@step(
    "rules.evaluate",
    input=about_a_booking(
        phase={"type": "string", "maxLength": 40},
        context={"type": "object"},
        rules={"type": ["string", "null"], "pattern": "^[a-z_]{1,40}$"},
        amended={"type": ["boolean", "null"]},
        quote={"type": ["object", "null"]},
    ),
    output={"type": "object", "required": ["passed", "failed", "skipped", "facts"]},
    errors={
        **STORE_ERRORS,
        "Rules.Rejected": "at least one rule failed; the cause names them",
        **UNREADABLE,
    },
    transactional=True,
)
def evaluate(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Evaluate one phase of the rules and store the decision record with the booking. All rules of a phase are told.

    `rules` names another file beside the one of the booking: `cancel` is cancel.yaml. `amended`: they look at the
    request as the member wants to have it changed.
    """
    rules = rules_of(ctx, payload.get("rules"))
    if payload["phase"] not in rules.rules_of:
        raise StepError("Rules.Unavailable", f"the rules have no phase {payload['phase']}")
    with repository(ctx) as repo:
        booking, personal = repo.load_whole(payload["booking_id"])
        amended = bool(payload.get("amended"))
        request = requested(booking, personal, amended=amended)
        context = {**payload["context"], "request": request, "quote": payload.get("quote")}
        decision = rules.evaluate(payload["phase"], context, stamp(ctx.now()))
        record = f"amended_{decision.phase}" if amended else decision.phase
        doc = {**booking.doc, "decisions": {**booking.doc.get("decisions", {}), record: decision.to_json()}}
        for thing, field, name in KEEP:
            if thing in context:
                doc[name] = (context[thing] or {}).get(field)
        block = decision.params.get("trip_block_min", rules.params.get("trip_block_min"))
        fixed = amended or not isinstance(block, int | float)
        end = booking.window_end if fixed else later(booking.pickup_time, 60 * block)
        repo.update(booking, doc=doc, window_end=end)
    for rule in decision.raised:
        telemetry.count("rules_raised", rule=rule)
        ctx.log("a rule raised an error, and counts as failed", warning=True, booking_id=booking.booking_id, rule=rule)
    outcomes = [result.outcome for result in decision.results]
    counts = {outcome: outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")}
    if not decision.passed:
        raise StepError(
            "Rules.Rejected", "; ".join(f"{e.rule_id} {e.code}: {e.user_message}" for e in decision.errors), keep=True
        )
    ctx.note(f"{counts['passed']} rules passed, {counts['skipped']} skipped")
    return {**counts, "facts": dict(decision.facts)}


def rules_of(ctx: StepContext, name: str | None = None) -> RuleSet:
    """The rules of the booking, or of the file `name` beside it; read again when the file has changed. When that fails,
    those that this process has read before stay in force.

    Raises StepError Rules.Unavailable when there are none.
    """
    file = place(ctx.settings, "RULES_FILE", RULES_FILE)
    if name:
        file = file.with_name(f"{name}.yaml")
    try:
        found = _loaded(file, file.stat().st_mtime_ns)
    except OSError as problem:
        found = str(problem)
    if isinstance(found, str):
        return _kept(file, found, ctx)
    _in_force[file] = found
    return found


_in_force: dict[Path, RuleSet] = {}
_refused: dict[Path, str] = {}
"""By file: the rules that were loaded last, and what the log has said of a file that could not be."""


def _kept(file: Path, problem: str, ctx: StepContext) -> RuleSet:
    """The rules that were loaded before. A mistake in an edit must not stop what has worked until then."""
    if file not in _in_force:
        raise StepError("Rules.Unavailable", f"{file.name}: {problem}")
    telemetry.count("rules_refused", file=file.name)
    if _refused.get(file) != problem:
        _refused[file] = problem
        ctx.log(
            "rules cannot be loaded: those before them stay in force", warning=True, file=file.name, problem=problem
        )
    return _in_force[file]


@lru_cache(maxsize=8)
def _loaded(file: Path, changed: int) -> RuleSet | str:
    """The rules, or what is wrong with the file."""
    try:
        return load_rules(file)
    except Exception as problem:
        return str(problem)
