"""`arn:aws:states:::http:invoke`: a call of an HTTPS API, with AWS's parameters, answers and error names.

AWS keeps credentials in EventBridge connections. Here a connection is a setting: for `Authentication.ConnectionArn`
`arn:…:connection/NAME/ID` the setting `ENGINE_CONNECTION_NAME` (capitals, other characters as `_`) holds one header, as
`Authorization: Bearer …`. Plain `http:` is for this machine only. Redirects are not followed.
Source: AWS Step Functions Developer Guide, "Call HTTPS APIs in Step Functions workflows".
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from engine.outcomes import Resource
from engine.step import Step, StepError
from engine.values import JSON, dump, read_json

LONGEST: Final = 60.0
"""Seconds that an answer is waited for (AWS)."""
FIELDS: Final = {
    *("ApiEndpoint", "Authentication", "Headers", "InvocationConfig", "Method", "QueryParameters", "RequestBody"),
    "Transform",
}
LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
MAX_BYTES: Final = 262_144


def step(resource: Resource) -> Step:
    """The call of an API."""
    made = Step("http", _invoke, idempotency="natural")
    made.name = "http:invoke"
    return made


def _invoke(arguments: JSON, ctx: Any) -> JSON:
    import httpx  # heavy: loaded by the first call

    method, url, headers, body = _request(arguments, ctx.settings)
    try:
        with httpx.Client(timeout=ctx.remaining(LONGEST), follow_redirects=False) as client:
            answer = client.request(method, url, headers=headers, params=arguments.get("QueryParameters"), content=body)
    except httpx.HTTPError as problem:
        raise StepError(
            "States.Http.Socket", f"{type(problem).__name__} while calling {urlsplit(url).netloc}"
        ) from None
    found = _answer(answer)
    if answer.status_code >= 300:
        raise StepError(f"States.Http.StatusCode.{answer.status_code}", dump(found))
    return found


def _request(arguments: JSON, settings: Any) -> tuple[str, str, dict[str, str], bytes | None]:
    """Method, address, headers and body. Raises StepError States.Runtime."""
    if not isinstance(arguments, dict) or not all(
        isinstance(arguments.get(key), str) for key in ("ApiEndpoint", "Method")
    ):
        raise StepError("States.Runtime", "http:invoke needs the parameters ApiEndpoint and Method")
    unknown = set(arguments) - FIELDS
    if unknown:
        raise StepError("States.Runtime", f"http:invoke has no parameter {min(unknown)}")
    url = arguments["ApiEndpoint"]
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in LOOPBACK):
        raise StepError("States.Runtime", "ApiEndpoint must begin with https://")
    headers = {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
               for name, value in (arguments.get("Headers") or {}).items()}  # fmt: skip
    names = {name.lower(): name for name in headers}
    body = None
    if "RequestBody" in arguments:
        given = arguments["RequestBody"]
        body = (given if isinstance(given, str) else dump(given)).encode()
        if "content-type" not in names:
            headers["Content-Type"] = "application/json"
    connection = (arguments.get("Authentication") or arguments.get("InvocationConfig") or {}).get("ConnectionArn")
    if connection is not None:
        name, value = _credential(str(connection), settings)
        headers[names.get(name.lower(), name)] = value
    return arguments["Method"].upper(), url, headers, body


def _credential(connection: str, settings: Any) -> tuple[str, str]:
    """The header that a connection stands for. Raises StepError."""
    found = re.search(r":connection/([^/]+)", connection)
    setting = "ENGINE_CONNECTION_" + re.sub(r"\W", "_", found[1] if found else connection).upper()
    name, colon, value = str(settings.get(setting, "")).partition(":")
    if not colon:
        raise StepError(
            "Events.ConnectionResource.NotFound", f"the setting {setting} must hold a header, 'Name: value'"
        )
    return name.strip(), value.strip()


def _answer(answer: Any) -> dict[str, JSON]:
    if len(answer.content) > MAX_BYTES:
        raise StepError("States.DataLimitExceeded", f"the answer is larger than {MAX_BYTES} bytes")
    headers: dict[str, JSON] = {}
    for name, value in answer.headers.multi_items():
        headers.setdefault(name, []).append(value)
    body: JSON = answer.text
    if "json" in answer.headers.get("content-type", ""):
        try:
            body = read_json(answer.content) if answer.content else ""
        except ValueError:
            body = answer.text
    return {
        "Headers": headers,
        "ResponseBody": body,
        "StatusCode": answer.status_code,
        "StatusText": answer.reason_phrase,
    }
