"""Operations of the OpenAPI document, compiled: how to find them, what they take, which flow answers them and how.

The extension fields are described in docs/http.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine.machine import StateMachine
from engine.service.http.checks import Bodies, Parameters
from engine.service.http.document import OpenApi
from engine.service.http.problems import Refused
from engine.service.http.templates import Pointer, Template, template
from engine.values import JSON

BODY_LIMIT: Final = 32_768
WAIT_SECONDS: Final = 10.0
INLINE, DURABLE = "inline", "durable"
FLOW_FIELDS: Final = {
    "flow",
    "run",
    "input",
    "name",
    "key",
    "subject",
    "wait",
    "present",
    "makes",
    "accepted",
    "answers",
    "errors",
    "cursor",
}
ANSWER_FIELDS: Final = {"when", "status", "headers", "etag", "body", "problem"}

MakeMachine = Callable[[Any], StateMachine]


class Answer(NamedTuple):
    """One way to answer: taken when `when` holds. `problem`: members of a problem instead of a body."""

    when: Template | None
    status: int
    headers: Template
    etag: Template | None
    body: Template | None
    problem: Template | None


class Flow(NamedTuple):
    """The flow behind an operation: `x-flow` of the document, compiled."""

    machine: StateMachine
    durable: bool
    input: Template
    name: Template | None
    key: Template | None
    subject: Template | None
    wait: float
    present: Flow | None
    makes: bool
    accepted: Template | None
    answers: tuple[Answer, ...]
    errors: Mapping[str, str]
    next: Template | None


class Operation:
    """One operation. `scopes`: what each alternative of its security asks for; None when it is open to everybody."""

    def __init__(
        self, document: OpenApi, route: str, method: str, given: Mapping[str, Any], parameters: list[dict[str, Any]],
        ready: MakeMachine,
    ) -> None:  # fmt: skip
        where: Pointer = ("paths", route, method.lower())
        service = document.service
        self.id: str = given.get("operationId") or f"{method} {route}"
        self.method = method
        self.route = route
        self.pattern, self.literals = _pattern(route)
        self.parameters = Parameters(document, parameters)
        body = document.resolve(given["requestBody"]) if "requestBody" in given else None
        self.bodies = Bodies(document, body, service.get("media_types", {}))
        limits = {**service.get("limits", {}), **given.get("x-limits", {})}
        self.body_limit = int(limits.get("body_bytes", BODY_LIMIT))
        self.rate: str | None = limits.get("rate")
        self.scopes = _scopes(given.get("security", document.whole.get("security", [])))
        self.verify: str | None = given.get("x-verify")
        self.normalise: str | None = given.get("x-normalise")
        self.builtin: str | None = given.get("x-answer")
        self.stream: Mapping[str, Any] | None = given.get("x-stream")
        self.keyed = any(one.name.lower() == "idempotency-key" for one in self.parameters.all)
        self.matched = any(one.name.lower() == "if-match" for one in self.parameters.all)
        self.produces = [
            media
            for answer in given.get("responses", {}).values()
            for media in document.resolve(answer).get("content", {})
        ]
        self.flow: Flow | None = None
        if "x-flow" in given:
            statuses = [int(status) for status in given["responses"] if status.isdigit() and status.startswith("2")]
            self.flow = compile_flow(document, given["x-flow"], (*where, "x-flow"), ready, min(statuses, default=200))
        elif self.builtin is None:
            raise document.wrong(where, "no-flow", f"{method} {route} has no x-flow", "name the flow that answers it")

    def match(self, path: str) -> dict[str, str] | None:
        """The path's parameters, or None when it is another path."""
        found = self.pattern.fullmatch(path)
        return None if found is None else found.groupdict()


def compile_flow(document: OpenApi, given: Mapping[str, Any], where: Pointer, ready: MakeMachine, status: int) -> Flow:
    """`x-flow` compiled; `ready` reads a flow file. Raises DefinitionError with the place."""
    strangers = set(given) - FLOW_FIELDS
    if strangers or "flow" not in given:
        said = f"x-flow does not know {', '.join(sorted(strangers))}" if strangers else "x-flow names no flow"
        raise document.wrong(where, "unknown-field", said, f"there are: {', '.join(sorted(FLOW_FIELDS))}")
    durable = given.get("run", INLINE) == DURABLE
    if durable and "name" not in given:
        raise document.wrong(where, "missing-field", "a durable flow needs a name for its executions", "add: name")

    def made(field: str) -> Template | None:
        return template(document, given[field], (*where, field)) if field in given else None

    file = document.folder / str(given["flow"])
    if not file.is_file():
        said, hint = f"there is no flow {given['flow']}", f"write it to {file}: the path is relative to this document"
        raise document.wrong((*where, "flow"), "no-such-flow", said, hint)
    answers = tuple(
        _answer(document, answer, (*where, "answers", at), status)
        for at, answer in enumerate(given.get("answers", [{}]))
    )
    present = given.get("present")
    return Flow(
        machine=ready(file),
        durable=durable,
        input=made("input") or template(document, {}, (*where, "input")),
        name=made("name"),
        key=made("key"),
        subject=made("subject"),
        wait=float(given.get("wait", WAIT_SECONDS)),
        present=compile_flow(document, present, (*where, "present"), ready, status) if present else None,
        makes=bool(given.get("makes", False)),
        accepted=made("accepted"),
        answers=answers,
        errors=given.get("errors", {}),
        next=made("cursor"),
    )


def _answer(document: OpenApi, given: Mapping[str, Any], where: Pointer, status: int) -> Answer:
    strangers = set(given) - ANSWER_FIELDS
    if strangers:
        said = f"an answer does not know {', '.join(sorted(strangers))}"
        raise document.wrong(where, "unknown-field", said, f"there are: {', '.join(sorted(ANSWER_FIELDS))}")

    def made(field: str, default: JSON = None) -> Template | None:
        value = given.get(field, default)
        return None if value is None else template(document, value, (*where, field))

    return Answer(
        when=made("when"),
        status=int(given.get("status", status)),
        headers=made("headers", {}) or template(document, {}, where),
        etag=made("etag"),
        body=made("body", None if given.get("status", status) == 204 else "{% output %}"),
        problem=made("problem"),
    )


class Routes:
    """Finds the operation of a request."""

    def __init__(self, operations: list[Operation]) -> None:
        # What is written out in a path wins over what is a parameter there.
        self.operations = sorted(operations, key=lambda operation: operation.literals, reverse=True)

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation and the path's parameters. Raises Refused: not_found, method_not_allowed."""
        allowed: set[str] = set()
        for operation in self.operations:
            found = operation.match(path)
            if found is None:
                continue
            if operation.method == method or (method == "HEAD" and operation.method == "GET"):
                return operation, found
            allowed |= {operation.method, *(["HEAD"] if operation.method == "GET" else [])}
        if allowed:
            raise Refused("method_not_allowed", headers={"Allow": ", ".join(sorted(allowed))})
        raise Refused("not_found")


def _pattern(route: str) -> tuple[re.Pattern[str], list[bool]]:
    parts = re.split(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", route)
    text = "".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile(text), ["{" not in part for part in route.split("/")]


def _scopes(security: list[Mapping[str, list[str]]]) -> list[frozenset[str]] | None:
    if not security or {} in security:
        return None
    return [frozenset(scope for scopes in one.values() for scope in scopes) for one in security]
