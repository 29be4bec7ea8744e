"""One state, entered once: what goes through its stages, what it answers, and how the answer is told."""

from __future__ import annotations

from typing import Any

from engine.core.events import ScheduleTask, TaskFailed, TaskSucceeded
from engine.core.execution import ROOT, Frame
from engine.core.matching import TIMEOUT, find_catcher, find_retrier
from engine.errors import ExecutionFailure
from engine.outcomes import Call, Failed, Goto, Sleep, Stages
from engine.service.calling import Resources
from engine.service.state_test.context import TrialScope
from engine.service.state_test.map_trial import map_trial
from engine.service.state_test.path_stages import PathStages
from engine.service.state_test.request import Request
from engine.states.map_ import Map
from engine.values import JSON, dump

BOTH = frozenset({"afterResultPath", "afterResultSelector"})
SHOWN = {
    "Task": BOTH | {"afterInputPath", "afterParameters", "afterArguments", "result"},
    "Pass": BOTH | {"afterInputPath", "afterParameters"},
    "Map": BOTH | {"afterInputPath"},
    "Parallel": BOTH,
}
"""What AWS shows of the stages of each type (recorded); of the others only afterInputPath."""

FIXED = BOTH | {"result"}
"""What it shows of a Pass with a Result."""


class Trial:
    """A test of one state. `run` may be called once."""

    def __init__(self, request: Request, resources: Resources) -> None:
        self.request = request
        self.resources = resources
        self.state = request.state
        self.scope = TrialScope(request.input, request.context, request.variables, request.now)
        self.paths = PathStages(request.source, self.state.TYPE) if request.by_path else None
        self.seen: dict[str, JSON] = {}
        self.told: dict[str, JSON] = {}
        self.variables = dict(request.variables)
        self.shown = SHOWN.get(self.state.TYPE, frozenset({"afterInputPath"}))
        if self.state.TYPE == "Pass" and request.by_path and "Result" in request.source:
            self.shown = FIXED

    def run(self) -> dict[str, Any]:
        """Enter the state; answers what TestState answers."""
        try:
            answer = self._enter()
        except ExecutionFailure as failure:
            answer = self._failed(failure.error, failure.cause)
        if self.request.level != "INFO":
            answer["inspectionData"] = self._inspection()
        return answer

    # -- entering --------------------------------------------------------------------------------------------------

    def _enter(self) -> dict[str, Any]:
        request, mock = self.request, self.request.mock
        data = self._prepare()
        if isinstance(self.state, Map):
            map_trial(self.state, request, data, self.scope, self.told)
        if mock is not None:
            if mock.fails:
                return self._failed(mock.error, mock.cause)
            return self._finish(self.state.stages, mock.result, self.state.next)
        outcome = self.state.enter(data, self.scope)
        match outcome:
            case Failed():
                return self._failed(outcome.error, outcome.cause)
            case Goto():
                return self._finish(outcome.stages, outcome.result, outcome.target)
            case Call():
                return self._call(outcome)
            case Sleep():
                return self._finish(self.state.stages, outcome.result, self.state.next)
        return self._finish(self.state.stages, getattr(outcome, "result", None), self.state.next)

    def _prepare(self) -> JSON:
        """What the state works on."""
        data = self.request.input
        if self.paths is not None:
            self.seen["afterInputPath"] = data = self.paths.select_input(data, self.scope)
            self.seen["afterParameters"] = data = self.paths.build_parameters(data, self.scope)
            return data
        prepare = self.state.stages.prepare
        if prepare is not None:
            self.seen["afterArguments"] = data = prepare(data, self.scope)
        return data

    def _call(self, call: Call) -> dict[str, Any]:
        """Call the resource for real."""
        frame = Frame(ROOT, self.request.name, self.request.input, 0)
        frame.token = frame.key = frame.tries = 1
        frame.call = {"again": 0}
        command = ScheduleTask(frame, call.resource, call.arguments)
        for event in self.resources.answer(self.request.name, command, lambda token: None):
            if isinstance(event, TaskFailed):
                return self._failed(event.error, event.cause)
            if isinstance(event, TaskSucceeded):
                return self._finish(self.state.stages, event.output, self.state.next)
        return self._failed(TIMEOUT, None)

    # -- ending ----------------------------------------------------------------------------------------------------

    def _finish(self, stages: Stages, result: JSON, target: str | None) -> dict[str, Any]:
        """The state has its result, or a catcher its error."""
        data, scope = self.request.input, self.scope
        if self.state.retries:
            scope.result = result
        self.seen["result"] = result
        if self.paths is not None and stages is self.state.stages:
            self.seen["afterResultSelector"] = selected = self.paths.select_result(result, scope)
            self.seen["afterResultPath"] = placed = self.paths.place_result(data, selected)
            output = self.paths.select_output(placed, scope)
        else:
            output = result if stages.produce is None else stages.produce(data, result, scope)
        return self._answer("SUCCEEDED", stages, result, output, target)

    def _answer(self, status: str, stages: Stages, result: JSON, output: JSON, target: str | None) -> dict[str, Any]:
        if stages.assign is not None:
            self.variables |= stages.assign(self.request.input, result, self.scope)
        answer = {"output": dump(output), "status": status}
        return answer if target is None else {**answer, "nextState": target}

    def _failed(self, error: str | None, cause: str | None) -> dict[str, Any]:
        """The state failed: it would be retried, is caught, or fails."""
        what = {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}
        retriers, used = self.state.retriers, self.request.configuration.get("retrierRetryCount", 0)
        number = find_retrier(retriers, (used,) * len(retriers), error)
        if number is not None:
            retrier = retriers[number]
            delay = min(retrier.interval * retrier.backoff_rate**used, retrier.max_delay or float("inf"))
            self.told["errorDetails"] = {"retryIndex": number, "retryBackoffIntervalSeconds": int(delay)}
            return {**what, "status": "RETRIABLE"}
        catcher = find_catcher(self.state.catchers, error)
        if catcher is None:
            return {**what, "status": "FAILED"}
        self.scope.error_output = found = {"Error": error, "Cause": cause}
        produce = catcher.stages.produce
        try:
            output = found if produce is None else produce(self.request.input, found, self.scope)
            answer = self._answer("CAUGHT_ERROR", catcher.stages, found, output, catcher.next)
        except ExecutionFailure as failure:
            return {"error": failure.error, "cause": failure.cause, "status": "FAILED"}
        self.told["errorDetails"] = {"catchIndex": self.state.catchers.index(catcher)}
        return {**what, **answer}

    def _inspection(self) -> dict[str, Any]:
        """What the request's level shows: the stages as JSON texts, and the numbers of a Map as they are."""
        texts = {"input": self.request.input}
        texts |= {name: value for name, value in self.seen.items() if name in self.shown}
        texts |= {name: value for name, value in self.told.items() if name.startswith("after")}
        if self.variables:
            texts["variables"] = self.variables
        plain = {name: value for name, value in self.told.items() if not name.startswith("after")}
        return {**{name: dump(value) for name, value in texts.items()}, **plain}
