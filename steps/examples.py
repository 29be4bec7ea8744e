"""`python -m steps.examples --minutes 60`: the input of a booking whose pickup is that many minutes from now.

The examples in flows/examples ask for a car at once, so that they are good on any day; a pickup at a fixed time is not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from steps.bookings.moments import stamp

AT_ONCE = Path(__file__).resolve().parents[1] / "flows" / "examples" / "booking.json"
FLIGHT = "EK202"
"""A flight of flows/reference/flights.yaml that needs no match: none is looked up for a number that is not there."""


def scheduled(minutes: float, now: datetime) -> dict[str, object]:
    """The example at once, turned into a pickup `minutes` after `now`."""
    example: dict[str, object] = json.loads(AT_ONCE.read_text(encoding="utf-8"))
    request = example["request"]
    assert isinstance(request, dict), "the example is a booking"
    pickup = now + timedelta(minutes=minutes)
    request["pickup"] |= {"type": "SCHEDULED", "time": stamp(pickup)}
    request.setdefault("flight", {"number": FLIGHT, "date": pickup.date().isoformat()})
    return example


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the example."""
    parser = argparse.ArgumentParser(prog="python -m steps.examples", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="from now to the pickup (default %(default)s)")
    options = parser.parse_args(arguments)
    print(json.dumps(scheduled(options.minutes, datetime.now(UTC)), indent=2))


if __name__ == "__main__":
    main()
