"""What operations see: fields of the log, and what lies in the tables, as samples for metrics."""

from __future__ import annotations

from collections.abc import Iterator

from engine import Host, Sample, on_scrape
from steps.bookings.moments import later, parse, stamp
from steps.bookings.sql import statements

LOG_KEYS = frozenset(
    {"booking_id", "reference", "ride_ref", "member_ref", "provider", "webhook_id", "event_id", "file", "rule"}
)
"""Fields that may be logged. None is personal: the member is a pseudonym."""

HOUR_S, DAY_S = 3600, 86_400


@on_scrape
def sample(host: Host) -> Iterator[Sample]:
    """The outbox, open bookings by status, those that ended in the last hour by outcome, and what waits for people."""
    sql, now = statements("observing.sql"), stamp(host.now())
    hour_ago = later(now, -HOUR_S)
    with host.transaction() as db:
        (outbox,) = sql["outbox"].rows(db)
        open_now = sql["open_by_status"].rows(db)
        ended = sql["ended_since"].rows(db, since=hour_ago)
        (waiting,) = sql["waiting"].rows(db, hour_ago=hour_ago, day_ago=later(now, -DAY_S))
    age = (parse(now) - parse(outbox["oldest"])).total_seconds() if outbox["oldest"] else 0.0
    yield Sample("outbox_events", "Events that wait to be published.", outbox["events"])
    yield Sample("outbox_age_seconds", "How long the oldest unpublished event has waited.", max(0.0, age))
    yield Sample("outbox_failing_events", "Events that several attempts could not publish.", outbox["failing"])
    for row in open_now:
        yield Sample("bookings_open", "Open bookings by status.", row["bookings"], {"status": row["status"]})
    for row in ended:
        labels = {"status": row["status"], "failure": row["failure_code"] or ""}
        yield Sample("bookings_ended_last_hour", "Bookings that ended in the last hour.", row["bookings"], labels)
    for name, about in WAITING.items():
        yield Sample(name, about, waiting[name])


WAITING = {
    "bookings_attention": "Open bookings that people must look at.",
    "bookings_attention_ended": "Bookings that people were called for after their end, within a day.",
    "bookings_overdue": "Bookings that have been on their way for more than an hour.",
    "orphan_watches_due": "Watches for rides nobody wanted that should have been checked by now.",
    "webhooks_waiting": "Messages of taxi companies that are not worked off.",
}
