"""Money for people. Amounts are integers in minor units everywhere else."""

from __future__ import annotations

from typing import Final

MINOR_DIGITS: Final = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}
"""Decimal places by ISO 4217; two for every other currency."""


def shown(amount_minor: int, currency: str) -> str:
    """An amount as people write it: 3000, GBP is `30.00 GBP`."""
    digits = MINOR_DIGITS.get(currency, 2)
    return f"{amount_minor / 10**digits:.{digits}f} {currency}"
