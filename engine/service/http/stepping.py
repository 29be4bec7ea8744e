"""Calling steps from the front door: one by its name, or those of a flow that is run in memory and leaves no trace."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from engine.core.execution import Execution
from engine.machine import StateMachine
from engine.outcomes import Resource
from engine.runtime.calls import Declined, invoke
from engine.runtime.clock import Clock
from engine.runtime.context import CallContext, EngineHost
from engine.runtime.simulate import Outcome, TaskCall, simulate
from engine.step import Connection, StepError, StepRegistry
from engine.stores import Store
from engine.values import JSON


class Delivery:
    """What a step is told of a call that belongs to no stored execution (see engine.core.events.ScheduleTask)."""

    again = 0
    attempt = 1
    beat: float | None = None
    due: float | None = None
    token = ""

    def __init__(self, name: str, arguments: JSON, state: str) -> None:
        self.resource = Resource(f"step:{name}", "step", name, "step", name, "")
        self.arguments = arguments
        self.state = state
        self.key = state


class DoorHost(EngineHost):
    """The host of calls that belong to a request: what they log is known by the request's id."""

    def log(self, message: str, *, warning: bool = False, **fields: JSON) -> None:
        if "execution" in fields:
            fields = {"request_id": fields.pop("execution"), **fields}
        super().log(message, warning=warning, **fields)


class ReadingHost(DoorHost):
    """A host whose transactions only read: they wait for no writer."""

    def transaction(self, *, reading: bool = True) -> AbstractContextManager[Connection]:
        return self.store.aside(reading=True)


class Steps:
    """The steps of a service. Thread-safe: every call has a transaction of its own."""

    def __init__(self, store: Store, clock: Clock, settings: Mapping[str, str], registry: StepRegistry) -> None:
        self.registry = registry
        self.clock = clock
        self.writing = DoorHost(store, clock, settings, aside=True, log_keys=registry.log_keys)
        self.reading = ReadingHost(store, clock, settings, log_keys=registry.log_keys)

    def call(
        self, name: str, arguments: JSON, *, execution: str = "request", state: str = "Door", read: bool = False
    ) -> Any:
        """The result of one step. Raises StepError, UnknownStep, StoreUnavailable."""
        host = self.reading if read else self.writing
        delivery: Any = Delivery(name, arguments, state)
        context = CallContext(host, Execution(execution, None), delivery, lambda token: None)
        try:
            events = invoke(self.registry.get(name), delivery, context, self.registry.schemas)
        except Declined as declined:
            event = declined.event
            raise StepError(event.error, event.cause, retry_after=event.retry_after) from None
        return events[-1].output

    def run(self, machine: StateMachine, given: JSON, request_id: str) -> Outcome:
        """Run a flow that only reads to its end, here and in memory."""

        def answer(call: TaskCall) -> JSON:
            name = call.resource.removeprefix("step:")
            return self.call(name, call.arguments, execution=request_id, state=call.state, read=True)

        moment = self.reading.now()
        return simulate(machine, given, tasks=answer, now=moment, name=request_id, type="EXPRESS")
