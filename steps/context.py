"""The step that collects what the rules look at. It reads; it decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from traceback import extract_tb
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from engine import StepContext, StepError, step
from steps.bookings import reference
from steps.bookings.amending import requested
from steps.bookings.booking import Booking
from steps.bookings.moments import stamp
from steps.bookings.repository import Repository, repository
from steps.bookings.settings import place
from steps.bookings.shapes import STORE_ERRORS, about_a_booking
from steps.bookings.sql import statements

VELOCITY = timedelta(minutes=10)
PERIODS = {"YEAR": len("2026"), "MONTH": len("2026-05")}
"""What an allowance is for: so much of a moment's text names it."""
EARTH_M = 6_371_000.0
OBJECTS = ("member", "membership", "tier", "usage", "vehicle", "area", "bookings")
UNAVAILABLE = {"Context.Unavailable": "data that the rules need cannot be had: our trouble, not the member's"}


class Asked(NamedTuple):
    """A ride that somebody asks about, as far as a booking would have it in columns; `booking_id` is empty."""

    booking_id: str
    member_ref: str
    airport_iata: str
    lounge_code: str
    pickup_time: str


@step(
    "context.load",
    input=about_a_booking(amended={"type": ["boolean", "null"]}),
    output={"type": "object", "required": list(OBJECTS)},
    errors={
        **STORE_ERRORS,
        **UNAVAILABLE,
    },
    transactional=True,
)
def load(payload: dict[str, Any], ctx: StepContext) -> dict[str, Any]:
    """Member, membership, tier, usage, lounge, visit, airport, flight, vehicle, area, the member's other open bookings.

    Nothing in it is personal: the member and the visit carry the member's pseudonym. An unknown lounge, airport, visit
    or flight is null, which is for the rules to judge. `amended`: of the request as it is to be changed.
    """
    with repository(ctx, reading=True) as repo:
        booking, personal = repo.load_whole(payload["booking_id"])
        request = requested(booking, personal, amended=bool(payload.get("amended")))
        return context_of(repo, booking, personal.get("member_id"), request, ctx)


def context_of(
    repo: Repository, asked: Booking | Asked, member_id: str | None, request: dict[str, Any], ctx: StepContext
) -> dict[str, Any]:
    """The context of a whole request. Raises StepError Context.Unavailable."""
    directory = place(ctx.settings, "REFERENCE_DIR", reference.DIRECTORY)
    try:
        return _Loading(directory, repo, asked, member_id, request, ctx.now()).context()
    except (reference.Missing, LookupError, TypeError, ValueError, AttributeError) as problem:
        # A field that is not there, or not of its kind. No values are told: they may be a member's.
        field = f"the reference data has no {problem} where it is needed"
        known = {reference.Missing: str(problem), KeyError: field}
        why = known.get(type(problem), "the reference data has a field of another form than is needed")
        read = extract_tb(problem.__traceback__)[-1]
        where = f" ({Path(read.filename).name}, line {read.lineno})" if type(problem) is not reference.Missing else ""
        ctx.log(f"what the rules look at cannot be had: {why}{where}", warning=True)
        raise StepError("Context.Unavailable", why) from problem


