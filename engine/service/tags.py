"""Tags of state machines and activities."""

from __future__ import annotations

from typing import Any, Final

from engine.service import arns
from engine.service.errors import ApiError, named
from engine.service.records import Records

MAX_TAGS: Final = 50


def tag_resource(records: Records, params: dict[str, Any]) -> dict[str, Any]:
    """TagResource: adds tags, and replaces those whose keys are there."""
    _check(records, params["resourceArn"])
    put_tags(records, params["resourceArn"], params["tags"])
    return {}


def untag_resource(records: Records, params: dict[str, Any]) -> dict[str, Any]:
    """UntagResource."""
    tags = _check(records, params["resourceArn"])
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(records: Records, params: dict[str, Any]) -> dict[str, Any]:
    """ListTagsForResource."""
    tags = _check(records, params["resourceArn"])
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def put_tags(records: Records, arn: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a resource. Raises TooManyTags."""
    merged = {**records.tags.get(arn, {}), **{tag.get("key", ""): tag.get("value", "") for tag in tags}}
    if len(merged) > MAX_TAGS:
        raise ApiError("TooManyTags", f"The resource {arn} can have at most {MAX_TAGS} tags")
    records.tags[arn] = merged


def _check(records: Records, arn: str) -> dict[str, str]:
    """The tags of a resource that exists; versions and aliases have none of their own."""
    arns.parse(arn, arns.STATE_MACHINE, arns.ACTIVITY)
    if arn not in records.machines and arn not in records.activities:
        raise named("ResourceNotFound", "Resource not found", arn)
    return records.tags.setdefault(arn, {})
