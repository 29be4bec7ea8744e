"""A booking's ride at the taxi company: create it, look for it, choose among several, know that there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from engine import StepContext, StepError
from steps.bookings.attempts import Attempt, Attempts
from steps.bookings.booking import PROVIDER, Booking
from steps.bookings.moments import later, stamp
from steps.bookings.repository import repository
from steps.bookings.requests import merged
from steps.bookings.settings import flag, number
from steps.bookings.sql import statements
from steps.taxi_api.operations import Taxi

PENDING = "PENDING"
TAKES_PLACE = frozenset({"CONFIRMED", "DRIVER_ASSIGNED", "DRIVER_EN_ROUTE", "DRIVER_ARRIVED", "PASSENGER_ON_BOARD"})
TOOK_PLACE = frozenset({"COMPLETED", "NO_SHOW"})
CANNOT_BE_CANCELLED = TOOK_PLACE | {"PASSENGER_ON_BOARD"}
NOBODY_CAME = "NO_VEHICLES"
FELL_THROUGH = frozenset({NOBODY_CAME, "FAILED", "CANCELLED_BY_CLIENT", "CANCELLED_BY_DRIVER", "CANCELLED_BY_SUPPLIER"})

WAITING = "PENDING_CONFIRMATION"
GENERATIONS = 2
"""Rides asked for under different keys, one after the other, for one booking."""

UNCLEAR = ("Taxi.Ambiguous", "Taxi.BadResponse", "Taxi.DuplicateReference")
"""After these a create may have made a ride."""

OUTCOMES = {
    "Taxi.NotConfigured": "NOT_SENT",
    "Taxi.NotSent": "NOT_SENT",
    "Taxi.Throttled": "NOT_SENT",
    "Taxi.Unavailable": "NOT_SENT",
    "Taxi.CircuitOpen": "NOT_SENT",
    "Taxi.Refused": "REFUSED",
    "Taxi.Unsupported": "REFUSED",
    "Taxi.NotFound": "REFUSED",
    "Taxi.NoVehicles": "REFUSED",
    "Taxi.QuoteExpired": "REFUSED",
    "Taxi.PriceChanged": "REFUSED",
    "Taxi.TooLate": "REFUSED",
    "Taxi.FeeChanged": "REFUSED",
    "Taxi.StaleState": "REFUSED",
}
"""What an error proves about a create; every other one proves nothing."""

MAX_COMMIT_DELAY_S, READ_LAG_S = 120.0, 5.0
"""The contract: the latest a create may take effect, and the longest a look-up may lag (settings may differ)."""


def stored(booking_id: str, ctx: StepContext) -> tuple[Booking, dict[str, Any]]:
    """The booking and its whole request, personal part included."""
    with repository(ctx, reading=True) as repo:
        booking, personal = repo.load_whole(booking_id)
        return booking, merged(booking.request, personal.get("request", {}))


def create(
    booking: Booking, request: dict[str, Any], attempt: str, ctx: StepContext, *, again: bool = False
) -> dict[str, Any]:
    """Call, then record what the answer proves about the attempt; answer the ride. Raises what the client raises."""
    try:
        ride = Taxi(ctx, again=again).create(booking, request)
    except StepError as problem:
        name = str(problem.error)
        with repository(ctx) as repo:
            Attempts(repo, booking).finish(attempt, OUTCOMES.get(name, "AMBIGUOUS"), error=name)
        raise
    with repository(ctx) as repo:
        Attempts(repo, booking).finish(attempt, "OK", ride_ref=ride["ride_id"])
    return adopt([ride], booking, ctx)


def look_up(booking: Booking, ctx: StepContext, *, again: bool = False) -> list[dict[str, Any]]:
    """All rides with the booking's reference, newest first. What is found, or not, is kept as a proof.

    A ride that a message has told of counts before look-ups show it: some lag, some fail.
    """
    started = stamp(ctx.now())
    try:
        rides = Taxi(ctx, again=again).find(booking) or _told(booking, ctx)
    except StepError as problem:
        rides = _told(booking, ctx)
        if not rides:
            raise problem
    with repository(ctx) as repo:
        resolution = "FOUND" if rides else "ABSENT"
        Attempts(repo, booking).record("LOOKUP", "OK", started_at=started, resolution=resolution)
    return rides


def _told(booking: Booking, ctx: StepContext) -> list[dict[str, Any]]:
    """The ride of our reference that the taxi company's messages name, as it is now."""
    with repository(ctx, reading=True) as repo:
        named = {"provider": PROVIDER, "client_reference": booking.client_reference}
        told = statements("messages.sql")["told_ride"].row(repo.db, **named)
    if told is None:
        return []
    try:
        return [Taxi(ctx).get(told["ride_ref"])]
    except StepError as problem:
        if problem.error != "Taxi.NotFound":
            raise
        return []


def adopt(rides: list[dict[str, Any]], booking: Booking, ctx: StepContext) -> dict[str, Any]:
    """The ride that counts among all of a reference (newest first, at least one): one with the passenger on board, or
    that is over, else the oldest that is still good.

    A second live ride is the supplier's mistake: it is cancelled, and people are told. Raises Taxi.NoVehicles or
    Taxi.RideFailed when none is left, Taxi.StillUnknown while a second one cannot be cancelled.
    """
    good = [ride for ride in rides if ride["status"] not in FELL_THROUGH]
    if not good:
        status = rides[0]["status"]
        raise StepError(
            "Taxi.NoVehicles" if status == NOBODY_CAME else "Taxi.RideFailed", f"the ride ended as {status}"
        )
    chosen = next((ride for ride in reversed(good) if ride["status"] in CANNOT_BE_CANCELLED), good[-1])
    if len(good) > 1:
        _cancel_duplicates([ride for ride in good if ride is not chosen], booking, ctx)
    # A status word that is not in the contract is no decision: look again.
    known = chosen["status"] in TAKES_PLACE | TOOK_PLACE
    return {
        "ride_ref": chosen["ride_id"],
        "status": chosen["status"] if known else PENDING,
        "sequence": chosen["sequence"],
        "price": chosen.get("price"),
    }


