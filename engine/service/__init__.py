"""The front doors beside the CLI: AWS Step Functions' own operations, in process.

api = StepFunctionsApi(tasks=answer)
made = api.call("CreateStateMachine", {"name": "booking", "definition": text, "roleArn": role})
api.call("StartExecution", {"stateMachineArn": made["stateMachineArn"], "input": "{}"})
"""

from __future__ import annotations

from engine.service.api import StepFunctionsApi
from engine.service.errors import ApiError

__all__ = ["ApiError", "StepFunctionsApi"]
