"""A fresh simulator, a client of it, and a webhook receiver for each test that asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from simulator_clients import START, Inbox, Taxi

from steps.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Callable[..., Simulator]]:
    """A simulator on a virtual clock, stopped at the end: ``simulator(plan, faults=[...], ...)``."""
    with ExitStack() as stack:

        def start(plan: dict[str, Any] | None = None, **options: Any) -> Simulator:
            options = {"clock": "virtual", "start_at": START, **options}
            return stack.enter_context(Simulator(plan, **options))

        yield start


@pytest.fixture
def taxi(simulator: Callable[..., Simulator]) -> Iterator[Callable[..., Taxi]]:
    """A client of a fresh simulator: ``taxi(plan, faults=[...], ...)``."""
    with ExitStack() as stack:

        def start(plan: dict[str, Any] | None = None, **options: Any) -> Taxi:
            client = Taxi(simulator(plan, **options))
            stack.enter_context(client.http)
            return client

        yield start


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    receiver = Inbox()
    yield receiver
    receiver.close()
