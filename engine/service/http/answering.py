"""From what a flow came to, to the response: by the operation's `answers` and the catalogue of problems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.errors import ExecutionFailure
from engine.runtime.context import logger
from engine.service.http.messages import JSON_TYPE, Request, Response, encode
from engine.service.http.operations import Answer, Flow
from engine.service.http.preferences import etag, matches
from engine.service.http.problems import FALLBACK, FIELDS, STANDARD, Catalogue, Refused, accepted_languages
from engine.service.http.running import Ending
from engine.service.http.templates import View

PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept-Language"}


class Answering:
    """Makes responses of endings."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def of(self, flow: Flow, ending: Ending, variables: Mapping[str, Any], moment: float, request: Request) -> Response:
        """The response to what a flow came to. Raises Refused when that is a problem."""
        if not ending.succeeded:
            raise self.refusal(flow, ending)
        view = View({**variables, "output": ending.output}, moment)
        for answer in flow.answers:
            if answer.when is None or answer.when.holds(view):
                return self._response(answer, view, request)
        raise Refused(FALLBACK)

    def refusal(self, flow: Flow, ending: Ending) -> Refused:
        """The problem of a failed execution. Its cause is shown only for errors that the catalogue knows; a cause
        that is a JSON object becomes members of the problem."""
        code = flow.errors.get(ending.error or "") or self.catalogue.code_of(ending.error)
        if code == FALLBACK:
            logger.warning("a request ended with %s (%s)", ending.error, ending.status)
            return Refused(code)
        members = _members(ending.cause)
        if members is None:
            expected = int(self.catalogue.entry(code)["status"]) < 500
            return Refused(code, ending.cause if expected and _is_plain(ending.cause) else None)
        return Refused(code, members.pop("detail", None), **members)

    def _response(self, answer: Answer, view: View, request: Request) -> Response:
        try:
            if answer.problem is not None:
                members = {name: value for name, value in answer.problem.evaluate(view).items() if value is not None}
                raise Refused(str(members.pop("code")), members.pop("detail", None), **members)
            headers = {name: _text(value) for name, value in answer.headers.evaluate(view).items() if value is not None}
            headers = {**PRIVATE, **headers}
            if answer.etag is not None:
                headers["ETag"] = etag(answer.etag.evaluate(view))
                if request.method in ("GET", "HEAD") and matches(
                    request.header("if-none-match"), headers["ETag"], weak=True
                ):
                    return Response(304, {name: headers[name] for name in ("ETag", *PRIVATE)})
            if answer.body is None:
                return Response(answer.status, headers)
            body, language = self.catalogue.told(
                answer.body.evaluate(view), accepted_languages(request.header("accept-language"))
            )
            spoken = {} if language is None else {"Content-Language": language}
            return Response(answer.status, {"Content-Type": JSON_TYPE, **headers, **spoken}, encode(body))
        except ExecutionFailure as failure:
            logger.error("an answer cannot be made: %s", failure.cause)
            raise Refused(FALLBACK) from None


def _members(cause: str | None) -> dict[str, Any] | None:
    if not cause or not cause.startswith("{"):
        return None
    try:
        found = json.loads(cause)
    except ValueError:
        return None
    return {name: value for name, value in found.items() if name not in (*STANDARD, *FIELDS) or name == "detail"}


def _is_plain(cause: str | None) -> bool:
    """Whether a cause is a sentence of ours and not the engine's words, which quote data."""
    return bool(cause) and not str(cause).startswith("An error occurred while")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
