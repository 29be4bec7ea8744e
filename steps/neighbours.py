"""What stands beside the service on a machine that has nothing else: a taxi company to call."""

from __future__ import annotations

import importlib
from base64 import b64encode
from secrets import token_bytes

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
    """Start the simulator of the taxi company in this process, unless TAXI_URL (`--taxi`) names a real one.

    Its rides live by themselves, and it tells of them by messages that are signed with a secret of this run. A service
    that answers real callers never books rides that there are not: without a taxi company it books none.
    """
    if serving.settings.get("TAXI_URL"):
        serving.say(f"the taxi company is {serving.settings['TAXI_URL']}")
        return
    if serving.settings.get("JWT_ISSUER"):
        serving.say("TAXI_URL is not set: bookings fail until it (or --taxi) names the taxi company")
        return
    simulated = importlib.import_module("steps.simulator")  # heavy, and needed for this alone
    secret = serving.settings.setdefault("TAXI_WEBHOOK_SECRET", f"whsec_{b64encode(token_bytes(24)).decode()}")
    target = f"{serving.url}/v1/webhooks/globaltaxi"
    plan = {"defaults": {"drive": True}}
    simulator = simulated.Simulator(plan, webhook_url=target, webhook_secret=secret).start()
    serving.at_end(simulator.stop)
    serving.settings["TAXI_URL"] = simulator.url
    serving.say(f"a simulator of the taxi company runs at {simulator.url} (name a real one with --taxi)")
