"""Reading and changing bookings.

Every status change is one edge of the lifecycle and one transaction: compare-and-set on the version, one row in
`booking_transitions`, at most one event in the outbox. Nothing else in the project writes these tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import orjson

from engine import Connection, StepContext, StepError
from steps.bookings.booking import Booking
from steps.bookings.events import envelope, member_erased
from steps.bookings.lifecycle import ImpossibleTransition, lifecycle
from steps.bookings.moments import parse, stamp
from steps.bookings.personal import PERSONAL, Vault
from steps.bookings.sql import statements

KEEP_PERSONAL = timedelta(days=90)
CANCELLING = ("CANCELLATION_PENDING", "CANCELLED")

UNAVAILABLE = ("StoreUnavailable", "OperationalError", "InterfaceError")
"""Names of a database that cannot do it now (locked, gone, full): the engine's and the DB-API's."""


@contextmanager
def repository(ctx: StepContext, *, reading: bool = False, cause: str | None = None) -> Iterator[Repository]:
    """The bookings inside one transaction of the engine's database. `reading`: nothing is written in it. `cause`: see
    Repository.

    Raises StepError Db.Unavailable when the database is down.
    """
    try:
        with ctx.transaction(reading=reading) as db:
            yield Repository(db, stamp(ctx.now()), ctx.settings, cause)
    except Exception as problem:
        if type(problem).__name__ in UNAVAILABLE:
            raise StepError("Db.Unavailable", f"the database cannot be used: {problem}") from problem
        raise


class Repository:
    """Bookings within one transaction. `now` is the stored form of the transaction's moment.

    `cause`: the id of the request or message that leads to what is written here, for its events.
    """

    def __init__(self, db: Connection, now: str, settings: Mapping[str, str], cause: str | None = None) -> None:
        self.db = db
        self.now = now
        self.settings = settings
        self.cause = cause
        self._sql = statements("queries.sql")

    @cached_property
    def vault(self) -> Vault:
        """What seals and opens personal data."""
        return Vault(self.db, self.now, self.settings)

    def insert(
        self,
        row: Mapping[str, Any],
        doc: Mapping[str, Any],
        personal: Mapping[str, Any],
        sealed_by: str | None = None,
    ) -> Booking:
        """Write a new booking in the lifecycle's first status, its first transition, event and personal part.

        `sealed_by`: the owner of the key that the request was sealed with, which becomes the booking's.
        `row`: booking_id, reference, member_ref, airport_iata, lounge_code, pickup_time, window_end, max_price_minor.
        """
        cycle = lifecycle()
        made = self._sql["insert_booking"].rows(self.db, **row, status=cycle.initial, doc=_dump(doc), now=self.now)
        booking = Booking.of(made[0])
        self._keep_personal(booking, personal, sealed_by or booking.booking_id)
        self._record(booking, None, "created", "flow", None)
        self._put(booking.booking_id, envelope(booking, cycle.initial_event, 1, None, *self._made()))
        return booking

    def load(self, booking_id: str) -> Booking:
        """The booking. Raises StepError Booking.Unknown."""
        row = self._sql["booking"].row(self.db, booking_id=booking_id)
        if row is None:
            raise StepError("Booking.Unknown", f"there is no booking {booking_id}")
        return Booking.of(row)

    def load_whole(self, booking_id: str) -> tuple[Booking, dict[str, Any]]:
        """The booking and its personal part (see `personal`). Raises StepError Booking.Unknown."""
        row = self._sql["whole_booking"].row(self.db, booking_id=booking_id)
        if row is None:
            raise StepError("Booking.Unknown", f"there is no booking {booking_id}")
        sealed, *key = (row.pop(name) for name in ("ciphertext", "key_owner", "key_id", "wrapped"))
        if sealed is None:
            return Booking.of(row), {}
        if key[0] is not None:
            self.vault.know(booking_id, *key)
        return Booking.of(row), self.vault.open(booking_id, PERSONAL, sealed)

    def personal(self, booking_id: str) -> dict[str, Any]:
        """The personal part of the booking, `{member_id, request}`; empty once erased."""
        row = statements("personal.sql")["personal"].row(self.db, booking_id=booking_id)
        if row is None or row["ciphertext"] is None:
            return {}
        found: dict[str, Any] = self.vault.open(booking_id, PERSONAL, row["ciphertext"])
        return found

    def change_personal(self, booking_id: str, personal: Mapping[str, Any]) -> None:
        """Put another personal part in the place of the booking's. Nothing happens once it was erased."""
        if self.personal(booking_id):
            sealed = self.vault.seal(booking_id, PERSONAL, personal)
            statements("personal.sql")["update_personal"].run(self.db, booking_id=booking_id, ciphertext=sealed)

    def reference_taken(self, reference: str) -> bool:
        """Whether an open booking has this reference."""
        return self._sql["reference_taken"].row(self.db, reference=reference) is not None

    def queued_events(self, limit: int) -> int:
        """How many events wait for the relay, counted up to `limit`."""
        row = self._sql["queued_events"].row(self.db, limit=limit)
        return int(row["queued"]) if row else 0

    def transition(
        self,
        booking: Booking,
        trigger: str,
        *,
        to: str | None = None,
        actor: str = "flow",
        detail: str | None = None,
        **changes: Any,
    ) -> Booking:
        """Take the edge `trigger`, with `changes` of other columns, and emit its event; answer the booking after it.

        Raises StepError Booking.CancelRequested or Booking.WrongState when the lifecycle has no such edge, Db.Conflict
        when someone else changed the booking since it was read.
        """
        cycle = lifecycle()
        try:
            status = cycle.target(booking.status, trigger, to)
        except ImpossibleTransition as problem:
            raise out_of_step(booking, str(problem)) from problem
        ended = self.now if status in cycle.terminal else None
        after = replace(booking, **changes, status=status, version=booking.version + 1, terminal_at=ended)
        after = self._write(booking, after)
        self._record(after, booking.status, trigger, actor, detail)
        if ended is not None:
            self._sql["free_time"].run(self.db, booking_id=booking.booking_id)
        event = cycle.edge(booking.status, trigger).event
        if event is not None:
            self.emit(after, event, booking.status)
        return after

    def update(self, booking: Booking, **changes: Any) -> Booking:
        """Change columns other than the status; no transition, no event. Raises StepError Db.Conflict."""
        return self._write(booking, replace(booking, **changes))

    def need_people(self, booking: Booking, reason: str) -> Booking:
        """Mark the booking for people and tell the operations queue why; once, and again after its end."""
        over = booking.terminal_at is not None and booking.updated_at <= booking.terminal_at
        if booking.attention and not over:
            return booking
        booking = self.update(booking, attention=1)
        self.emit(booking, "booking.attention_required", booking.status, reason)
        return booking

    def emit(self, booking: Booking, name: str, previous: str | None, reason: str | None = None) -> None:
        """Put one event into the outbox, numbered after the booking's last one."""
        seq = self._next(booking.booking_id)
        body = envelope(booking, name, seq, previous, *self._made(), self.cause)
        if reason is not None:
            body["data"]["reason"] = reason
        self._put(booking.booking_id, body)

    def emit_member_erased(self, member_ref: str, bookings: Sequence[str], request_id: str | None) -> None:
        """Put the event into the outbox that the personal data of these bookings of a member is gone."""
        body = member_erased(member_ref, self._next(member_ref), bookings, request_id, *self._made())
        self._put(member_ref, body)

    def _made(self) -> tuple[str, Mapping[str, str]]:
        return self.now, self.settings

    def last_event(self, subject: str) -> int:
        """The sequence of the last event that is stored of a booking or member; 0 when there is none."""
        row = self._sql["last_event"].row(self.db, booking_id=subject)
        return int(row["seq"]) if row else 0

    def _next(self, subject: str) -> int:
        return self.last_event(subject) + 1

    def _put(self, subject: str, body: Mapping[str, Any]) -> None:
        self._sql["insert_event"].run(
            self.db,
            event_id=body["id"],
            booking_id=subject,
            seq=int(body["sequence"]),
            type=body["type"],
            terminal=int(body["data"].get("terminal", False)),
            user_facing=int(body["data"].get("user_facing", False)),
            envelope=_dump(body),
            now=self.now,
        )

    def _keep_personal(self, booking: Booking, personal: Mapping[str, Any], owner: str) -> None:
        booking_id = booking.booking_id
        statements("personal.sql")["insert_personal"].run(
            self.db,
            booking_id=booking_id,
            key_id=self.vault.give(owner, booking_id),
            ciphertext=self.vault.seal(booking_id, PERSONAL, personal),
            expires_at=stamp(parse(booking.window_end) + KEEP_PERSONAL),
        )

    def _write(self, before: Booking, after: Booking) -> Booking:
        values = {name: getattr(after, name) for name in Booking.__slots__}  # asdict would copy all of `doc`
        values.update(doc=_dump(after.doc), version=before.version, new_version=after.version, now=self.now)
        if self._sql["update_booking"].run(self.db, **values) != 1:
            raise StepError("Db.Conflict", f"{before.booking_id} changed since version {before.version} was read")
        return replace(after, updated_at=self.now)

    def _record(self, booking: Booking, previous: str | None, cause: str, actor: str, detail: str | None) -> None:
        self._sql["insert_transition"].run(
            self.db,
            booking_id=booking.booking_id,
            version=booking.version,
            from_status=previous,
            to_status=booking.status,
            cause=cause,
            actor=actor,
            at=self.now,
            detail=detail,
        )


def out_of_step(booking: Booking, cause: str) -> StepError:
    """The error of a flow that finds its booking in another status than it left it in."""
    name = "Booking.CancelRequested" if booking.status in CANCELLING else "Booking.WrongState"
    return StepError(name, cause)


def _dump(value: Mapping[str, Any]) -> str:
    """JSON text. All numbers are finite: values are checked where they come in."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, say
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
