"""What an answer of the taxi company means: the classification, as data.

Every failure of a call becomes one `StepError` whose name says what may have happened:

* certainly nothing: Taxi.NotSent, Taxi.Throttled, Taxi.Unavailable, Taxi.CircuitOpen, Taxi.Refused, Taxi.Unsupported,
  Taxi.NoVehicles, Taxi.QuoteExpired, Taxi.PriceChanged, Taxi.NotFound, Taxi.TooLate, Taxi.FeeChanged, Taxi.StaleState
* perhaps something: Taxi.Ambiguous, Taxi.BadResponse
* certainly something: Taxi.DuplicateReference
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine import StepError

ERRORS = {
    "Taxi.NotConfigured": "the taxi company's address is not set",
    "Taxi.NotSent": "the request certainly had no effect: it never arrived",
    "Taxi.Ambiguous": "no clear answer came: the request may have had its effect",
    "Taxi.BadResponse": "an answer came that cannot be understood",
    "Taxi.Throttled": "the taxi company asks to come back later",
    "Taxi.Unavailable": "not now: it asks to come back later than is worth waiting for, or too much fails to retry",
    "Taxi.CircuitOpen": "so many calls failed that none is made for a moment",
    "Taxi.Refused": "the taxi company refused the request",
    "Taxi.Unsupported": "the taxi company offers no such operation",
    "Taxi.NoVehicles": "no car is available",
    "Taxi.QuoteExpired": "the quote is no longer valid",
    "Taxi.PriceChanged": "the price has changed",
    "Taxi.DuplicateReference": "a ride with this reference exists already",
    "Taxi.NotFound": "the taxi company does not know that ride",
    "Taxi.TooLate": "the ride has come too far for that",
    "Taxi.FeeChanged": "cancelling costs more than was accepted",
    "Taxi.StaleState": "the ride has changed since it was read",
}
"""Every error of the client, for the steps that declare them."""

NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"})
"""httpx exceptions that prove that the request was not read; every other one leaves it open (measured, httpx 0.28)."""

BY_CODE = {
    "amend_not_supported": "Taxi.Unsupported",
    "no_vehicles_available": "Taxi.NoVehicles",
    "quote_expired": "Taxi.QuoteExpired",
    "price_changed": "Taxi.PriceChanged",
    "duplicate_client_reference": "Taxi.DuplicateReference",
    "ride_not_found": "Taxi.NotFound",
    "ride_in_progress": "Taxi.TooLate",
    "too_late": "Taxi.TooLate",
    "fee_changed": "Taxi.FeeChanged",
    "stale_state": "Taxi.StaleState",
}
"""The supplier's problem codes that mean more than their status."""

PATIENCE_S = 30.0
"""The longest Retry-After that is waited for; beyond it the supplier counts as unavailable."""


def of_exception(problem: Exception, call: str) -> StepError:
    """The error of a call that ended in an httpx exception."""
    kind = type(problem).__name__
    name = "Taxi.NotSent" if kind in NOT_SENT else "Taxi.Ambiguous"
    return StepError(name, f"{call}: {kind}")


CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def of_answer(status: int, problem: Mapping[str, Any] | None, retry_after: float | None, call: str) -> StepError:
    """The error of a call that was answered with other than 2xx. `problem`: the RFC 9457 body, if it is one."""
    code = str((problem or {}).get("code", ""))
    if not CODE.fullmatch(code):
        code = ""  # what is no code of the contract may hold anything, and causes are shown
    cause = f"{call}: {status} {code}".rstrip()
    if status == 429:
        return _later("Taxi.Throttled", cause, retry_after)
    if status == 405:
        return StepError("Taxi.Unsupported", cause)
    if status == 412:
        return StepError("Taxi.StaleState", cause)
    if status >= 500:
        if (problem or {}).get("executed") is not False:
            return StepError("Taxi.Ambiguous", cause)
        return _later("Taxi.NotSent", cause, retry_after)
    if 400 <= status < 500:
        return StepError(BY_CODE.get(code, "Taxi.Refused"), cause)
    return StepError("Taxi.BadResponse", f"{cause} is no answer to expect")


def _later(name: str, cause: str, retry_after: float | None) -> StepError:
    """An error that may be tried again, unless the wait that the supplier asks for is too long."""
    if retry_after is not None and retry_after > PATIENCE_S:
        return StepError("Taxi.Unavailable", f"{cause}, retry after {retry_after:.0f} s", retry_after=retry_after)
    return StepError(name, cause, retry_after=retry_after)
