"""AWS services as resources, through boto3.

`arn:aws:states:::sns:publish` and its like are AWS's optimized integrations, with their answers and error names;
`arn:aws:states:::aws-sdk:SERVICE:ACTION` is any call of any service. Account and region are what boto3 finds in the
environment and files that it knows; `AWS_ENDPOINT_URL` in the settings names another endpoint.

A call is sent once: whether it is sent again is for the state's Retry to say. After a crash it is delivered again, as
every step. Source: AWS Step Functions Developer Guide, "Integrating services".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from engine.errors import UnsupportedResource
from engine.outcomes import Resource
from engine.states.moments import format_timestamp
from engine.step import Step, StepError, TaskReceipt
from engine.values import JSON, dump, read_json

OPTIMIZED: Final[Mapping[str, tuple[str, str, str]]] = {
    "dynamodb": ("dynamodb", "DynamoDB", "AmazonDynamoDBv2"),
    "events": ("events", "EventBridge", "AmazonEventBridge"),
    "lambda": ("lambda", "Lambda", "AWSLambda"),
    "sns": ("sns", "SNS", "AmazonSNS"),
    "sqs": ("sqs", "SQS", "AmazonSQS"),
}
"""Service in the ARN -> boto3's name, the prefix of error names, the name in causes."""
ACTIONS: Final = frozenset(
    {
        *("dynamodb:getItem", "dynamodb:putItem", "dynamodb:deleteItem", "dynamodb:updateItem"),
        *("events:putEvents", "lambda:invoke", "sns:publish", "sqs:sendMessage"),
        *("s3:getObject", "s3:listObjectsV2", "s3:putObject"),  # of ItemReader and ResultWriter
    }
)
TEXTS: Final = {"sns:publish": "Message", "sqs:sendMessage": "MessageBody"}
"""Parameters that may be any JSON here, and are text there."""
DEFAULT_REGION: Final = "us-east-1"
LONGEST: Final = 60.0
"""Seconds that an answer is waited for."""
LONGEST_FUNCTION: Final = 910.0
"""The same for a Lambda function, which may run for 15 minutes."""


def unsupported(resource: Resource) -> str | None:
    """Why a service integration cannot be called here; None when it can."""
    name = f"{resource.service}:{resource.name.rpartition(':')[2]}"
    if resource.pattern.startswith("sync"):
        return f"{resource.uri!r} cannot be called here: of .{resource.pattern}, only startExecution runs outside AWS"
    if resource.service.startswith("aws-sdk:") or name in ACTIONS:
        return None
    return f"{resource.uri!r} cannot be called here; of its service, aws-sdk:{resource.service}:… may do"


def step(resource: Resource) -> Step:
    """The call of a service. Raises UnsupportedResource when boto3 does not know it."""
    if resource.scheme == "lambda":
        call = _Call("lambda", "invoke", "Lambda", "AWSLambda", optimized=True)
    elif resource.service.startswith("aws-sdk:") or resource.service == "s3":
        service = resource.service.removeprefix("aws-sdk:")
        prefix = SDK_PREFIXES.get(service, service[:1].upper() + service[1:])
        call = _Call(SDK_SERVICES.get(service, service), resource.name.rpartition(":")[2], prefix, prefix)
    else:
        service, prefix, long = OPTIMIZED[resource.service]
        call = _Call(service, resource.name.rpartition(":")[2], prefix, long, optimized=True)

    def invoke(arguments: JSON, ctx: Any) -> JSON:
        if resource.scheme == "lambda":
            return call({"FunctionName": resource.uri, "Payload": arguments}, ctx)["Payload"]
        answer = call(arguments, ctx)
        return TaskReceipt(answer) if resource.pattern else answer

    made = Step("aws", invoke, idempotency="natural")
    made.name = f"{call.service}:{call.action}"
    return made


SDK_SERVICES: Final = {
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "eventbridge": "events",
    "sfn": "stepfunctions",
}
"""Names of services in ARNs that differ from boto3's."""
SDK_PREFIXES: Final = {
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "secretsmanager": "SecretsManager",
    "sfn": "Sfn",
}
"""Prefixes of error names; of the others, the service with a capital."""


