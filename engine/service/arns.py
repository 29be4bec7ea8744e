"""Amazon Resource Names of Step Functions: how they are made, and how they are taken apart.

    arn:aws:states:REGION:ACCOUNT:stateMachine:NAME            …:NAME:7 is a version, …:NAME:live an alias
    arn:aws:states:REGION:ACCOUNT:execution:NAME:EXECUTION     express:NAME:EXECUTION:ID for Express workflows
    arn:aws:states:REGION:ACCOUNT:activity:NAME                mapRun:NAME/LABEL:ID

Region and account are those of the context object that executions see.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engine.core.scope import ARN
from engine.service.errors import ApiError, invalid_arn, named

STATE_MACHINE: Final = "stateMachine"
EXECUTION: Final = "execution"
EXPRESS: Final = "express"
ACTIVITY: Final = "activity"
MAP_RUN: Final = "mapRun"

FORBIDDEN: Final = re.compile(r'[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff]')
"""What names must not contain (API Reference, CreateStateMachine, "name")."""


class Arn(NamedTuple):
    """An ARN taken apart: the kind of resource, its name, and what stands behind the name ("" for nothing)."""

    kind: str
    name: str
    qualifier: str


def make(kind: str, *parts: str) -> str:
    """The ARN of a resource here."""
    return ":".join((ARN, kind, *parts))


def parse(text: str, *kinds: str) -> Arn:
    """Take an ARN apart that must be of one of the given kinds. Raises InvalidArn."""
    parts = text.split(":", 7)
    if parts[0] != "arn" or len(parts) < 7:
        raise invalid_arn(f"Invalid ARN prefix: {text}")
    if parts[2] != "states":
        raise invalid_arn(f"Service name not valid in this context: {parts[2]}")
    if parts[5] not in kinds:
        raise invalid_arn(f"Resource type not valid in this context: {parts[5]}")
    return Arn(parts[5], parts[6], parts[7] if len(parts) > 7 else "")


def unqualified(arn: str) -> str:
    """The ARN of the state machine that a version or alias belongs to."""
    return make(STATE_MACHINE, parse(arn, STATE_MACHINE).name)


def check_name(name: str) -> None:
    """Refuse a name with characters that no name may have. Raises InvalidName."""
    if FORBIDDEN.search(name):
        raise _bad_name(name)


def _bad_name(name: str) -> ApiError:
    return named("InvalidName", "Invalid Name", name)
