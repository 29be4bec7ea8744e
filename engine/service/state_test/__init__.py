"""TestState: enter one state, with or without a mock, and say what became of it.

Source: AWS Step Functions API Reference, "TestState"; Developer Guide, "Testing state machines with TestState API".
What AWS shows at which inspection level follows recordings.
"""

from __future__ import annotations

from typing import Any

from engine.service.calling import Resources
from engine.service.state_test.request import read_request
from engine.service.state_test.trial import Trial


def test_state(params: dict[str, Any], resources: Resources) -> dict[str, Any]:
    """TestState. A Task without a mock really calls its resource. Raises ApiError."""
    request = read_request(params, resources.clock.now())
    return Trial(request, resources).run()
