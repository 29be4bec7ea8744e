"""Columns of a batch as arrays in PostgreSQL's binary form, made directly: the general way costs five times as much.

An array is: dimensions, has-nulls, type of the elements, length, first index; then each element with its length before
it, -1 for NULL. All numbers big-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Any, Final

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

INT8, FLOAT8, TEXT = 20, 701, 25
NULL: Final = b"\xff\xff\xff\xff"


class Int8s(bytes):
    """A bigint[]."""


class Float8s(bytes):
    """A float8[]."""


class Texts(bytes):
    """A text[]."""


def int8s(values: Sequence[int | None]) -> Int8s:
    """The column as a bigint[]."""
    return Int8s(_head(INT8, len(values)) + b"".join([NULL if v is None else pack(">iq", 8, v) for v in values]))


def float8s(values: Sequence[float | None]) -> Float8s:
    """The column as a float8[]."""
    return Float8s(_head(FLOAT8, len(values)) + b"".join([NULL if v is None else pack(">id", 8, v) for v in values]))


def texts(values: Sequence[str | None]) -> Texts:
    """The column as a text[]."""
    parts = [_head(TEXT, len(values))]
    for value in values:
        if value is None:
            parts.append(NULL)
        else:
            data = value.encode()
            parts += (len(data).to_bytes(4), data)
    return Texts(b"".join(parts))


def register(context: AdaptContext) -> None:
    """Let connections send these as they are."""
    for kind, oid in ((Int8s, 1016), (Float8s, 1022), (Texts, 1009)):
        context.adapters.register_dumper(kind, type(f"{kind.__name__}Dumper", (_AsIs,), {"oid": oid}))


class _AsIs(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


def _head(kind: int, length: int) -> bytes:
    return pack(">iiiii", 1, 1, kind, length, 1) if length else pack(">iii", 0, 0, kind)
