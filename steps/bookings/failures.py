"""What a failed or rejected booking tells the member: failures.yaml turns error names into codes and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from steps.bookings.moments import parse

OFFERED = ("quote_id", "vehicle_class", "price_type", "expires_at")


def code_of(error: str, *, after_a_ride: bool, rules: list[str]) -> str:
    """The failure code of an ASL error name.

    `after_a_ride`: a ride may have existed. `rules`: codes of the rules that failed when the error is Rules.Rejected.
    """
    table = _table()
    if error == "Rules.Rejected":
        found = (table["rules_after_requote"].get(code) for code in rules)
        return next((code for code in found if code), str(table["default"]))
    if after_a_ride and error in table["errors_after_a_ride"]:
        return str(table["errors_after_a_ride"][error])
    return str(table["errors"].get(error, table["default"]))


def failure(code: str) -> dict[str, Any]:
    """`{code, retryable, user_message, suggested_action}`; an unknown code is an internal error."""
    codes = _table()["codes"]
    known = code if code in codes else _table()["default"]
    facts = codes[known]
    return {"code": known, **{key: facts[key] for key in ("retryable", "user_message", "suggested_action")}}


def rejection(refused: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The failure of a booking that rules refused; `refused` as `errors` of the decision record.

    One failed rule gives its own code; several give `booking_rejected`. All are listed in `errors`.
    """
    first = refused[0]
    stale = first["code"] in _table()["rules_after_requote"]
    code = first["code"] if len(refused) == 1 else "booking_rejected"
    known = _table()["codes"].get(code, {})
    return {
        "code": code,
        "retryable": stale or known.get("retryable", False),
        "user_message": first["user_message"],
        "suggested_action": "REQUOTE" if stale else known.get("suggested_action", "CHANGE_REQUEST"),
        "errors": [dict(rule) for rule in refused],
    }


def with_offer(told: Mapping[str, Any], quote: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """What the member is told, and with it the `quote` that was too dear, as long as it holds: agreed to, it can be
    booked. For one that was over, the one that it would be now. Only where the price stands in the way."""
    quote = (quote or {}).get("renewed", quote)
    if quote is None or told["suggested_action"] != "REQUOTE" or parse(quote["expires_at"]) <= now:
        return dict(told)
    price = {"amount_minor": quote["amount_minor"], "currency": quote["currency"]}
    return {**told, "quote": {**{key: quote[key] for key in OFFERED}, "price": price}}


def is_ours(code: str | None) -> bool:
    """Whether a code stands for what neither the member nor the taxi company has done: somebody should look."""
    return code == str(_table()["default"])


@cache
def _table() -> dict[str, Any]:
    import yaml

    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("failures.yaml").read_text(encoding="utf-8"))
    return table
