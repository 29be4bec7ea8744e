"""What a state can answer, and the data-flow stages around it.

A state never waits, retries, catches or writes history. It answers one of six outcomes, and the core does the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.query import Scope
from engine.values import JSON

Prepare = Callable[[JSON, Scope], JSON]
"""Raw input -> what the state works on (InputPath and Parameters, or Arguments)."""

Produce = Callable[[JSON, JSON, Scope], JSON]
"""Raw input and result -> output (ResultSelector, ResultPath and OutputPath, or Output)."""

Assign = Callable[[JSON, JSON, Scope], "dict[str, JSON]"]
"""Raw input and result -> variables to set."""


class Resource:
    """A Task's Resource, taken apart once.

    `uri` as written; `scheme` "step", "flow", "lambda", "activity" or "service"; `name` what is called;
    `service`/`action` as AWS writes them in history events; `pattern` "" (request-response), "sync", "sync:2" or
    "waitForTaskToken". The history's names of a call, made once: `family` (LambdaFunction, Activity or Task) and
    `shown`, the details that every event of the call has.
    """

    __slots__ = (
        "action", "failed", "family", "name", "pattern", "scheduled", "scheme", "service", "shown", "started",
        "succeeded", "uri",
    )  # fmt: skip

    def __init__(self, uri: str, scheme: str, name: str, service: str, action: str, pattern: str) -> None:
        self.uri = uri
        self.scheme = scheme
        self.name = name
        self.service = service
        self.action = action
        self.pattern = pattern
        self.family = {"lambda": "LambdaFunction", "activity": "Activity"}.get(scheme, "Task")
        self.shown: dict[str, JSON] = {"resource": action, "resourceType": service} if self.family == "Task" else {}
        self.scheduled, self.started = f"{self.family}Scheduled", f"{self.family}Started"
        self.succeeded, self.failed = f"{self.family}Succeeded", f"{self.family}Failed"

    @property
    def waits(self) -> bool:
        """Whether the first answer is only a receipt and the result comes later."""
        return bool(self.pattern)


class Stages:
    """The data-flow stages of a state, a choice rule or a catcher; None = the stage is absent and costs nothing."""

    __slots__ = ("assign", "prepare", "produce")

    def __init__(
        self, prepare: Prepare | None = None, produce: Produce | None = None, assign: Assign | None = None
    ) -> None:
        self.prepare = prepare
        self.produce = produce
        self.assign = assign


NO_STAGES = Stages()


# -- outcomes: what a state can answer -----------------------------------------------------------------------------


class Done:
    """The state has its result; the core runs the remaining stages and the transition."""

    __slots__ = ("result",)

    def __init__(self, result: JSON) -> None:
        self.result = result


class Goto:
    """A Choice decided: go to `target`; `stages` are the matching rule's own (or the state's)."""

    __slots__ = ("result", "stages", "target")

    def __init__(self, target: str, result: JSON, stages: Stages) -> None:
        self.target = target
        self.result = result
        self.stages = stages


class Failed:
    """The state failed with an error name and a cause (either may be absent)."""

    __slots__ = ("cause", "error")

    def __init__(self, error: str | None, cause: str | None) -> None:
        self.error = error
        self.cause = cause


class Sleep:
    """Park until `until` (seconds since the epoch), then the state is done with `result`."""

    __slots__ = ("result", "until")

    def __init__(self, until: float, result: JSON) -> None:
        self.until = until
        self.result = result


class Call:
    """Call `resource` with `arguments` and park. Limits in seconds, None = none.

    `items`: the answer is not the result but what a Map runs over; the state's `spread` makes a Fork of it. `source` is
    the prepared input.
    """

    __slots__ = ("arguments", "credentials", "heartbeat", "items", "resource", "source", "timeout")

    def __init__(
        self,
        resource: Resource,
        arguments: JSON,
        timeout: float | None,
        heartbeat: float | None,
        credentials: JSON,
        *,
        items: bool = False,
        source: JSON = None,
    ) -> None:
        self.resource = resource
        self.arguments = arguments
        self.timeout = timeout
        self.heartbeat = heartbeat
        self.credentials = credentials
        self.items = items
        self.source = source


class Fork:
    """Run `count` children, at most `limit` at a time (0 = all), then join their outputs into one list.

    `source` is the prepared input. A Map gives `items`; `keyed` when they came from an object ({"Key", "Value"} each).
    The state then answers for each child: `child(index)` its machine, `child_input(source, index, item, scope)` its
    input.
    `distributed`: the children are executions of their own, with a history of their own. `single`: where the items are
    batches, the fork as it would be without them.
    """

    __slots__ = ("count", "distributed", "items", "keyed", "limit", "single", "source")

    def __init__(
        self,
        count: int,
        limit: int,
        items: list[JSON] | None,
        source: JSON,
        *,
        keyed: bool = False,
        distributed: bool = False,
        single: Fork | None = None,
    ) -> None:
        self.count = count
        self.limit = limit
        self.items = items
        self.source = source
        self.keyed = keyed
        self.distributed = distributed
        self.single = single


Outcome = Done | Goto | Failed | Sleep | Call | Fork
