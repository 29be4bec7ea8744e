"""What a Resource can be. Each kind comes to the same thing as a Python step: a function of arguments and context.

    step:NAME                        a registered step
    flow:NAME                        another flow, as an execution of its own whose output is the result
    arn:aws:states:::states:…        the same in AWS's words: startExecution, .sync, .sync:2, .waitForTaskToken
    arn:aws:states:::http:invoke     a call of an HTTPS API
    arn:aws:states:::SERVICE:ACTION  AWS services through boto3, and aws-sdk:SERVICE:ACTION; Lambda functions by ARN
    arn:…:activity:NAME              work that waits for whoever asks for it (engine.tasks.activities)

`Resources.step` answers the step behind a resource; `Resources.problem` says why there is none.
"""

from __future__ import annotations

from engine.errors import UnknownStep, UnsupportedResource
from engine.outcomes import Resource
from engine.step import Step, StepRegistry
from engine.tasks import activities, aws, flows, https


class Resources:
    """The resources that this engine can call. `starter` starts the flows, `children` those of
    distributed Maps."""

    def __init__(self, steps: StepRegistry, starter: flows.Starter | None = None) -> None:
        self.steps = steps
        self.starter = starter
        self.children: Step | None = None
        self._made: dict[str, Step] = {}

    def step(self, resource: Resource) -> Step:
        """What to call for a resource. Raises UnknownStep, UnsupportedResource."""
        if resource.scheme == "step":
            return self.steps.get(resource.name)
        if resource.scheme == "children":
            assert self.children is not None, "whoever spreads a Map can start its children"
            return self.children
        made = self._made.get(resource.uri)
        if made is None:
            problem = self.problem(resource)
            if problem is not None:
                raise UnsupportedResource(problem)
            made = self._made[resource.uri] = self._make(resource)
        return made

    def problem(self, resource: Resource) -> str | None:
        """Why a resource cannot be called here; None when it can."""
        if resource.scheme == "step":
            known = resource.name in self.steps
            return None if known else f"there is no step {resource.name!r}; see: engine steps"
        return unsupported(resource)

    def check(self, state: str, resource: Resource) -> None:
        """Raises UnknownStep, UnsupportedResource when the resource of that state cannot be called here."""
        problem = self.problem(resource)
        if problem is not None:
            kind = UnknownStep if resource.scheme == "step" else UnsupportedResource
            raise kind(f"state {state!r}: {problem}")

    def _make(self, resource: Resource) -> Step:
        if resource.scheme == "activity":
            return activities.step(resource)
        if resource.scheme == "lambda" or (resource.scheme == "service" and resource.service != "states"):
            return https.step(resource) if resource.service == "http" else aws.step(resource)
        assert self.starter is not None, "an engine can start flows"
        return flows.step(resource, self.starter)


def unsupported(resource: Resource) -> str | None:
    """Why this engine cannot call a resource that is no step; None when it can."""
    if resource.scheme == "flow":
        return flows.unsupported(resource)
    if resource.scheme in ("activity", "lambda") or flows.starts(resource):
        return None
    if resource.service == "http" and resource.action == "invoke":
        return None
    return aws.unsupported(resource)