class _Loading:
    def __init__(
        self,
        directory: Path,
        repo: Repository,
        asked: Booking | Asked,
        member_id: str | None,
        request: dict[str, Any],
        now: datetime,
    ) -> None:
        self.directory = directory
        self.repo = repo
        self.asked = asked
        self.member_id = member_id
        self.request = request
        self.now = now

    def context(self) -> dict[str, Any]:
        known = self.needed("members", self.member_id)
        airport = self.maybe("airports", self.asked.airport_iata)
        tier = self.needed("tiers", known["membership"]["tier"])
        return {
            "member": {**known["member"], "id": self.asked.member_ref},
            "membership": known["membership"],
            "tier": tier,
            "usage": self.usage(known.get("usage") or {}, tier),
            "lounge": self.lounge(),
            "visit": self.visit(),
            "airport": airport,
            "flight": self.flight(),
            "vehicle": self.needed("vehicles", self.request["vehicle_class"]),
            "area": {"dropoff_in_service": airport is not None and self.served(airport)},
            "bookings": statements("queries.sql")["open_bookings"].rows(self.repo.db, **self.mine()),
        }

    def needed(self, name: str, key: Any) -> dict[str, Any]:
        found = self.maybe(name, key)
        if found is None:
            raise reference.Missing(f"{name}.yaml does not have what this booking needs")
        return found

    def maybe(self, name: str, key: Any) -> dict[str, Any] | None:
        return reference.table(self.directory, name).get(key) if key else None

    def mine(self) -> dict[str, str]:
        return {"member_ref": self.asked.member_ref, "booking_id": self.asked.booking_id}

    def usage(self, known: dict[str, Any], tier: dict[str, Any]) -> dict[str, Any]:
        """Rides of the period, the year or month of the pickup that is asked for: those taken elsewhere, and the slots
        held here."""
        length = PERIODS.get(tier.get("period", "YEAR"))
        if length is None:
            raise reference.Missing(f"tiers.yaml: a period is one of {', '.join(PERIODS)}")
        period = self.request["pickup"]["time"][:length]
        elsewhere = int(known.get("rides_in_period", 0))
        since = stamp(self.now - VELOCITY)
        used = statements("queries.sql")["usage"].rows(self.repo.db, **self.mine(), period=period, since=since)[0]
        return {
            "period": period,
            "rides_elsewhere": elsewhere,
            "rides_in_period": elsewhere + used["taken"],
            "attempts_10m": used["attempts"],
        }

    def lounge(self) -> dict[str, Any] | None:
        lounge = self.maybe("lounges", self.asked.lounge_code)
        if lounge is None:
            return None
        home = self.maybe("airports", lounge.get("airport_iata"))
        zone = ZoneInfo(home["timezone"]) if home else UTC
        return {**lounge, "open_now": open_at(lounge["hours"], self.now.astimezone(zone).time())}

    def visit(self) -> dict[str, Any] | None:
        visit = self.maybe("visits", self.request["lounge_context"].get("visit_id"))
        if visit is None:
            return None
        owner = self.asked.member_ref if visit["member_id"] == self.member_id else "another member"
        checked_in = self.now - timedelta(minutes=visit["checked_in_min_ago"])
        return {**visit, "member_id": owner, "checked_in_at": stamp(checked_in)}

    def flight(self) -> dict[str, Any] | None:
        """The flight with its arrival on the asked date; none when flight data cannot be had: rides go on without."""
        asked = self.request.get("flight")
        try:
            flight = self.maybe("flights", asked["number"]) if asked else None
        except reference.Missing:
            return None
        if flight is None or asked is None:
            return None
        home = self.maybe("airports", flight["arrival_iata"])
        zone = ZoneInfo(home["timezone"]) if home else UTC
        arrival = datetime.fromisoformat(f"{asked['date']}T{flight['arrives_local']}").replace(tzinfo=zone)
        return {**flight, "estimated_arrival": stamp(arrival)}

    def served(self, airport: dict[str, Any]) -> bool:
        area, dropoff = airport["service_area"], self.request["dropoff"]
        near = distance_m(airport["point"], dropoff["point"]) <= 1000 * area["radius_km"]
        return near and dropoff["country"] in area["countries"]


def open_at(hours: dict[str, str], moment: time) -> bool:
    """Whether a time of day lies in `{open, close}`; "24:00" is the end of the day, and hours may go past midnight."""
    opens, shows = _minute(hours["open"]), 60 * moment.hour + moment.minute
    closes = _minute(hours["close"])
    return opens <= shows < closes if opens < closes else shows >= opens or shows < closes


def distance_m(one: dict[str, float], other: dict[str, float]) -> float:
    """Metres between two points on a sphere."""
    lat1, lon1, lat2, lon2 = map(radians, (one["lat"], one["lon"], other["lat"], other["lon"]))
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_M * asin(sqrt(min(1.0, chord)))


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return 60 * int(hour) + int(minute)
