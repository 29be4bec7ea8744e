"""The registry of state types."""

from __future__ import annotations

import pytest

from engine.machine import STATE_TYPES, state_type
from engine.states.pass_ import Pass


def test_a_second_state_type_of_a_name_is_refused() -> None:
    class Other(Pass):
        TYPE = "Pass"

    with pytest.raises(TypeError, match="state type Pass is registered twice"):
        state_type(Other)
    assert STATE_TYPES["Pass"] is Pass
