"""The eight state types, one file each. Importing this package registers them in `engine.machine.STATE_TYPES`."""

from __future__ import annotations

from engine.states.choice import Choice
from engine.states.fail import Fail
from engine.states.map_ import Map
from engine.states.parallel import Parallel
from engine.states.pass_ import Pass
from engine.states.succeed import Succeed
from engine.states.task import Task
from engine.states.wait import Wait

__all__ = ["Choice", "Fail", "Map", "Parallel", "Pass", "Succeed", "Task", "Wait"]
