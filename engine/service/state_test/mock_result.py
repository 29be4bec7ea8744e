"""Mocked results against the models of the APIs they stand for.

The models are botocore's; where there is none (botocore is not installed, the service is unknown, an answer that comes
later), the result is taken as it is. Names are those of Step Functions: PascalCase at every depth.
"""

from __future__ import annotations

import importlib
import logging
from functools import lru_cache
from typing import Any, Final

from engine.outcomes import Resource
from engine.service.errors import ApiError, invalid
from engine.values import JSON

RENAMED: Final = {
    "cloudwatchlogs": "logs",
    "configservice": "config",
    "costexplorer": "ce",
    "cognitoidentityprovider": "cognito-idp",
    "databasemigration": "dms",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "elasticmapreduce": "emr",
    "elasticsearch": "es",
    "eventbridge": "events",
    "sfn": "stepfunctions",
    "states": "stepfunctions",
}
"""Services that Step Functions calls by another name than botocore."""

FREE: Final = frozenset({("lambda", "invoke", "Payload")})
"""Fields that the integration hands on parsed, whatever they hold."""

SCALARS: Final = {
    "string": "string",
    "blob": "string",
    "timestamp": "string",
    "character": "string",
    "integer": "number",
    "long": "number",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
    "list": "array",
    "map": "object",
    "structure": "object",
}
"""What each type of a model is in JSON."""

CHECKS: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}

logger = logging.getLogger("engine")


def check_result(resource: Resource, result: JSON, mode: str) -> None:
    """Refuse a mocked result that the API could not give. `mode`: STRICT, PRESENT or NONE.

    Raises ValidationException.
    """
    if mode == "NONE" or resource.scheme != "service" or resource.waits:
        return
    shape = _output(resource.service, resource.action)
    if shape is not None:
        _Checker(resource, strict=mode == "STRICT").check(shape, result, "")


@lru_cache(maxsize=64)
def _output(service: str, action: str) -> Any:
    """The shape of an operation's output, None when it is not known."""
    try:
        session = importlib.import_module("botocore.session").get_session()
    except ImportError:
        logger.warning("mocked results are not checked: botocore is not installed (extra: aws)")
        return None
    plain = service.removeprefix("aws-sdk:").lower()
    by_name = {name.replace("-", ""): name for name in session.get_available_services()}
    known = by_name.get(RENAMED.get(plain, plain).replace("-", ""))
    if known is None:
        return None
    model = session.get_service_model(known)
    operations = {name.lower(): name for name in model.operation_names}
    wanted = operations.get(action.lower())
    return None if wanted is None else model.operation_model(wanted).output_shape


class _Checker:
    """Walks a result along a shape. `strict`: required fields must be there."""

    def __init__(self, resource: Resource, *, strict: bool) -> None:
        self.resource = resource
        self.strict = strict

    def check(self, shape: Any, value: JSON, field: str) -> None:
        """Raise at the first thing that is wrong; `field` is the nearest name around the value."""
        wanted = SCALARS.get(shape.type_name)
        if wanted is None or (self.resource.service, self.resource.action, field) in FREE:
            return
        fits = isinstance(value, CHECKS[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
        if not fits:
            raise _wrong(f"Field '{field}' must be {'an' if wanted in ('array', 'object') else 'a'} {wanted}")
        if wanted == "object" and shape.type_name == "structure":
            self._structure(shape, value)
        elif wanted == "object":
            for name, item in value.items():
                self.check(shape.value, item, name)
        elif wanted == "array":
            for item in value:
                self.check(shape.member, item, field)
        else:
            _bounds(shape, value, field)

    def _structure(self, shape: Any, value: dict[str, JSON]) -> None:
        for name in shape.required_members if self.strict else ():
            if _pascal(name) not in value:
                raise _wrong(f"Required field '{_pascal(name)}' is missing")
        for name, member in shape.members.items():
            if _pascal(name) in value:
                self.check(member, value[_pascal(name)], _pascal(name))


def _bounds(shape: Any, value: JSON, field: str) -> None:
    """The limits of a text or number."""
    limits = shape.metadata
    if isinstance(value, str):
        if limits.get("enum") and value not in limits["enum"]:
            raise _wrong(f"Field '{field}' is not an expected value")
        return
    if "max" in limits and value > limits["max"]:
        raise _wrong(f"Field '{field}' exceeds the maximum value")
    if "min" in limits and value < limits["min"]:
        raise _wrong(f"Field '{field}' is less than the minimum value")


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _wrong(why: str) -> ApiError:
    return invalid(f"Mock result schema validation error: {why}")
