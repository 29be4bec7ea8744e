"""The taxi company: its quotes, its rides and its promises. Pure: every call brings its own moment.

What happens later (a late commit, a pending ride that is confirmed) is a queue ordered by time; ``tick(now)`` works
it off, and what it does carries the time it was due, however late the tick comes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from steps.simulator.contract import LIFE, Contract, Refusal
from steps.simulator.pricing import QUOTE_LIFE_S, Quote, Route, Tariff, classes_for, render_quote
from steps.simulator.rides import Ride, RideEvent, token


@dataclass(frozen=True, slots=True)
class LifeStep:
    """Move a ride to ``to``, ``after_s`` seconds after the step before it."""

    after_s: float
    to: str
    reason: str | None = None
    redispatching: bool | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a supplier treats one call when it is not at its best. The default is: as the contract says.

    ``refusal`` and ``price_percent`` concern only calls that would make a ride: one that exists is not denied.
    """

    status: str = "CONFIRMED"
    steps: tuple[LifeStep, ...] = ()
    copies: int = 1
    refusal: str | None = None
    price_percent: float | None = None
    says_duplicate: bool = False
    no_cover: bool = False
    lag_s: float | None = None


AS_USUAL = Terms()
ASSIGNED_S, SETS_OFF_S, BOARDING_S, SHORTEST_S = 1200.0, 900.0, 240.0, 5.0
CITY_KMH = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """A checked create request, without the passenger. ``max_minor``: the highest acceptable price, None for any."""

    key: str
    client_reference: str
    quote_id: str
    max_minor: int | None
    pickup_time: float | None
    details: dict[str, Any]


