"""`HttpService`: one request in, one response out. Which operation, flow and answer that is, the OpenAPI document
says."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.definition import load
from engine.errors import EngineError, ExecutionFailure, InvalidInput, StoreUnavailable
from engine.machine import StateMachine
from engine.runtime.context import logger
from engine.runtime.engine import Engine
from engine.runtime.worker import Worker
from engine.service.http.answering import Answering
from engine.service.http.bodies import Unreadable, read_json
from engine.service.http.builtin import BUILTIN
from engine.service.http.callers import Caller, Callers, Verifier
from engine.service.http.cursors import Cursors, link
from engine.service.http.document import OpenApi
from engine.service.http.idempotency import REPLAYED, Fate, Identity, Keys, fate, kept
from engine.service.http.limiting import RateLimits
from engine.service.http.messages import Request, Response, encode
from engine.service.http.operations import Flow, Operation, Routes
from engine.service.http.preferences import fingerprint, idempotency_key, versions, waiting
from engine.service.http.problems import FALLBACK, Refused, accepted_languages, read_catalogue
from engine.service.http.running import Ending, NotStarted, Runner
from engine.service.http.stepping import Steps
from engine.service.http.streams import Failed, Streams
from engine.service.http.telling import Answered, about, tell
from engine.service.http.templates import Template, View
from engine.step import StepError
from engine.stores import open_store
from engine.values import JSON

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,128}")
EVERYWHERE: Final = {"X-Content-Type-Options": "nosniff"}


class Ask:
    """One request on its way: what was read of it so far."""

    __slots__ = (
        "body",
        "caller",
        "execution",
        "id",
        "identity",
        "key",
        "operation",
        "parameters",
        "path",
        "request",
        "verified",
    )

    def __init__(self, request: Request, request_id: str) -> None:
        self.request = request
        self.id = request_id
        self.operation: Operation
        self.path: Mapping[str, str] = {}
        self.caller: Caller
        self.parameters: dict[str, dict[str, JSON]] = {}
        self.body: JSON = None
        self.verified: JSON = None
        self.key: str | None = None
        self.identity: Identity | None = None
        self.execution: str | None = None

    def variables(self, **more: JSON) -> dict[str, JSON]:
        """What expressions of the document see."""
        request = {"id": self.id, "method": self.request.method, **self.parameters, "body": self.body}
        caller = {"id": self.caller.id, "scopes": sorted(self.caller.scopes)}
        names = self.identity.names() if self.identity is not None else {}
        return {"request": request, "caller": caller, "verified": self.verified, "running": False, **names, **more}

    def key_of(self) -> dict[str, JSON]:
        """Whose key it is: caller, method, route, key."""
        operation = self.operation
        return {"caller": self.caller.id, "method": operation.method, "route": operation.route, "key": self.key}


class HttpService:
    """Answers requests as an OpenAPI document says. Thread-safe.

    `document`: the path of the document. `engine`: runs the flows; with `worker`, which runs in this process, what is
    started here runs here, else a worker elsewhere has to. `verifier`: checks bearer tokens. `demo`: whether requests
    act as the document's demo caller when there is no verifier. `checks` by name must not be false for the service to
    be ready.

    Raises DefinitionError for a document or flow that has mistakes.
    """

    def __init__(
        self,
        document: str,
        engine: Engine,
        *,
        worker: Worker | None = None,
        verifier: Verifier | None = None,
        demo: bool = False,
        checks: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self.document = OpenApi(document)
        service = self.document.service
        self.catalogue = read_catalogue(service, self.document.folder)
        self.engine = engine
        self.clock = engine.host.clock
        self._machines: dict[str, StateMachine] = {}
        self.routes = Routes([Operation(self.document, *one, self._ready) for one in self.document.operations()])
        self.steps = Steps(engine.host.store, self.clock, engine.host.settings, engine.steps)
        url = engine.host.store.url
        self._looking = engine.host.store if url == "memory:" else open_store(engine.store_address)
        self.runner = Runner(engine, worker, self._looking)
        self.keys = Keys(self.steps, service["idempotency"]) if "idempotency" in service else None
        self.callers = Callers(verifier, service.get("demo") if demo else None)
        self.rates = RateLimits(service.get("limits", {}).get("rate"))
        self.streams = Streams()
        secret = engine.host.settings.get("CURSOR_KEY") or secrets.token_hex(32)
        self.cursors = Cursors(secret.encode())
        self.answering = Answering(self.catalogue)
        self.public_document = encode(self.document.public())
        self.checks: Mapping[str, Callable[[], Any]] = {"store": self._store_answers, **(checks or {})}

    def close(self) -> None:
        """End the streams and let go of what the service has opened; the engine is not its own."""
        self.streams.close()
        if self._looking is not self.engine.host.store:
            self._looking.close()

    def handle(self, request: Request) -> Response:
        """The response to a request. Never raises: what goes wrong here is a problem of its own, and logged."""
        began = self.clock.now()
        given = request.header("x-request-id") or ""
        ask = Ask(request, given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(10)}")
        try:
            response = self._answer(ask)
        except Refused as refused:
            response = self._refuse(refused, ask)
        except StoreUnavailable as problem:
            logger.warning("request %s: the store does not answer: %s", ask.id, problem, extra=about(ask.id))
            response = self._refuse(Refused("service_unavailable"), ask)
        except Exception as defect:
            what = type(defect).__name__
            logger.error("request %s: unexpected %s", ask.id, what, exc_info=defect, extra=about(ask.id))
            response = self._refuse(Refused(FALLBACK), ask)
        response.headers |= {**EVERYWHERE, "X-Request-Id": ask.id}
        if request.method == "HEAD":
            response.drop_body()
        operation = ask.operation.id if hasattr(ask, "operation") else "unknown"
        caller = ask.request.header("traceparent")
        tell(Answered(ask.id, operation, response.status, began, self.clock.now(), ask.execution, caller))
        return response

    def _refuse(self, refused: Refused, ask: Ask) -> Response:
        return self.catalogue.response(refused, ask.request, ask.id)

    def _answer(self, ask: Ask) -> Response:
        ask.operation, ask.path = self.routes.find(ask.request.method, ask.request.path)
        operation = ask.operation
        ask.caller = self.callers.of(ask.request, operation)
        self.rates.check(ask.caller, ask.request, operation)
        ask.parameters = operation.parameters.read(ask.request, ask.path)
        if operation.builtin is not None:
            return BUILTIN[operation.builtin](self, ask.request, ask.path)
        self._read_body(ask)
        assert operation.flow is not None
        if operation.flow.durable:
            return self._durable(ask, operation.flow)
        if operation.stream is not None:
            return self._stream(ask, operation.flow, operation.stream)
        return self._inline(ask, operation.flow)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read_body(self, ask: Ask) -> None:
        """The body, checked; or the demand of If-Match. Raises Refused."""
        operation, request = ask.operation, ask.request
        if operation.matched:
            ask.parameters["header"]["if_match"] = versions(request.header("if-match"))
        if operation.keyed:
            ask.key = idempotency_key(request.header("idempotency-key") or "")
        if request.body is None or len(request.body) > operation.body_limit:
            raise Refused("payload_too_large", f"at most {operation.body_limit} bytes are read")
        if operation.verify is not None:
            ask.verified = self._verified(ask, operation.verify, request.body)
        if not operation.bodies.taken or (not request.body and not operation.bodies.required):
            return
        media = operation.bodies.media_type(request)
        try:
            ask.body = read_json(request.body)
        except Unreadable as problem:
            raise Refused("validation_failed", str(problem)) from None
        if operation.normalise is not None:
            ask.body = self._step(operation.normalise, {"body": ask.body, "caller": ask.caller.id}, ask.id)
        operation.bodies.check(media, ask.body)

    def _verified(self, ask: Ask, step: str, body: bytes) -> JSON:
        """What the step that checks a signature says of the body as it came."""
        text = body.decode("utf-8", "surrogateescape")
        if not text.isprintable() and any("\udc80" <= one <= "\udcff" for one in text):
            raise Refused("validation_failed", "the body is not UTF-8")
        return self._step(step, {**ask.parameters["path"], "headers": dict(ask.request.headers), "body": text}, ask.id)

    def _step(self, name: str, arguments: JSON, request_id: str) -> JSON:
        try:
            return self.steps.call(name, arguments, execution=request_id)
        except StepError as failure:
            nothing = Ending("FAILED", None, failure.error, failure.cause)
            flow = self._current_flow(name)
            raise self.answering.refusal(flow, nothing) from None

    def _current_flow(self, name: str) -> Flow:
        found = next((one.flow for one in self.routes.operations if name in (one.verify, one.normalise)), None)
        assert found is not None
        return found

    # -- flows -----------------------------------------------------------------------------------------------------

    def _inline(self, ask: Ask, flow: Flow) -> Response:
        """Run the flow here, in memory, and answer."""
        ask.parameters["query"] |= self._place(ask, flow)
        variables = ask.variables()
        ending = self._read(flow, variables, ask.id)
        headers: dict[str, str] = {}
        if flow.next is not None and ending.succeeded:
            place = flow.next.evaluate(View({**variables, "output": ending.output}, self.clock.now()))
            following = None if place is None else self.cursors.sign(place, self._list(ask))
            variables["next_cursor"] = following
            if following is not None:
                headers["Link"] = link(ask.request, following)
        response = self.answering.of(flow, ending, variables, self.clock.now(), ask.request)
        response.headers |= headers
        return response

    def _stream(self, ask: Ask, flow: Flow, settings: Mapping[str, Any]) -> Response:
        """Ask the flow again and again for what comes `after`."""
        last = str(ask.parameters["header"].get("last_event_id") or "0")
        languages = accepted_languages(ask.request.header("accept-language"))

        def read(after: int) -> Ending:
            ending = self._read(flow, ask.variables(after=after), ask.id)
            return ending._replace(output=self.catalogue.told(ending.output, languages)[0])

        try:
            return self.streams.open(read, settings, int(last), follow=ask.request.follows)
        except Failed as failed:
            raise self.answering.refusal(flow, failed.ending) from None

    def _place(self, ask: Ask, flow: Flow) -> dict[str, JSON]:
        cursor = ask.parameters["query"].get("cursor")
        if flow.next is None or cursor is None:
            return {}
        return {"cursor": self.cursors.read(str(cursor), self._list(ask))}

    def _list(self, ask: Ask) -> str:
        return f"{ask.operation.id}\x1f{ask.caller.id}"

    def _read(self, flow: Flow, variables: Mapping[str, JSON], request_id: str) -> Ending:
        outcome = self.steps.run(flow.machine, self._evaluate(flow.input, variables), request_id)
        return Ending(outcome.status, outcome.output, outcome.error, outcome.cause)

    def _durable(self, ask: Ask, flow: Flow) -> Response:
        """Start the flow, or find it started; wait; answer."""
        assert flow.name is not None
        now = int(self.clock.now() * 1000)
        ask.identity = self._identity(ask, flow, now)
        subject = self._subject(ask, flow)
        if ask.key is not None and self.keys is not None:
            version = ask.parameters["header"].get("if_match")
            print_ = fingerprint(ask.operation.method, ask.request.path, version, ask.body)
            found = self.keys.claim(ask.key_of(), print_, subject, now, ask.id)
            if found["state"] == "DONE":
                return kept(found) or self._replay(ask, flow, found)
            if found["state"] == "RESUMED":
                ask.identity = self._identity(ask, flow, int(found["created_ms"]))
                subject = self._subject(ask, flow)
        response, becomes = self._run(ask, flow, subject)
        if ask.key is not None and self.keys is not None:
            self.keys.finish(ask.key_of(), subject, response, becomes, ask.id)
        return response

    def _run(self, ask: Ask, flow: Flow, subject: str) -> tuple[Response, Fate]:
        """The response, and what becomes of the key."""
        variables = ask.variables(subject=subject)
        name = ask.execution = str(self._evaluate(flow.name, variables))
        given = self._evaluate(flow.input, variables)
        try:
            started = self.runner.start(flow.machine, given, name)
        except InvalidInput:
            return self._refuse(Refused("validation_failed", "the request is too large to be taken on"), ask), Fate.FREE
        seconds, applied = waiting(ask.request.header("prefer"), flow.wait)
        present: dict[str, JSON] = {"running": True, "subject": subject}
        try:
            ending = self.runner.wait(started, seconds, lambda: self._present(ask, flow, present).succeeded)
        except NotStarted as slow:
            # The key stays locked: whoever comes with it later finds what may still have been started.
            logger.warning("request %s: %s", ask.id, slow, extra=about(ask.id))
            raise Refused("service_unavailable") from None
        if ending is not None and not ending.succeeded and flow.makes and self._is_made(ask, flow, present):
            ending, present["running"] = None, False  # the key leads to what is there: there is no second one
        shown, unforeseen = ending, False
        try:
            if shown is None:
                shown, variables = self._unfinished(ask, flow, present), ask.variables(**present)
            response = self.answering.of(flow, shown, variables, self.clock.now(), ask.request)
        except Refused as refused:
            response, unforeseen = (
                self._refuse(refused, ask),
                refused.code == FALLBACK or not (shown and shown.succeeded),
            )
        if applied is not None:
            response.headers["Preference-Applied"] = applied
        return response, fate(ending, response.status, unforeseen=unforeseen)

    def _unfinished(self, ask: Ask, flow: Flow, present: Mapping[str, JSON]) -> Ending:
        """What it is about as it is now, while the flow goes on, or what was accepted; a failure where neither can be
        shown to this caller."""
        ending = self._present(ask, flow, present)
        if ending.succeeded or not flow.accepted:
            return ending
        return Ending("SUCCEEDED", self._evaluate(flow.accepted, ask.variables(**present)))

    def _is_made(self, ask: Ask, flow: Flow, present: Mapping[str, JSON]) -> bool:
        """Whether a flow that failed has made what the request is about. Raises Refused when that cannot be told now:
        the key stays locked, and the next request with it asks again."""
        found = self._present(ask, flow, present)
        if not found.succeeded and self.catalogue.entry(self.answering.refusal(flow, found).code)["status"] != 404:
            raise Refused("service_unavailable")
        return found.succeeded

    def _present(self, ask: Ask, flow: Flow, more: Mapping[str, JSON]) -> Ending:
        if flow.present is None:
            return Ending("SUCCEEDED", self._evaluate(flow.accepted, ask.variables(**more)) if flow.accepted else {})
        return self._read(flow.present, ask.variables(**more), ask.id)

    def _replay(self, ask: Ask, flow: Flow, found: Mapping[str, Any]) -> Response:
        """The first answer was 202: how things stand now. A flow that has failed since tells why; what one that ended
        well is about may have gone on."""
        ask.identity = self._identity(ask, flow, int(found["created_ms"]))
        more: dict[str, JSON] = {"subject": found["subject"], "running": False}
        ending = self.runner.ended(str(self._evaluate(flow.name, ask.variables(**more))))
        more["running"] = ending is None
        if ending is None or (flow.present is not None and (ending.succeeded or flow.makes)):
            ending = self._present(ask, flow, more)
        try:
            response = self.answering.of(flow, ending, ask.variables(**more), self.clock.now(), ask.request)
        except Refused as refused:
            response = self._refuse(refused, ask)
        response.headers |= REPLAYED
        return response

    def _identity(self, ask: Ask, flow: Flow, created: int) -> Identity:
        if ask.key is not None:
            return Identity([str(part) for part in ask.key_of().values()], created)
        if flow.key is not None:
            # Found by what it is about alone, whenever it comes.
            return Identity([ask.operation.id, str(self._evaluate(flow.key, ask.variables()))], 0)
        return Identity([ask.id, secrets.token_hex(16)], created)

    def _subject(self, ask: Ask, flow: Flow) -> str:
        assert ask.identity is not None
        return str(self._evaluate(flow.subject, ask.variables())) if flow.subject else ask.identity.digest

    def _evaluate(self, template: Template | None, variables: Mapping[str, JSON]) -> Any:
        assert template is not None
        try:
            return template.evaluate(View(variables, self.clock.now()))
        except ExecutionFailure as failure:
            logger.error("a field of the document cannot be evaluated: %s", failure.cause)
            raise Refused(FALLBACK) from None

    # -- the rest --------------------------------------------------------------------------------------------------

    def machine(self, file: str) -> StateMachine:
        """The machine of a flow file, named as in the document."""
        return self._ready(self.document.folder / file)

    def _ready(self, file: Any) -> StateMachine:
        """The machine of a flow file, read once. Raises DefinitionError."""
        key = str(file)
        if key not in self._machines:
            machine = load(file, steps=self.engine.steps.names())
            self._machines[key] = self.engine.machines.ready(machine)
            self.engine.machines.digest(machine)
        return self._machines[key]

    def _store_answers(self) -> bool:
        try:
            with self.engine.host.store.aside(reading=True) as db:
                db.execute("SELECT 1").fetchone()
        except EngineError:
            return False
        return True