class _Call:
    """One operation of one service."""

    def __init__(self, service: str, action: str, prefix: str, long: str, *, optimized: bool = False) -> None:
        self.service = service
        self.action = action
        self.prefix = prefix
        self.long = long
        self.optimized = optimized
        self.method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()

    def __call__(self, arguments: JSON, ctx: Any) -> Any:
        """Make the call. Raises StepError."""
        client = _client(self.service, _endpoint(ctx.settings), _region(ctx.settings))
        operation = client.meta.method_to_api_mapping.get(self.method)
        if operation is None:
            raise StepError("States.Runtime", f"boto3 knows no operation {self.action!r} of {self.service}")
        model = client.meta.service_model.operation_model(operation)
        if not isinstance(arguments, dict):
            raise StepError("States.Runtime", f"the parameters of {self.service}:{self.action} must be an object")
        given = self._prepared(_named(arguments, model.input_shape))
        answer = self._sent(getattr(client, self.method), given)
        return self._finished(_answer(answer, model.output_shape), answer)

    def _prepared(self, given: dict[str, Any]) -> dict[str, Any]:
        name = f"{self.service}:{self.action}"
        if not self.optimized:
            return given
        text = TEXTS.get(name)
        if text in given and not isinstance(given[text], str):
            given = {**given, text: dump(given[text])}
        if name == "lambda:invoke" and "Payload" in given:
            given = {**given, "Payload": dump(given["Payload"]).encode()}
        if name == "events:putEvents":
            entries = [
                {**entry, "Detail": dump(entry["Detail"])}
                if "Detail" in entry and not isinstance(entry["Detail"], str)
                else entry
                for entry in given.get("Entries", [])
            ]
            given = {**given, "Entries": entries}
        return given

    def _sent(self, method: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # heavy, and an extra

        try:
            answer: dict[str, Any] = method(**given)
            return answer
        except ClientError as refused:
            raise self._refused(refused.response) from None
        except ParamValidationError as wrong:
            raise StepError("States.Runtime", " ".join(str(wrong).split())) from None
        except BotoCoreError as problem:
            raise StepError(f"{self.prefix}.SdkClientException", " ".join(str(problem).split())) from None

    def _refused(self, response: Mapping[str, Any]) -> StepError:
        """AWS's error name and words."""
        error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, status, request = str(error.get("Code", "")), metadata.get("HTTPStatusCode"), metadata.get("RequestId")
        name = code.rpartition("#")[2]
        name = name if name.endswith("Exception") else f"{name}Exception"
        said = str(error.get("Message", ""))
        if self.optimized:
            facts = (
                f"Service: {self.long}; Status Code: {status}; Error Code: {code}; Request ID: {request}; Proxy: null"
            )
        else:
            facts = f"Service: {self.long}, Status Code: {status}, Request ID: {request}"
        return StepError(f"{self.prefix}.{name}", f"{said} ({facts})")

    def _finished(self, found: dict[str, JSON], answer: Mapping[str, Any]) -> Any:
        if not self.optimized:
            return found
        if self.service == "events" and found.get("FailedEntryCount"):
            raise StepError("EventBridge.FailedEntry", dump(found))
        metadata = answer.get("ResponseMetadata", {})
        found["SdkHttpMetadata"] = {"HttpStatusCode": metadata.get("HTTPStatusCode")}
        found["SdkResponseMetadata"] = {"RequestId": metadata.get("RequestId")}
        if self.service == "lambda" and self.action == "invoke":
            return _lambda(found)
        return found


def _lambda(found: dict[str, JSON]) -> dict[str, JSON]:
    """Lambda's answer, its payload as a value. Raises StepError with the function's own error, and as its cause, as on
    AWS, the payload as the function wrote it."""
    text = found.get("Payload")
    try:
        payload = read_json(text) if text else None
    except ValueError:
        payload = text
    if found.get("FunctionError"):
        error = payload.get("errorType") if isinstance(payload, dict) else None
        raise StepError(error if isinstance(error, str) and error else "Lambda.Unknown", str(text or ""))
    return {**found, "Payload": payload}


def _named(value: Any, shape: Any) -> Any:
    """Parameters under boto3's names, which differ in case only, with bytes where it wants them. Unknown ones stay."""
    kind = getattr(shape, "type_name", None)
    if kind == "structure" and isinstance(value, dict):
        names = {name.lower(): name for name in shape.members}
        return {
            (known := names.get(name.lower(), name)): _named(part, shape.members.get(known))
            for name, part in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_named(part, shape.member) for part in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _named(part, shape.value) for name, part in value.items()}
    if kind == "blob" and not isinstance(value, bytes):
        return value if isinstance(value, dict | list) else str(value).encode()
    return value


def _answer(value: Any, shape: Any) -> Any:
    """What boto3 answered as JSON, members with a capital as AWS gives them."""
    kind = getattr(shape, "type_name", None)
    if isinstance(value, dict):
        if kind != "structure":
            return {name: _answer(part, getattr(shape, "value", None)) for name, part in value.items()}
        return {
            name[:1].upper() + name[1:]: _answer(part, shape.members[name])
            for name, part in value.items()
            if name in shape.members
        }
    if isinstance(value, list):
        return [_answer(part, getattr(shape, "member", None)) for part in value]
    if isinstance(value, datetime):
        return format_timestamp(value.timestamp())
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value


@lru_cache(maxsize=64)
def _client(service: str, endpoint: str | None, region: str | None) -> Any:
    try:
        import boto3  # heavy, and an extra
        from botocore.config import Config
        from botocore.exceptions import UnknownServiceError
    except ImportError:
        extra = "pip install 'booking-orchestrator[aws]'"
        raise UnsupportedResource(f"calls of AWS services need boto3; install it with: {extra}") from None
    patience = LONGEST_FUNCTION if service == "lambda" else LONGEST
    settings = Config(read_timeout=patience, connect_timeout=10, retries={"total_max_attempts": 1, "mode": "standard"})
    try:
        return boto3.session.Session().client(
            service, endpoint_url=endpoint, region_name=region or DEFAULT_REGION, config=settings
        )
    except UnknownServiceError:
        raise StepError("States.Runtime", f"boto3 knows no service {service!r}") from None


def _endpoint(settings: Mapping[str, str]) -> str | None:
    return settings.get("AWS_ENDPOINT_URL") or None


def _region(settings: Mapping[str, str]) -> str | None:
    return settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or None
