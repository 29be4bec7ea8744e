"""The booking's tables come into being when an engine opens its store."""

from __future__ import annotations

from engine import Host, on_open
from steps.bookings.sql import script

VERSION = 1


class SchemaTooNew(Exception):
    """The booking's tables were written by a newer version of this program."""


@on_open
def create_tables(host: Host) -> None:
    """Create the tables once. Raises SchemaTooNew."""
    with host.transaction() as db:
        db.execute("CREATE TABLE IF NOT EXISTS booking_schema (version INTEGER NOT NULL)")
        row = db.execute("SELECT MAX(version) FROM booking_schema").fetchone()
        version = row[0]
        if version is not None and version > VERSION:
            raise SchemaTooNew(f"the booking's tables have version {version}, this program knows {VERSION}")
        if version is None:
            for statement in script("schema.sql"):
                db.execute(statement)
            db.execute("INSERT INTO booking_schema (version) VALUES (?)", (VERSION,))
