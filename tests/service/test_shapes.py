"""The shapes of parameters are those of AWS's own model of its API, as boto3 carries it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.service.parameters import Flag, Many, Number, Shape, Structure, Text
from engine.service.shapes import OPERATIONS

KINDS = {
    "string": Text, "structure": Structure, "list": Many, "integer": Number, "long": Number, "float": Number,
    "boolean": Flag,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Any:
    session = pytest.importorskip("botocore.session").get_session()
    return session.get_service_model("stepfunctions")


def differences(ours: Shape, theirs: Any, place: str) -> Iterator[str]:
    """Where a shape of ours is not AWS's."""
    if not isinstance(ours, KINDS[theirs.type_name]):
        yield f"{place}: a {theirs.type_name}"
        return
    if isinstance(ours, Structure):
        known = [name for name in theirs.members if name in ours.fields]  # AWS's may have got more since
        if list(ours.fields) != known or sorted(ours.required) != sorted(theirs.required_members):
            yield f"{place}: {list(theirs.members)}, required {theirs.required_members}"
        for name in ours.fields.keys() & theirs.members.keys():
            yield from differences(ours.fields[name], theirs.members[name], f"{place}.{name}")
        return
    bounds = (theirs.metadata.get("min"), theirs.metadata.get("max"))
    if not isinstance(ours, Flag) and (ours.minimum, ours.maximum) != bounds:
        yield f"{place}: bounds {bounds}"
    if isinstance(ours, Many):
        yield from differences(ours.member, theirs.member, f"{place}[]")
    if isinstance(ours, Text):
        told = (sorted(theirs.enum), theirs.metadata.get("pattern"), theirs.metadata.get("sensitive", False))
        if (sorted(ours.words), ours.written, ours.secret) != told:
            yield f"{place}: words, pattern, secret {told}"


def test_every_shape_is_awss(model: Any) -> None:
    assert OPERATIONS.keys() <= set(model.operation_names)
    found = [
        difference
        for name, ours in OPERATIONS.items()
        for difference in differences(ours, model.operation_model(name).input_shape, name)
    ]
    assert found == []
