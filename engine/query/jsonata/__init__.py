"""JSONata, AWS's second query language: JSONata 2.0.6 between `{%` and `%}`, with six functions that AWS added.

An expression sees `$states` (`input`, `context`, and `result` or `errorOutput` where they exist) and the variables by
name. The work is done by a library behind a thin adapter, see docs/decisions/0007: `LANGUAGE` rests on jlens, and
`engine.query.jsonata.fallback.LANGUAGE` on jsonata2py. The package itself can be imported without either.
"""

from __future__ import annotations

from engine.query.jsonata.language import JSONata

__all__ = ["LANGUAGE", "JSONata"]

LANGUAGE: JSONata


def __getattr__(name: str) -> JSONata:
    """LANGUAGE, made when it is first asked for. Raises ImportError with the remedy when jlens is not installed."""
    if name != "LANGUAGE":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["LANGUAGE"] = JSONata("jlens")
    return made
