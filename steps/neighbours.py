"""What stands beside the service on a machine that has nothing else: a taxi company to call."""

from __future__ import annotations

import importlib

from engine import Serving, on_serve
from steps.bookings.personal import DEMO_KEY


@on_serve
def member_key(serving: Serving) -> None:
    """Say once, and not with every request, that members' pseudonyms are made with the demonstration key."""
    if not serving.settings.get("MEMBER_REF_KEY"):
        serving.settings["MEMBER_REF_KEY"] = DEMO_KEY
        serving.say("MEMBER_REF_KEY is not set: member references are made with the demonstration key")


@on_serve
def taxi_simulator(serving: Serving) -> None:
    """Start the simulator of the taxi company in this process, unless TAXI_URL (`--taxi`) names a real one."""
    if serving.settings.get("TAXI_URL"):
        serving.say(f"the taxi company is {serving.settings['TAXI_URL']}")
        return
    simulator = importlib.import_module("steps.simulator").Simulator().start()  # heavy, and needed for this alone
    serving.at_end(simulator.stop)
    serving.settings["TAXI_URL"] = simulator.url
    serving.say(f"a simulator of the taxi company runs at {simulator.url} (name a real one with --taxi)")
