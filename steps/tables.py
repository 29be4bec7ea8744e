"""The service's own tables come into being, and up to date, when an engine opens its store."""

from __future__ import annotations

from engine import Connection, Host, on_open
from steps.bookings.moments import stamp
from steps.bookings.personal import Vault
from steps.bookings.sql import migrations, statements

ENCRYPTED = 3
"""The version since which personal data is encrypted."""


class SchemaTooNew(Exception):
    """The booking's tables were written by a newer version of this program."""


@on_open
def migrate(host: Host) -> None:
    """Apply the missing migrations, all or none, one process at a time. Raises SchemaTooNew, keys.WrongKeys."""
    sql = statements("migrations.sql")
    with host.transaction() as db:
        steps = migrations(db.dialect)
        sql["lock"].run(db)
        sql["create_version"].run(db)
        version = _version(db)
        if version > len(steps):
            raise SchemaTooNew(
                f"the booking's tables have version {version}, this program knows {len(steps)}: upgrade it"
            )
        for number, migration in enumerate(steps[version:], version + 1):
            for statement in migration:
                db.execute(statement)
            sql["drop_version"].run(db)
            sql["put_version"].run(db, version=number)
        if 0 < version < ENCRYPTED:
            Vault(db, stamp(host.now()), host.settings).encrypt_first_version()


def _version(db: Connection) -> int:
    row = statements("migrations.sql")["version"].row(db)
    return int(row["version"]) if row else 0
