"""The control surface under ``/_sim``: for whoever runs the simulator, on loopback, never for a client."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from steps.simulator.clock import rfc3339
from steps.simulator.contract import Refusal
from steps.simulator.messages import Reply, Request, json_reply, problem_reply
from steps.simulator.plan import PlanError, load_plan_text
from steps.simulator.rides import render_ride
from steps.simulator.simulation import Simulation

PREFIX = "/_sim/"
_RIDE_ADVANCE = re.compile(r"/_sim/rides/([^/]+)/advance$")


def control(simulation: Simulation, request: Request) -> Reply:
    """Answer a request to the control surface; 404 for all that is not local."""
    if not request.local:
        return problem_reply(Refusal("not_found"))
    try:
        return _answer(simulation, request)
    except PlanError as error:
        return problem_reply(Refusal("invalid_request", str(error), extra={"problems": error.problems}))
    except Refusal as refusal:
        return problem_reply(refusal)


def _answer(simulation: Simulation, request: Request) -> Reply:
    match request.method, request.path:
        case "GET", "/_sim/rides":
            return json_reply(200, simulation.ground_truth())
        case "PUT", "/_sim/plan":
            simulation.set_plan(load_plan_text(request.body.decode("utf-8", "replace")))
            return Reply(204)
        case "POST", "/_sim/reset":
            simulation.reset()
            return Reply(204)
        case "POST", "/_sim/clock/advance":
            seconds = _object(request).get("seconds")
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
                raise Refusal("invalid_request", "seconds: must be a number from 0")
            return json_reply(200, {"now": rfc3339(simulation.advance(seconds))})
        case "POST", path if found := _RIDE_ADVANCE.match(path):
            return _move(simulation, unquote(found[1]), _object(request))
    raise Refusal("not_found")


def _move(simulation: Simulation, ride: str, body: dict[str, Any]) -> Reply:
    shapes = {"to": str, "reason": str, "redispatching": bool, "skip": bool, "force": bool}
    for name, value in body.items():
        if name not in shapes or not isinstance(value, shapes[name]):
            raise Refusal("invalid_request", f"{name}: is not known, or has the wrong type")
    return json_reply(200, render_ride(simulation.move_ride(ride, **body), simulation.plan.pricing))


def _object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise Refusal("invalid_request", "body: is not JSON", status=400) from error
    if not isinstance(body, dict):
        raise Refusal("invalid_request", "body: must be an object", status=400)
    return body
