"""What only PostgreSQL can get wrong. The contract is in test_conformance.py."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from engine.errors import StoreUnavailable
from engine.stores import open_store


def test_a_database_that_cannot_hold_every_text_is_refused(server: str) -> None:
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        facts = {**conninfo_to_dict(server), "dbname": name}
        try:
            with pytest.raises(StoreUnavailable, match=r"LATIN1.*UTF8"):
                open_store("postgresql://?" + "&".join(f"{key}={value}" for key, value in facts.items()))
        finally:
            db.execute(f"DROP DATABASE {name}")
