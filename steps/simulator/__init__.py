"""The Global Taxi simulator: a real HTTP server that keeps the supplier's contract, and breaks it on request.

It knows nothing of the booking or the engine. Run it with ``python -m steps.simulator``; in a test::

    with Simulator(faults=["F07"], clock="virtual") as sim:
        ...                    # point the client at sim.url
        assert [ride["live"] for ride in sim.rides()] == [True]

From the outside in: ``server`` (threads) and ``connection``, ``door`` (sockets), ``postman`` (webhooks out) do the I/O;
``simulation`` is one supplier behind a lock, answering through ``api`` and ``control``; ``supplier`` and ``rides``
are the ground truth; ``plan`` and ``faults`` say what goes wrong when, and ``wire``, ``world`` and ``mailbox`` play
it. To add a fault, write one decorated function in one of these three, and a case for it.
"""

from __future__ import annotations

from steps.simulator.mailbox import sign
from steps.simulator.plan import PlanError
from steps.simulator.server import Simulator

__all__ = ["PlanError", "Simulator", "sign"]
