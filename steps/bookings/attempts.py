"""What was asked of the supplier for a booking: written before the call, finished after it, explained in the end.

A create is *unexplained* while it is IN_FLIGHT or AMBIGUOUS without a resolution: the ride may exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steps.bookings.booking import Booking
from steps.bookings.identifiers import create_key
from steps.bookings.moments import later
from steps.bookings.repository import Repository
from steps.bookings.sql import statements

FIRST_LOOK_S, WATCH_S = 60, 24 * 3600


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of `ride_attempts`."""

    attempt_id: str
    booking_id: str
    generation: int
    op: str
    client_reference: str
    idem_key: str | None
    started_at: str
    finished_at: str | None
    outcome: str
    resolution: str | None
    ride_ref: str | None
    error_code: str | None

    @property
    def may_have_made_a_ride(self) -> bool:
        """Whether a ride of this attempt may exist, as far as the attempt itself tells."""
        return self.outcome in ("IN_FLIGHT", "AMBIGUOUS", "OK")

    @property
    def absent(self) -> bool:
        """Whether it is proven that nothing came of it."""
        return self.outcome in ("IN_FLIGHT", "AMBIGUOUS") and self.resolution == "ABSENT"

    @property
    def unexplained(self) -> bool:
        """Whether nobody knows yet what came of it."""
        return self.outcome in ("IN_FLIGHT", "AMBIGUOUS") and self.resolution is None


class Attempts:
    """The attempts of one booking, within the repository's transaction."""

    def __init__(self, repo: Repository, booking: Booking) -> None:
        self._repo = repo
        self._booking = booking
        self._sql = statements("attempts.sql")
        self._read: dict[str, list[Attempt]] = {}

    def of(self, booking: Booking) -> Attempts:
        """The same, of the booking as it is by now."""
        now = Attempts(self._repo, booking)
        now._read = self._read
        return now

    def all(self, op: str) -> list[Attempt]:
        """All attempts of an operation, oldest first."""
        if op not in self._read:
            rows = self._sql["attempts"].rows(self._repo.db, booking_id=self._booking.booking_id, op=op)
            self._read[op] = [Attempt(**row) for row in rows]
        return self._read[op]

    def creates(self) -> list[Attempt]:
        """The attempts to create the ride of the present generation, oldest first."""
        return [attempt for attempt in self.all("CREATE") if attempt.generation == self._booking.generation]

    def outdated(self) -> bool:
        """Whether the supplier refused the present generation because its quote is no longer good."""
        return any(attempt.error_code in ("Taxi.QuoteExpired", "Taxi.PriceChanged") for attempt in self.creates())

    def begin_create(self) -> str:
        """Write a create attempt IN_FLIGHT; answer its id."""
        key = create_key(self._booking.booking_id, self._booking.generation)
        return self._insert("CREATE", idem_key=key, finished_at=None, outcome="IN_FLIGHT")

    def begin(self, op: str) -> str:
        """Write an attempt of another operation IN_FLIGHT; answer its id."""
        return self._insert(op, finished_at=None, outcome="IN_FLIGHT")

    def finish(self, attempt_id: str, outcome: str, *, ride_ref: str | None = None, error: str | None = None) -> bool:
        """Record how an attempt ended; False when it was finished or explained meanwhile."""
        self._read.clear()
        done = self._sql["finish_attempt"].run(
            self._repo.db,
            attempt_id=attempt_id,
            outcome=outcome,
            ride_ref=ride_ref,
            error_code=error,
            now=self._repo.now,
        )
        return done == 1

    def record(self, op: str, outcome: str, *, resolution: str, started_at: str | None = None) -> None:
        """Write an attempt that is over: a look-up or a cancel."""
        now = self._repo.now
        self._insert(op, started_at=started_at or now, finished_at=now, outcome=outcome, resolution=resolution)

    def resolve(self, resolution: str, ride_ref: str | None = None) -> None:
        """Explain every unexplained create attempt: FOUND, ABSENT or CANCELLED."""
        self._read.clear()
        self._sql["resolve_attempts"].run(
            self._repo.db, booking_id=self._booking.booking_id, resolution=resolution, ride_ref=ride_ref
        )

    def watch(self, *, now: bool = False, reference: str | None = None) -> None:
        """Open the orphan watch, or open it again: a ride that turns up within 24 h after giving up must be found.

        `now`: there is a reason to look with the next round of the sweep. `reference`: of an earlier generation.
        """
        reference = reference or self._booking.client_reference
        self._sql["open_watch"].run(
            self._repo.db,
            client_reference=reference,
            booking_id=self._booking.booking_id,
            now=self._repo.now,
            next_check_at=later(self._repo.now, FIRST_LOOK_S),
            deadline_at=later(self._repo.now, WATCH_S),
        )
        if now:
            self._sql["look_now"].run(self._repo.db, client_reference=reference, now=self._repo.now)

    def _insert(self, op: str, **values: Any) -> str:
        count = len(self.all(op)) + 1
        row: dict[str, Any] = {
            "attempt_id": f"{self._booking.booking_id}:{op.lower()}:{count}",
            "booking_id": self._booking.booking_id,
            "generation": self._booking.generation,
            "op": op,
            "client_reference": self._booking.client_reference,
            "idem_key": None,
            "started_at": self._repo.now,
            "resolution": None,
            "ride_ref": None,
            "error_code": None,
            **values,
        }
        self._sql["insert_attempt"].run(self._repo.db, **row)
        self._read.clear()
        return str(row["attempt_id"])