@dataclass(slots=True)
class Supplier:
    """Ground truth. Not thread-safe; the caller serialises."""

    seed: int
    contract: Contract
    tariff: Tariff
    read_lag_s: float = 0.0
    drive: bool = False
    quotes: dict[str, Quote] = field(default_factory=dict)
    rides: dict[str, Ride] = field(default_factory=dict)
    tombstones: set[str] = field(default_factory=set)
    _events: list[RideEvent] = field(default_factory=list)
    _by_reference: dict[str, list[Ride]] = field(default_factory=dict)
    _keys: dict[str, tuple[str, float]] = field(default_factory=dict)
    _surges: dict[Route, float] = field(default_factory=dict)
    _quoted: Counter[Route] = field(default_factory=Counter)
    _agenda: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _planned: int = 0

    def quote(
        self,
        route: Route,
        vehicle_class: str | None,
        passengers: int,
        pickup_time: float | None,
        airport: bool,
        now: float,
    ) -> list[Quote]:
        """A fixed price per fitting class, valid for 300 s."""
        classes = classes_for(passengers, vehicle_class)
        return [self._new_quote(replace(route, vehicle_class=name), pickup_time, airport, now) for name in classes]

    def create(self, order: Order, now: float, terms: Terms = AS_USUAL) -> Ride:
        """Make a ride, or give back the one this reference already has; Refusal otherwise."""
        self._check_key(order, now)
        if existing := self._known(order.client_reference):
            return self._admit(existing, terms)
        self._check_terms(order, now, terms)
        return self._admit(self._commit(order, now, terms), terms)

    def create_later(self, order: Order, at: float, terms: Terms = AS_USUAL) -> None:
        """Let ``create`` take effect at ``at``, answered to nobody.

        It is judged as valid now; only repeats are seen then.
        """

        def commit(now: float) -> None:
            refused = order.client_reference in self.tombstones or order.quote_id not in self.quotes
            if not refused and not self._known(order.client_reference):
                self._commit(order, now, terms)

        self._plan(at, commit)

    def find(self, client_reference: str, now: float, lag_s: float | None = None) -> list[Ride]:
        """Rides with this reference, newest first; those younger than the read lag are not seen yet."""
        lag = self.read_lag_s if lag_s is None else lag_s
        found = [ride for ride in self.of(client_reference) if ride.created_at + lag <= now or lag == 0]
        return found[::-1]

    def get(self, ride_id: str) -> Ride:
        """The ride, or Refusal ride_not_found."""
        if ride_id not in self.rides:
            raise Refusal("ride_not_found")
        return self.rides[ride_id]

    def cancel(self, ride_id: str, reason: str, max_minor: int | None, now: float) -> Ride:
        """Cancel at no more than ``max_minor``; Refusal fee_changed, ride_in_progress, too_late or ride_not_found."""
        ride = self.get(ride_id)
        fee, _ = ride.fee(now)
        if ride.live and max_minor is not None and fee > max_minor:
            raise Refusal("fee_changed", f"cancelling now costs {fee} {self.tariff.currency} (minor units)")
        ride.cancel(reason, now)
        return ride

    def cancel_reference(self, client_reference: str, now: float) -> list[str]:
        """Cancel what can still be cancelled and refuse later creates.

        The ids that this reference had cancelled in all.
        """
        if not self.contract.tombstones:
            raise Refusal("not_found")
        rides = self.of(client_reference)
        if any(ride.status == "PASSENGER_ON_BOARD" for ride in rides):
            raise Refusal("ride_in_progress", "the passenger is on board")
        self.tombstones.add(client_reference)
        for ride in rides:
            if ride.live:
                ride.cancel("CANCELLED_BY_REFERENCE", now)
        return [ride.ride_id for ride in rides if ride.status.startswith("CANCELLED_")]

    def tick(self, now: float) -> None:
        """Do everything that is due by ``now``, in the order of time."""
        while self._agenda and self._agenda[0][0] <= now:
            at, _, act = heapq.heappop(self._agenda)
            act(at)

    def next_due(self) -> float | None:
        return self._agenda[0][0] if self._agenda else None

    def take_events(self) -> list[RideEvent]:
        """The changes since the last call, in the order they happened."""
        events = self._events[:]
        self._events.clear()
        return events

    def follow(self, ride: Ride, steps: tuple[LifeStep, ...], now: float) -> None:
        """Plan the coming changes of a ride; a step that finds the ride ended does nothing."""
        if not steps:
            return
        step, rest = steps[0], steps[1:]

        def take(at: float) -> None:
            if ride.live:
                ride.move(step.to, at, reason=step.reason, redispatching=step.redispatching)
                self.follow(ride, rest, at)

        self._plan(now + step.after_s, take)

    def of(self, client_reference: str) -> list[Ride]:
        """Every ride with this reference, oldest first, lag or not."""
        return self._by_reference.get(client_reference, [])

    def _known(self, client_reference: str) -> Ride | None:
        if not self.contract.dedupes_creates:
            return None
        return next(iter(self.of(client_reference)), None)

    def _check_key(self, order: Order, now: float) -> None:
        if order.client_reference in self.tombstones:
            rides = [ride.ride_id for ride in self.of(order.client_reference)]
            raise Refusal("reference_cancelled", extra={"ride_id": rides[0]} if rides else {})
        reference, until = self._keys.get(order.key, ("", 0.0))
        if self.contract.dedupes_creates and now < until and reference != order.client_reference:
            raise Refusal("invalid_request", "Idempotency-Key: was used with another client_reference")

    def _check_terms(self, order: Order, now: float, terms: Terms) -> None:
        quote = self.quotes.get(order.quote_id)
        if quote is None:
            raise Refusal("quote_expired", "the quote is not known")
        if quote.expires_at <= now or terms.refusal == "quote_expired":
            raise self._requoted("quote_expired", quote, now)
        if terms.refusal is not None:
            raise Refusal(terms.refusal)
        if terms.price_percent is not None:
            self._surges[quote.route] = self._surges.get(quote.route, 1.0) * (1 + terms.price_percent / 100)
            raise self._requoted("price_changed", quote, now)
        if order.max_minor is not None and quote.amount_minor > order.max_minor:
            raise self._requoted("price_changed", quote, now)

    def _requoted(self, code: str, old: Quote, now: float) -> Refusal:
        quote = self._new_quote(old.route, old.pickup_time, old.airport, now)
        return Refusal(code, extra={"quote": render_quote(quote, self.tariff)})

    def _new_quote(self, route: Route, pickup_time: float | None, airport: bool, now: float) -> Quote:
        self._quoted[route] += 1
        name = "qt_" + token(self.seed, "quote", route, self._quoted[route])
        eta = 4 + int(route.road_km() * 7) % 9
        amount = self.tariff.price(route, self._surges.get(route, 1.0))
        quote = Quote(name, route, amount, pickup_time, eta, airport, now + QUOTE_LIFE_S)
        self.quotes[name] = quote
        return quote

    def _commit(self, order: Order, now: float, terms: Terms) -> Ride:
        self._keys[order.key] = (order.client_reference, now + self.contract.idempotency_ttl_h * 3600)
        made = [self._make(order, now, terms) for _ in range(terms.copies)]
        return made[0]

    def _make(self, order: Order, now: float, terms: Terms) -> Ride:
        reference, siblings = order.client_reference, self._by_reference.setdefault(order.client_reference, [])
        name = "gtx_" + token(self.seed, "ride", reference, len(siblings))
        quote, details = self.quotes[order.quote_id], dict(order.details)
        pickup_time = quote.pickup_time if order.pickup_time is None else order.pickup_time
        ride = Ride(name, reference, quote, now, terms.status, pickup_time, details, self._events)
        self.rides[name] = ride
        siblings.append(ride)
        self.follow(ride, terms.steps or self._course(ride, terms, now), now)
        return ride

    def _course(self, ride: Ride, terms: Terms, now: float) -> tuple[LifeStep, ...]:
        """A ride's undisturbed life: the driver sets off a quarter of an hour before the pickup."""
        if not self.drive or terms.status != "CONFIRMED":
            return ()
        pickup = ride.pickup_time if ride.pickup_time is not None else now + ride.quote.eta_min * 60
        ends_at = pickup + BOARDING_S + ride.quote.route.road_km() / CITY_KMH * 3600
        moments = (pickup - ASSIGNED_S, pickup - SETS_OFF_S, pickup, pickup + BOARDING_S, ends_at)
        steps, before = [], now
        for moment, status in zip(moments, LIFE[2:], strict=True):
            at = max(moment, before + SHORTEST_S)
            steps.append(LifeStep(at - before, status))
            before = at
        return tuple(steps)

    def _admit(self, ride: Ride, terms: Terms) -> Ride:
        if terms.says_duplicate:
            raise Refusal("duplicate_client_reference", executed=None, extra={"ride_id": ride.ride_id})
        return ride

    def _plan(self, at: float, act: Callable[[float], None]) -> None:
        self._planned += 1
        heapq.heappush(self._agenda, (at, self._planned, act))
