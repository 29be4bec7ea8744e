"""What the taxi company offers for a request: its quotes, in the shape in which bookings keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import StepContext, StepError
from steps.taxi_api.operations import Taxi, expired

KEPT = ("quote_id", "price_type", "expires_at", "vehicle_class", "free_waiting_min", "eta_min", "cancellation")


def offers(request: Mapping[str, Any], ctx: StepContext) -> list[dict[str, Any]]:
    """The valid offers in the wanted class, the cheapest first; or the very offer that the member saw, valid or not.

    One that is over has `renewed`, the cheapest valid one, if there is any.
    Raises StepError with a name of `errors.ERRORS`, Taxi.NoVehicles among them.
    """
    found = [
        offer
        for offer in Taxi(ctx, again=ctx.attempt > 1).quotes(request)
        if offer["vehicle_class"] == request["vehicle_class"]
    ]
    seen = next((_kept(offer) for offer in found if offer["quote_id"] == request.get("quote_id")), None)
    if seen is not None and not expired(seen, ctx.now()):
        return [seen]
    valid = [_kept(offer) for offer in found if not expired(offer, ctx.now())]
    valid.sort(key=lambda quote: int(quote["amount_minor"]))
    if seen is not None:
        return [{**seen, "renewed": valid[0]} if valid else seen]
    if not valid:
        raise StepError("Taxi.NoVehicles", f"no {request['vehicle_class']} is offered for that time and place")
    return valid


def _kept(offer: Mapping[str, Any]) -> dict[str, Any]:
    price, currency = offer["price"]["amount_minor"], offer["price"]["currency"]
    return {"amount_minor": price, "currency": currency, **{key: offer[key] for key in KEPT if key in offer}}
