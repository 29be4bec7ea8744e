"""Published versions of flows, and aliases: names that route new executions to one version or two, by weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from engine.errors import InvalidInput, UnknownVersion
from engine.step import Connection
from engine.stores import Store
from engine.stores.sql import statements

WHOLE: Final = 100
MOST_ROUTES: Final = 2
"""As on AWS."""


class Version(NamedTuple):
    """A published definition: its number from 1, content hash, what it is for, when (seconds since the epoch)."""

    number: int
    definition: str
    description: str | None
    created: float


class Alias(NamedTuple):
    """A name and its routes: version numbers and their weights, 100 in all."""

    name: str
    routes: Mapping[int, int]


def publish(store: Store, flow: str, digest: str, description: str | None, now: float) -> int:
    """Make a definition, which is stored, the flow's next version; answers its number. The latest one again keeps its
    number."""
    sql = statements("portable")
    with store.transaction() as db:
        known = _versions(db, flow)
        if known and known[-1].definition == digest:
            return known[-1].number
        number = len(known) + 1
        db.execute(sql["publish"], (flow, number, digest, description, now))
    return number


def versions(store: Store, flow: str) -> Sequence[Version]:
    """The versions of a flow, the oldest first."""
    with store.reading() as db:
        return _versions(db, flow)


def aliases(store: Store, flow: str) -> Sequence[Alias]:
    """The aliases of a flow, by name."""
    with store.reading() as db:
        return _aliases(db, flow)


def route(store: Store, flow: str, name: str, routes: Mapping[int, int], now: float) -> None:
    """Have an alias route to these versions by their weights. Raises InvalidInput, UnknownVersion."""
    if not name or name.isdecimal() or not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(f"{name!r} is no name of an alias: use letters, digits, - and _, and not digits alone")
    if not 0 < len(routes) <= MOST_ROUTES or sum(routes.values()) != WHOLE or min(routes.values()) < 0:
        raise InvalidInput(f"an alias routes to one version or two, with weights of {WHOLE} in all, as in 3=90 4=10")
    with store.transaction() as db:
        known = {version.number for version in _versions(db, flow)}
        for number in routes:
            if number not in known:
                raise UnknownVersion(f"flow {flow!r} has no version {number}; see: engine alias {flow}")
        db.execute(statements("portable")["route"], (flow, name, json.dumps(list(routes.items())), now))


def resolve(store: Store, flow: str, qualifier: str, key: str) -> Version:
    """The version of that number, or one of those that the alias routes to. The draw is by `key`, the execution's name:
    the same name is drawn the same version. Raises UnknownVersion."""
    with store.reading() as db:
        known = {version.number: version for version in _versions(db, flow)}
        if qualifier.isdecimal() and int(qualifier) in known:
            return known[int(qualifier)]
        for alias in _aliases(db, flow):
            if alias.name == qualifier:
                return known[_drawn(alias.routes, f"{flow}:{qualifier}:{key}")]
    what = f"no version or alias {qualifier!r}" if known else "no published version"
    raise UnknownVersion(f"flow {flow!r} has {what} in {store.url}; see: engine alias {flow}")


def _drawn(routes: Mapping[int, int], key: str) -> int:
    point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % WHOLE
    for number, weight in routes.items():
        if point < weight:
            return number
        point -= weight
    raise AssertionError("weights are 100 in all")


def _versions(db: Connection, flow: str) -> list[Version]:
    return [Version(*row) for row in db.execute(statements("portable")["versions"], (flow,)).fetchall()]


def _aliases(db: Connection, flow: str) -> list[Alias]:
    found = db.execute(statements("portable")["aliases"], (flow,)).fetchall()
    return [Alias(name, dict(json.loads(routes))) for name, routes in found]
