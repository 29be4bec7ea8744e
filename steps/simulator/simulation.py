"""One simulated supplier: plan, clock, ground truth, faults and counters behind one lock. No sockets, no waiting.

A call goes through in two halves, so that latency is spent outside the lock: ``begin`` recognises it and decides its
faults, ``finish`` carries it out and says in which manner the reply leaves.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from glob import escape
from random import Random
from threading import RLock
from typing import Any

from steps.simulator.api import Desk, Operation, Tokens, Work, peek, read_order, resolve
from steps.simulator.catalogue import fragment
from steps.simulator.clock import Clock, rfc3339
from steps.simulator.contract import LIFE, Refusal
from steps.simulator.faults import KINDS, FaultPlan, Stage, Strike
from steps.simulator.mailbox import Envelope, Mailbox
from steps.simulator.messages import Delivery, Reply, Request, Send, problem_reply
from steps.simulator.plan import Plan, read_plan
from steps.simulator.rides import Ride
from steps.simulator.supplier import AS_USUAL, Supplier, Terms
from steps.simulator.world import Call

_GENERATION = re.compile(r"-r\d+$")
_P99_OF_NORMAL = 2.326


@dataclass(frozen=True, slots=True)
class Visit:
    """A call that was recognised.

    ``delay_s``: to be waited before ``finish``. ``op`` is empty when there is no such route.
    """

    request: Request
    op: str
    operation: Operation | None
    argument: str
    client_reference: str | None
    delay_s: float
    strikes: Mapping[Stage, Strike] = field(default_factory=dict)
    refusal: Refusal | None = None

    @property
    def faults(self) -> str:
        """The names of the faults it meets, for the log."""
        return "+".join(strike.kind.name for strike in self.strikes.values())


class Simulation:
    """See the head of this file.

    Thread-safe. ``flush`` is called, outside the lock, when webhooks may have fallen due.
    """

    def __init__(self, document: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> None:
        self._lock = RLock()
        self._fixed = dict(fixed or {})
        self.flush: Callable[[], None] = lambda: None
        self.wake: Callable[[], None] = lambda: None
        self.plan = self._read(document)
        self.reset()

    def set_plan(self, document: Mapping[str, Any]) -> None:
        """Take another plan; rides stay, what its faults have counted starts anew. PlanError when it has mistakes.

        What was fixed at the start (a seed, a webhook target ...) holds against the document.
        """
        plan = self._read(document)
        with self._lock:
            self._tick()
            if (plan.clock, plan.start) != (self.plan.clock, self.plan.start):
                self.clock = Clock(plan.clock == "virtual", plan.start)
            self.plan = plan
            self._apply_plan()

    def reset(self) -> None:
        """Forget every ride, quote, token, counter and webhook, set the clock back: same calls, same run."""
        with self._lock:
            plan = self.plan
            self.clock = Clock(plan.clock == "virtual", plan.start)
            self.supplier = Supplier(plan.seed, plan.contract, plan.pricing, plan.defaults.read_lag_s)
            self.tokens = Tokens(plan.auth, plan.seed)
            self.mailbox = Mailbox(plan.seed)
            self.calls: Counter[str] = Counter()
            self.references: defaultdict[str, Counter[str]] = defaultdict(Counter)
            self._recent: defaultdict[str, deque[float]] = defaultdict(deque)
            self._error_replies: dict[str, tuple[float, Reply]] = {}
            self._noted: set[str] = set()
            self._apply_plan()

    def _apply_plan(self) -> None:
        plan = self.plan
        self.faults = FaultPlan(plan.seed, list(plan.faults), plan.hang_s)
        self.supplier.seed = self.tokens.seed = self.mailbox.seed = plan.seed
        self.supplier.contract, self.supplier.tariff = plan.contract, plan.pricing
        self.supplier.read_lag_s, self.supplier.drive = plan.defaults.read_lag_s, plan.defaults.drive
        self.tokens.auth = plan.auth
        self.mailbox.delay_s = plan.defaults.webhook_delay_ms / 1000
        self.mailbox.attempts = plan.contract.webhook_attempts
        if plan.webhook.url is None:
            self.mailbox.waiting.clear()

    def begin(self, request: Request) -> Visit:
        """Recognise the call, count it, and decide which faults it meets."""
        with self._lock:
            self._tick()
            try:
                op, operation, argument = resolve(request.method, request.path)
            except Refusal as refusal:
                return Visit(request, "", None, "", None, 0.0, refusal=refusal)
            reference, ride = self._subject(op, request, argument)
            self.calls[op] += 1
            if reference is not None:
                self.references[reference][op] += 1
            try:
                self._heed_notes(op, request, reference)
            except Refusal as refusal:
                return Visit(request, op, operation, argument, reference, 0.0, refusal=refusal)
            facts = {"client_reference": reference or ""}
            if ride is not None:
                facts |= {"ride_id": ride.ride_id, "status": ride.status}
            strikes = self.faults.strikes(op, facts)
            delay = (
                strikes[Stage.DELAY].kind.play(strikes[Stage.DELAY]) if Stage.DELAY in strikes else self._latency(op)
            )
            return Visit(request, op, operation, argument, reference, delay, strikes)

    def finish(self, visit: Visit) -> Delivery:
        """Carry the call out, as far as its faults let it come, and say how the reply leaves."""
        with self._lock:
            now = self._tick()
            if visit.refusal is not None or visit.operation is None:
                return Send(problem_reply(visit.refusal or Refusal("not_found")))
            wire = visit.strikes.get(Stage.WIRE)
            reply = None
            if wire is None or wire.params["commit"]:
                reply = self._carry_out(visit, visit.operation, now)
            elif wire.kind.name == "commit_late":
                self._carry_out_later(visit, now, wire.params["after_s"])
            delivery = _delivery(wire, reply, now)
            self._remember_error(visit, delivery, now)
            self._tick()
        self.wake()
        return delivery

    def advance(self, seconds: float) -> float:
        """Move the clock, let everything happen that falls due, send the webhooks; the new moment."""
        with self._lock:
            self.clock.advance(seconds)
            now = self._tick()
        self.flush()
        return now

    def move_ride(
        self,
        name: str,
        to: str | None = None,
        *,
        reason: str | None = None,
        redispatching: bool | None = None,
        skip: bool = False,
        force: bool = False,
    ) -> Ride:
        """Drive a ride (by id or client_reference) one step, or to ``to``, step by step where that lies ahead in its
        life.

        ``skip`` goes there in one jump; ``force`` changes even a ride that has ended. Sends the webhooks.
        """
        with self._lock:
            now = self._tick()
            ride = next(reversed(self.supplier.of(name)), None) or self.supplier.get(name)
            target = to or ride.next_status()
            ahead = target in LIFE and ride.live and LIFE.index(target) > LIFE.index(ride.status)
            while ahead and not skip and ride.next_status() != target:
                ride.move(ride.next_status(), now)
            ride.move(target, now, reason=reason, redispatching=redispatching, force=force)
            self._tick()
        self.flush()
        return ride

    def take_due_webhooks(self) -> list[tuple[Envelope, float]]:
        """The webhooks to send now, each with the moment to stamp it with."""
        with self._lock:
            now = self._tick()
            return [(envelope, now) for envelope in self.mailbox.take_due(now)]

    def webhook_failed(self, envelope: Envelope) -> None:
        """It was not taken: it will be sent again, until its attempts are spent."""
        with self._lock:
            self.mailbox.failed(envelope, self.clock.now())

    def seconds_to_next(self) -> float | None:
        """Real seconds until something falls due by itself; None when nothing will (a virtual clock stands still)."""
        with self._lock:
            due = [at for at in (self.supplier.next_due(), self.mailbox.next_due()) if at is not None]
            now = self.clock.now()
            if not due or (self.clock.virtual and min(due) > now):
                return None
            return max(0.0, min(due) - now)

    def ground_truth(self) -> dict[str, Any]:
        """What really is: rides, counters of calls and faults, tombstones, webhooks, and the simulator's time."""
        with self._lock:
            now = self._tick()
            rides = [self._truth(ride) for ride in self.supplier.rides.values()]
            return {
                "now": rfc3339(now),
                "rides": rides,
                "calls": dict(self.calls),
                "references": {name: dict(calls) for name, calls in self.references.items()},
                "faults": dict(self.faults.struck),
                "tombstones": sorted(self.supplier.tombstones),
                "webhooks": {"waiting": len(self.mailbox.waiting), "dropped": self.mailbox.dropped},
            }

    def _read(self, document: Mapping[str, Any]) -> Plan:
        merged = dict(document)
        for name, value in self._fixed.items():
            merged[name] = {**(document.get(name) or {}), **value} if isinstance(value, dict) else value
        return read_plan(merged)

    def _tick(self) -> float:
        now = self.clock.now()
        self.supplier.tick(now)
        for event in self.supplier.take_events():
            if self.plan.webhook.url is not None:
                self.mailbox.post(event, self.faults)
        return now

    def _subject(self, op: str, request: Request, argument: str) -> tuple[str | None, Ride | None]:
        """Which booking and which ride a call is about, as far as one can tell before it is carried out."""
        if op == "createRide":
            reference = peek(request).get("client_reference")
        elif op == "findRides":
            reference = request.query.get("client_reference")
        elif op == "cancelByReference":
            reference = argument
        else:
            ride = self.supplier.rides.get(argument)
            return (ride.client_reference if ride else None), ride
        rides = self.supplier.of(reference) if isinstance(reference, str) else []
        return (reference if isinstance(reference, str) else None), (rides[-1] if rides else None)

    def _heed_notes(self, op: str, request: Request, reference: str | None) -> None:
        """``notes: "sim:<fault or id>"`` in the first create of a booking adds that fault for this booking alone."""
        notes = str(peek(request).get("notes", "")) if op == "createRide" else ""
        booking = _GENERATION.sub("", reference or "")
        if not notes.startswith("sim:") or booking in self._noted:
            return
        self._noted.add(booking)
        name = notes.removeprefix("sim:").strip()
        plain: list[dict[str, Any]] = [{"fault": name, "nth": 1}]
        entries = plain if name in KINDS else fragment(name).get("faults", [])
        if not entries:
            raise Refusal("invalid_request", f"notes: there is no fault {name!r}"[:120])
        match = {"client_reference": [escape(booking), escape(booking) + "-r*"]}
        extra = [{**entry, "match": {**(entry.get("match") or {}), **match}} for entry in entries]
        self.faults.entries += read_plan({"faults": extra}).faults

    def _latency(self, op: str) -> float:
        latency = self.plan.defaults.latency_ms
        if not latency:
            return 0.0
        p50 = float(latency["p50"])
        spread = math.log(max(1.0, latency.get("p99", p50) / p50)) / _P99_OF_NORMAL
        return p50 / 1000 * Random(f"{self.plan.seed}/{op}/{self.calls[op]}").lognormvariate(0.0, spread)

    def _carry_out(self, visit: Visit, operation: Operation, now: float) -> Reply:
        try:
            if visit.op != "createToken":
                self.tokens.check(visit.request.headers.get("authorization", ""), now)
            self._check_rate(visit.op, now)
            if replayed := self._error_to_replay(visit, now):
                return replayed
            work = Work(visit.request, visit.argument, now, self._terms(visit, now))
            return operation(Desk(self.supplier, self.tokens), work)
        except Refusal as refusal:
            return problem_reply(refusal)

    def _carry_out_later(self, visit: Visit, now: float, after_s: float) -> None:
        try:
            self.tokens.check(visit.request.headers.get("authorization", ""), now)
            terms = self._terms(visit, now)
            self.supplier.create_later(read_order(Work(visit.request, "", now, terms)), now + after_s, terms)
        except Refusal:
            return  # nothing would have come of it; the client hears the fault, not the reason

    def _terms(self, visit: Visit, now: float) -> Terms:
        strike = visit.strikes.get(Stage.WORLD)
        if strike is None:
            return AS_USUAL
        ride_id = visit.argument if visit.argument in self.supplier.rides else None
        call = Call(visit.op, now, visit.client_reference, ride_id)
        terms: Terms = strike.kind.play(self.supplier, call, strike.params)
        return terms

    def _check_rate(self, op: str, now: float) -> None:
        limit, recent = self.plan.contract.rate_limit, self._recent[op]
        if limit is None:
            return
        while recent and recent[0] <= now - 3600:
            recent.popleft()
        if len(recent) >= limit:
            raise Refusal("rate_limited", retry_after=str(math.ceil(recent[0] + 3600 - now)))
        recent.append(now)

    def _remember_error(self, visit: Visit, delivery: Delivery, now: float) -> None:
        """A supplier with ``idempotency_replays_errors`` answers a key that met an error with that error ever after."""
        key = visit.request.headers.get("idempotency-key")
        if not self.plan.contract.idempotency_replays_errors or visit.op != "createRide" or key is None:
            return
        if isinstance(delivery, Send) and delivery.reply.status >= 400 and delivery.reply.status not in (401, 429):
            until = now + self.plan.contract.idempotency_ttl_h * 3600
            self._error_replies.setdefault(key, (until, delivery.reply))

    def _error_to_replay(self, visit: Visit, now: float) -> Reply | None:
        until, reply = self._error_replies.get(visit.request.headers.get("idempotency-key", ""), (0.0, None))
        return reply if visit.op == "createRide" and now < until else None

    def _truth(self, ride: Ride) -> dict[str, Any]:
        return {
            "ride_ref": ride.ride_id,
            "client_reference": ride.client_reference,
            "booking_id": _GENERATION.sub("", ride.client_reference),
            "live": ride.live,
            "status": ride.status,
            "sequence": ride.sequence,
            "price_minor": ride.quote.amount_minor,
            "cancellation_fee_minor": ride.cancellation_fee_minor,
            "created_at": rfc3339(ride.created_at),
            "create_calls": self.references[ride.client_reference]["createRide"],
        }


def _delivery(wire: Strike | None, reply: Reply | None, now: float) -> Delivery:
    if wire is not None:
        delivery: Delivery = wire.kind.play(reply, wire, now)
        return delivery
    if reply is None:
        raise AssertionError("a call without a fault has a reply")
    return Send(reply)
