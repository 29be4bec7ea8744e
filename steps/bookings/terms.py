"""The terms of a ride: the taxi company's own, else the house's (flows/reference/cancellation.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine import JsonSchema, StepContext, StepError
from steps.bookings import reference
from steps.bookings.settings import place

FILE: Final = "cancellation"
NO_SHOW, ALWAYS = "NO_SHOW", "ALWAYS"
PERCENT: Final = {"type": "integer", "minimum": 0, "maximum": 100}
MINUTES: Final = {"type": "integer", "minimum": 0}
WAIT: Final = {
    "type": "object",
    "required": ["airport", "other"],
    "properties": {"airport": MINUTES, "other": MINUTES},
}
TERM: Final = JsonSchema(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "fee_pct"],
        "properties": {
            "kind": {"enum": ["TIME_BEFORE_PICKUP", "BEFORE_DRIVER_EN_ROUTE", ALWAYS, NO_SHOW]},
            "fee_pct": PERCENT,
            "minutes": MINUTES,
            "wait_min": WAIT,
        },
        "if": {"properties": {"kind": {"const": "TIME_BEFORE_PICKUP"}}},
        "then": {"required": ["minutes"]},
    }
)


def with_terms(quote: Mapping[str, Any], request: Mapping[str, Any], ctx: StepContext) -> dict[str, Any]:
    """The quote as `complete` makes it. Raises StepError Context.Unavailable."""
    try:
        return complete(quote, request, place(ctx.settings, "REFERENCE_DIR", reference.DIRECTORY))
    except reference.Missing as problem:
        ctx.log(f"the terms of rides cannot be had: {problem}", warning=True)
        raise StepError("Context.Unavailable", str(problem)) from problem


def complete(quote: Mapping[str, Any], request: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The quote with `cancellation`, `free_waiting_min` and `no_show_fee`: the house's where the offer has none.

    `cancellation`: `[{kind, minutes?, fee}]`, the first that applies counts. Raises reference.Missing.
    """
    house = _house(directory)
    terms = [
        {**{name: term[name] for name in ("kind", "minutes") if name in term}, "fee": _fee(quote, term["fee_pct"])}
        for term in house
        if term["kind"] != NO_SHOW
    ]
    found = {**quote, "cancellation": quote.get("cancellation") or terms}
    absent = next((term for term in house if term["kind"] == NO_SHOW), None)
    if absent is not None:
        found["no_show_fee"] = _fee(quote, absent["fee_pct"])
        where = "airport" if request["direction"] == "FROM_AIRPORT" else "other"
        if found.get("free_waiting_min") is None and "wait_min" in absent:
            found["free_waiting_min"] = absent["wait_min"][where]
    return found


def _fee(quote: Mapping[str, Any], percent: int) -> dict[str, Any]:
    """That much of the price, in whole minor units, half of one rounded up."""
    return {"amount_minor": (quote["amount_minor"] * percent + 50) // 100, "currency": quote["currency"]}


def _house(directory: Path) -> list[dict[str, Any]]:
    house = reference.table(directory, FILE)
    for name, term in house.items():
        wrong = next(iter(TERM.iter_errors(term)), None)
        if wrong is not None:
            raise reference.Missing(f"{FILE}.yaml: {name}: {wrong.message}")
    return list(house.values())