def _cancel_duplicates(others: list[dict[str, Any]], booking: Booking, ctx: StepContext) -> None:
    """Cancel rides that should not be, and call people. Raises Taxi.StillUnknown: no ride counts while two may live."""
    ctx.log("the taxi company made several rides for one reference", booking_id=booking.booking_id)
    with repository(ctx) as repo:
        repo.need_people(repo.load(booking.booking_id), "several_rides")
    for ride in others:
        try:
            cancel_ride(ride["ride_id"], "DUPLICATE", ctx)
        except StepError as problem:
            raise StepError("Taxi.StillUnknown", f"a second ride cannot be cancelled: {problem.cause}") from problem


def proven_absent(booking: Booking, ctx: StepContext) -> bool:
    """Whether no ride can exist: two empty look-ups, the later one after the last create can have taken effect."""
    with repository(ctx) as repo:
        attempts = Attempts(repo, booking)
        creates = attempts.creates()
        empty = [look for look in attempts.all("LOOKUP") if look.resolution == "ABSENT"]
    if not creates:
        return True
    delay = number(ctx.settings, "TAXI_MAX_COMMIT_DELAY_S", MAX_COMMIT_DELAY_S)
    lag = number(ctx.settings, "TAXI_READ_LAG_S", READ_LAG_S)
    last = creates[-1].started_at
    after = [look for look in empty if look.client_reference == booking.client_reference and look.started_at > last]
    return len(after) >= 2 and after[-1].started_at >= later(last, delay + lag)


def key_is_spent(booking: Booking, creates: Sequence[Attempt], ctx: StepContext) -> bool:
    """Whether a ride must be asked for under another key: nothing came of the first one, and the taxi company would
    answer it with its first error for ever (setting TAXI_REPLAYS_ERRORS)."""
    replays = flag(ctx.settings, "TAXI_REPLAYS_ERRORS", False)
    asked = [attempt for attempt in creates if attempt.may_have_made_a_ride]
    return (
        replays
        and booking.status == WAITING
        and booking.generation < GENERATIONS
        and bool(asked)
        and all(attempt.absent for attempt in asked)
    )


def cancel_ride(
    ride_ref: str, reason: str, ctx: StepContext, max_fee: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Cancel one ride; answer what became of it, None when nobody knows it.

    A ride that has fallen through or is not known counts as cancelled. Raises Taxi.TooLate when it takes place, or did.
    """
    taxi = Taxi(ctx)
    try:
        return taxi.cancel(ride_ref, reason, max_fee)
    except StepError as problem:
        if problem.error == "Taxi.NotFound":
            return None
        if problem.error not in ("Taxi.TooLate", "Taxi.Refused"):
            raise
        ride = taxi.get(ride_ref)
        if ride["status"] not in FELL_THROUGH:
            raise
        return ride


def cancel_reference(booking: Booking, reference: str, reason: str, ctx: StepContext) -> int:
    """Make sure that no ride lives under the reference; answer how many were cancelled.

    A supplier with tombstones also refuses later creates. Without them (setting TAXI_TOMBSTONES) the rides found are
    cancelled, and Taxi.StillUnknown is raised until absence is proven.
    """
    if flag(ctx.settings, "TAXI_TOMBSTONES", True):
        try:
            return len(Taxi(ctx).cancel_reference(reference))
        except StepError as problem:
            if problem.error == "Taxi.TooLate":
                _cancel_what_can_be(reference, reason, ctx)
            raise
    live = [ride for ride in look_up(booking, ctx) if ride["status"] not in FELL_THROUGH]
    for ride in live:
        cancel_ride(ride["ride_id"], reason, ctx)
    if not live and not proven_absent(booking, ctx):
        raise StepError("Taxi.StillUnknown", "no ride is seen, but one may still come")
    return len(live)


def _cancel_what_can_be(reference: str, reason: str, ctx: StepContext) -> None:
    """One ride of the reference takes place already: others beside it must not."""
    with suppress(StepError):  # the first refusal says what there is to say, and brings us here again
        for ride in Taxi(ctx).find_reference(reference):
            if ride["status"] not in FELL_THROUGH | CANNOT_BE_CANCELLED:
                cancel_ride(ride["ride_id"], reason, ctx)


def left_behind(booking: Booking, ctx: StepContext) -> tuple[list[str], list[str]]:
    """What a booking may have at the taxi company: rides that are known, and references of creates nobody explained."""
    with repository(ctx) as repo:
        attempts = Attempts(repo, booking).all("CREATE")
    known = {ref for ref in (booking.ride_ref, *(attempt.ride_ref for attempt in attempts)) if ref}
    return sorted(known), sorted({attempt.client_reference for attempt in attempts if attempt.unexplained})


def note_cancelled(booking: Booking, cancelled: int, ctx: StepContext) -> None:
    """Nothing of the booking is left at the taxi company: explain its creates, and open the orphan watch."""
    with repository(ctx) as repo:
        rows = Attempts(repo, booking)
        resolution = "CANCELLED" if cancelled else "ABSENT"
        rows.resolve(resolution)
        rows.record("CANCEL", "OK", resolution=resolution)
        rows.watch()
