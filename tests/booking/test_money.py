"""Amounts as people read them."""

from __future__ import annotations

import pytest

from steps.bookings.money import shown


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(3000, "GBP", "30.00 GBP"), (5, "EUR", "0.05 EUR"), (1200, "JPY", "1200 JPY"), (1234, "KWD", "1.234 KWD")],
)
def test_an_amount_has_its_currencys_decimal_places(amount: int, currency: str, text: str) -> None:
    assert shown(amount, currency) == text
